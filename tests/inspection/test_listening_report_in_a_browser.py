"""Listening reports in a real browser: sounds play, filters filter, keys work."""

from __future__ import annotations

import json
import shutil
import time

import numpy as np
import pytest

from skaudio.inspection import ListeningReport

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--autoplay-policy=no-user-gesture-required"
).split()
SIZES = {"desktop": (1280, 900), "phone": (375, 800)}
SCHEMES = ("light", "dark")
SR = 8000
# clips last for a fraction of a second: none may end while a test looks at it
SLOWLY = """
const play = HTMLMediaElement.prototype.play;
HTMLMediaElement.prototype.play = function () {
  this.playbackRate = 0.1;
  return play.call(this);
};
"""
# each would do harm in one kind of context
HOSTILE = [
    "</script><script>document.title = 'broken'</script>",
    "\"quoted' & <img src=x onerror=\"document.title='broken'\">",
    "two\u2028lines \N{ROOSTER} <!-- {{ data }}",
]


def proba_of(y, rng):
    proba = rng.dirichlet(np.full(3, 0.3), len(y))
    proba[np.arange(len(y)), y] += rng.random(len(y)) < 0.6
    return proba / proba.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def report():
    """45 clips of growing length: three pages, 40 of them with sound."""
    rng = np.random.RandomState(0)
    y = np.arange(45) % 3
    clips = [
        0.5 * np.sin(0.1 * (1 + label) * np.arange(1600 + 100 * row))
        for row, label in enumerate(y)
    ]
    proba = proba_of(y, rng)
    return ListeningReport.from_predictions(
        clips,
        y,
        proba,
        class_names=HOSTILE,
        groups=[f"{HOSTILE[row % 3]} {row // 3}" for row in range(45)],
        names=[f"{HOSTILE[row // 15]} number {row}" for row in range(45)],
        branches={"mel": proba, "<i>raw</i>": proba[:, ::-1]},
        title=HOSTILE[0],
        sr=SR,
        method="pca",
        max_clips=40,
    )


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    program = shutil.which("chromedriver")
    if browser is None or program is None:
        pytest.skip("needs Chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability(
        "goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"}
    )
    service = webdriver.ChromeService(program)
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_script_timeout(20)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def address(report, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    report.save(path)
    return path.as_uri()


@pytest.fixture
def page(driver, address, request):
    """The page, freshly loaded; afterwards nothing was complained of or fetched."""
    (width, height), scheme = getattr(request, "param", (SIZES["desktop"], "light"))
    metrics = {
        "width": width,
        "height": height,
        "deviceScaleFactor": 1,
        "mobile": False,
    }
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    driver.get(address)
    driver.execute_script(SLOWLY)
    yield Page(driver)
    assert driver.get_log("browser") == []
    events = [json.loads(entry["message"]) for entry in driver.get_log("performance")]
    sent = [
        event["message"]["params"]["request"]["url"]
        for event in events
        if event["message"]["method"] == "Network.requestWillBeSent"
        and event["message"]["params"]["documentURL"] == address
    ]
    assert {url for url in sent if not url.startswith("data:")} == {address}


class Page:
    """What tests ask of the page."""

    def __init__(self, driver):
        self.driver = driver
        self.run = driver.execute_script

    def rows(self):
        """Rows of X in the list, page by page."""
        return self.run("return state.rows")

    def shown(self):
        cards = "document.querySelectorAll('#list > li[data-row]')"
        return self.run(f"return [...{cards}].map((card) => Number(card.dataset.row))")

    def current(self):
        return self.run(
            "return document.querySelector('[aria-current]')?.dataset.row ?? null"
        )

    def text(self, selector):
        return self.run(
            "return document.querySelector(arguments[0]).textContent", selector
        )

    def texts(self, selector):
        found = "document.querySelectorAll(arguments[0])"
        return self.run(f"return [...{found}].map((e) => e.textContent)", selector)

    def click(self, selector):
        self.driver.find_element("css selector", selector).click()

    def choose(self, field, value):
        self.run(
            "const field = document.getElementById(arguments[0]);"
            "field.value = arguments[1]; field.dispatchEvent(new Event('input'))",
            field,
            str(value),
        )

    def press(self, *keys):
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    def wait(self, script):
        """Until a script gives something true, which is returned."""
        for _ in range(100):
            if found := self.run(f"return {script}"):
                return found
            time.sleep(0.02)
        pytest.fail(f"never true: {script}")

    def is_playing(self, row):
        return self.wait(
            f"[...document.querySelectorAll('[data-row=\"{row}\"] audio')]"
            ".some((audio) => !audio.paused && audio.currentTime > 0)"
        )


everywhere = pytest.mark.parametrize(
    "page",
    [(size, scheme) for size in SIZES.values() for scheme in SCHEMES],
    ids=[f"{size}-{scheme}" for size in SIZES for scheme in SCHEMES],
    indirect=True,
)


@everywhere
def test_players_load_pictures_are_drawn_and_nothing_is_too_wide(page, report):
    n = len(page.shown())
    assert n == 20
    page.wait(
        "[...document.querySelectorAll('audio')].every((audio) => audio.readyState > 0)"
    )
    durations = page.run(
        "return [...document.querySelectorAll('audio')].map((a) => a.duration)"
    )
    heard = [row for row in page.shown() if row in report.sounds]
    wanted = [(1600 + 100 * row) / SR for row in heard]
    assert durations == pytest.approx(wanted, abs=2e-3)
    # the tone is the brightest row of its picture
    page.wait("document.querySelector('canvas').height === 64")
    brightest = page.wait(
        "[...document.querySelectorAll('canvas')].map((canvas) => {"
        "  const x = canvas.width >> 1;"
        "  const column = canvas.getContext('2d').getImageData(x, 0, 1, 64).data;"
        "  let best = 0;"
        "  for (let y = 0; y < 64; y++) {"
        "    if (column[4 * y + 1] > column[4 * best + 1]) best = y;"
        "  }"
        "  return best;"
        "})"
    )
    by_class = {row % 3: height for row, height in zip(heard, brightest, strict=True)}
    assert by_class[0] > by_class[1] > by_class[2]  # from the top: low tones are below
    assert page.run("return document.documentElement.scrollWidth <= innerWidth")
    body = page.run("return getComputedStyle(document.body).backgroundColor")
    is_dark = page.run("return matchMedia('(prefers-color-scheme: dark)').matches")
    assert (sum(map(int, body[4:-1].split(","))) < 300) == is_dark


def test_names_are_text_wherever_they_stand(page, report):
    assert page.driver.title == report.title == page.text("#title") == HOSTILE[0]
    strange = "img, i:not(.whisker i), b:not(.whisker b)"
    assert page.run(f"return document.querySelectorAll('{strange}').length") == 0
    assert page.run("return document.scripts.length") == 2
    heads = page.texts("#confusion tbody th")
    assert heads == HOSTILE
    row = page.shown()[0]
    assert page.text(f"#clip-{row}") == report.clips["name"][row]
    assert page.text("#list .source") == f"source {report.clips['source'][row]}"
    assert page.text(".branches li:nth-child(2) .branch") == "<i>raw</i>"


def test_order_and_pages_are_those_of_the_table(page, report):
    order = report.clips.sort_values("order").index.tolist()
    assert page.rows() == order
    assert page.shown() == order[:20]
    page.click("#next")
    page.click("#next")
    assert page.shown() == order[40:]
    assert page.text("#page") == "41 to 45 of 45"
    page.choose("sorting", "least certain first")
    margin = report.clips["margin"].to_numpy()[page.rows()]
    assert (np.diff(margin) >= 0).all()
    page.choose("sorting", "as in X")
    assert page.rows() == [*range(45)]
    page.choose("sorting", "by name")
    assert page.rows() == report.clips["name"].sort_values(kind="stable").index.tolist()


def test_filters_agree_with_the_table(page, report):
    clips = report.clips
    wrong = clips[~clips["right"]]
    page.choose("outcome", "wrong")
    assert sorted(page.rows()) == wrong.index.tolist()
    n = len(wrong)
    assert page.text("#count") == f"{n} of 45 clips, {n} mistakes"
    page.choose("truth", 1)
    assert sorted(page.rows()) == wrong.index[wrong["true"] == HOSTILE[1]].tolist()
    page.choose("outcome", "")
    page.choose("truth", "")
    page.choose("said", 2)
    assert sorted(page.rows()) == clips.index[clips["predicted"] == HOSTILE[2]].tolist()
    page.click("#clear")
    assert len(page.rows()) == 45
    page.choose("search", "NUMBER 17")
    assert page.rows() == [17]
    page.choose("search", "nowhere")
    assert page.text("#list") == "No clip passes these filters."
    faint = page.run("return document.querySelectorAll('#map path.faint').length")
    assert faint == 45
    # what has no verdict is no mistake
    page.click("#clear")
    page.run("data.clips[arguments[0]].right = null; refresh()", int(wrong.index[0]))
    assert page.text("#count") == f"45 of 45 clips, {n - 1} mistakes"


def test_cells_of_the_matrix_list_their_clips(page, report):
    counts = report.confusion_matrix
    clips = report.clips
    cells = np.argwhere(counts).tolist()
    for truth, said in (cells[0], cells[1], cells[-2]):
        page.click(f'#confusion [data-truth="{truth}"][data-said="{said}"]')
        listed = clips.loc[page.rows()]
        assert len(listed) == counts[truth, said]
        assert set(listed["true"]) == {HOSTILE[truth]}
        assert set(listed["predicted"]) == {HOSTILE[said]}
    pressed = '#confusion [aria-pressed="true"]'
    assert page.run(f"return document.querySelectorAll('{pressed}').length") == 1
    page.click(pressed)  # once more lists all
    assert len(page.rows()) == 45
    page.click("#scores tbody tr:nth-child(2) button")
    assert set(clips.loc[page.rows(), "true"]) == {HOSTILE[1]}
    page.click("#scores thead th:nth-child(3) button")
    names = page.texts("#scores tbody th")
    assert names == report.scores.sort_values("precision").index.tolist()


@pytest.mark.parametrize(
    "page",
    [(SIZES["desktop"], "light"), (SIZES["phone"], "dark")],
    ids=["desktop", "phone"],
    indirect=True,
)
def test_points_of_the_map_play(page, report):
    last = report.clips.sort_values("order").index[-1]
    row = max(report.sounds, key=lambda row: report.clips["order"][row])
    assert report.clips["order"][row] > 20  # on another page
    for target in (row, page.shown()[0]):
        point = page.driver.find_element("css selector", f'#map [data-row="{target}"]')
        page.run("arguments[0].scrollIntoView({block: 'center'})", point)
        page.run(
            "arguments[0].dispatchEvent(new MouseEvent('click', {bubbles: true}))",
            point,
        )
        assert page.is_playing(target)
        assert page.current() == str(target)
        box = page.run(
            "const {top, bottom} = document.querySelector('[aria-current]')"
            ".getBoundingClientRect(); return [top, bottom, innerHeight]"
        )
        assert box[0] < box[2]
        assert box[1] > 0  # it can be seen
    assert page.run("return document.querySelectorAll('.playing').length") == 1
    assert last not in report.sounds
    page.choose("outcome", "wrong")  # which the last clip is not
    point = page.driver.find_element("css selector", f'#map [data-row="{last}"]')
    page.run(
        "arguments[0].dispatchEvent(new MouseEvent('click', {bubbles: true}))", point
    )
    assert page.current() == str(last)
    assert len(page.rows()) == 45
    assert "Without sound" in page.text("[aria-current] .remark")


def test_a_click_on_the_spectrogram_seeks(page):
    row = page.shown()[0]
    page.wait("document.querySelector('audio').readyState > 0")
    page.run(
        "const slider = document.querySelector('.picture');"
        "const {left, width, top} = slider.getBoundingClientRect();"
        "slider.dispatchEvent(new MouseEvent('click', {bubbles: true,"
        "  clientX: left + 0.5 * width, clientY: top + 5}))"
    )
    assert page.is_playing(row)
    half = (1600 + 100 * row) / SR / 2
    assert page.run("return document.querySelector('audio').currentTime") >= half - 0.01
    page.wait("parseFloat(document.querySelector('.playhead').style.left) >= 49")
    page.click(".play")
    page.wait("document.querySelector('audio').paused")
    before = page.run("return document.querySelector('audio').currentTime")
    page.press("\ue012")  # arrow left, on the play button: nothing
    page.run("document.querySelector('.picture').focus()")
    page.press("\ue012")
    after = page.run("return document.querySelector('audio').currentTime")
    assert after == pytest.approx(max(0, before - half / 10), abs=0.02)


def test_keys(page):
    first, second = page.shown()[:2]
    body = page.driver.find_element("tag name", "body")
    body.send_keys("j")
    assert page.current() == str(first)
    page.press("\ue015")  # arrow down
    assert page.current() == str(second)
    page.press(" ")
    assert page.is_playing(second)
    page.press(" ")
    page.wait("document.querySelectorAll('.playing').length === 0")
    page.press("k")
    assert page.current() == str(first)
    page.press("m")
    assert page.text("#count").split()[0] == page.text("#count").split()[-2]
    page.press("/", *"17j")
    assert page.run("return document.activeElement.id") == "search"
    assert page.run("return document.getElementById('search').value") == "17j"
    page.press("\ue00c")  # escape
    assert len(page.rows()) == 45
    page.press("?")
    assert page.run("return document.getElementById('help').open")
    page.press("\ue00c")
    assert not page.run("return document.getElementById('help').open")
    page.run("select(state.rows[19])")
    page.press("j")  # to the second page
    assert page.current() == str(page.rows()[20])
    page.press("k")
    assert page.current() == str(page.rows()[19])


def test_the_matrix_is_one_stop_and_arrows_move_in_it(page):
    buttons = "[...document.querySelectorAll('#confusion button')]"
    stops = f"{buttons}.filter((button) => button.tabIndex === 0)"
    assert page.run(f"return {stops}.length") == 1
    page.run(f"{stops}[0].focus()")
    for key, wanted in [("\ue014", ["0", "1"]), ("\ue015", ["1", "1"])]:  # right, down
        page.press(key)
        at = page.run(
            "const {truth, said} = document.activeElement.dataset; return [truth, said]"
        )
        assert at == wanted
    assert page.run(f"return {stops}.length") == 1
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.run(f"return {outline}") == "solid"


def test_within_a_notebook_styles_stay_in_a_frame(driver, report, tmp_path):
    path = tmp_path / "notebook.html"
    html = f"<!DOCTYPE html><body><h1>A notebook</h1>{report._repr_html_()}</body>"
    path.write_text(html, encoding="utf-8")
    driver.get(path.as_uri())
    page = Page(driver)
    color = "return getComputedStyle(document.body).backgroundColor"
    assert page.run(color) == "rgba(0, 0, 0, 0)"
    driver.switch_to.frame(0)
    assert page.text("#title") == report.title
    row = page.shown()[0]
    page.click(".play")
    assert page.is_playing(row)
    driver.switch_to.default_content()
    assert driver.get_log("browser") == []
