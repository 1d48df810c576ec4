"""Pages with players, in a real browser: all of them load, and last as long as told."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from skaudio.inspection import DeconvolutionDisplay, PlayerTable, auralize

sys.path.insert(0, str(Path(__file__).parent))
from networks import by_itself, sounds

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
# writes what players know of their sounds into the page, when all of them have loaded
SCRIPT = """\
<pre id="found"></pre>
<script>
const players = [...document.querySelectorAll("audio")];
const loaded = players.map((player) => new Promise((done) => {
  if (player.readyState > 0 || player.error) done();
  player.addEventListener("loadedmetadata", done);
  player.addEventListener("error", done);
}));
Promise.all(loaded).then(() => {
  const found = players.map((player) => player.error ? null : player.duration);
  document.getElementById("found").textContent = JSON.stringify(found);
});
</script>
"""


@pytest.fixture(scope="module")
def browser():
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser found; one of {', '.join(BROWSERS)} would do")
    return found


def durations(browser, page, tmp_path):
    """Seconds of every player on a page, None for those that did not load."""
    path = tmp_path / "checked.html"
    path.write_text(page.replace("</body>", f"{SCRIPT}</body>"), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    options += [
        "--virtual-time-budget=10000",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    run = subprocess.run(
        [browser, *options, path.as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    found = re.search(r'<pre id="found">(.*?)</pre>', run.stdout, re.DOTALL)
    if found is None or not found[1]:
        pytest.skip(f"{browser} shows no pages here: {run.stderr[-300:]}")
    return json.loads(html.unescape(found[1]))


def test_players_load_and_have_the_right_durations(browser, tmp_path):
    clips = [np.zeros(n, np.float32) + 0.1 for n in (4000, 8000, 800)]
    PlayerTable(clips, {"name": ["a", "b", "c"]}, sr=8000).save(tmp_path / "a.html")
    display = DeconvolutionDisplay(
        auralization=auralize(by_itself(), sounds()[0][:1], 1, [0, 2])
    )
    display.save(tmp_path / "b.html")
    both = (tmp_path / "a.html").read_text().replace("</body>", display.to_html())
    both += '<audio src="data:audio/wav;base64,AAAA"></audio></body>'
    found = durations(browser, both, tmp_path)
    assert found[:-1] == pytest.approx([0.5, 1.0, 0.1, 0.5, 0.5, 0.5], abs=1e-3)
    assert found[-1] is None  # what is no sound is noticed
    assert "http" not in both.replace("http-equiv", "")  # nothing is fetched
