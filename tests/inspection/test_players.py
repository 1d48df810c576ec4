"""PlayerTable: sounds within HTML, exactly as they are, and nothing but text around."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import soundfile
from numpy.testing import assert_allclose

from skaudio.inspection import PlayerTable

SR = 8000


class Cells(HTMLParser):
    """What a browser makes of the table: rows of cells, which are texts or sounds."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.rows, self.caption = [], [], None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "br":
            self.rows[-1][-1] += "\n"
        elif tag == "audio":
            names = dict(attrs)
            assert "controls" in names
            kind, _, data = names["src"].partition(",")
            assert kind == "data:audio/wav;base64"
            self.rows[-1][-1] = io.BytesIO(base64.b64decode(data, validate=True))

    def handle_data(self, data):
        if self.tags[-1] == "caption" and self.caption is None:
            self.caption = data
        elif self.rows and self.rows[-1] and isinstance(self.rows[-1][-1], str):
            self.rows[-1][-1] += data.strip("\n")


def cells_of(table):
    return Cells(table.to_html()).rows


def sounds_of(table, column=-1):
    return [soundfile.read(row[column]) for row in cells_of(table)[1:]]


@pytest.fixture
def waves():
    return np.random.default_rng(0).uniform(-1, 1, (3, 400))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sounds_are_those_of_the_clips(waves, dtype):
    table = PlayerTable(waves.astype(dtype), sr=SR)
    for wave, (played, sr) in zip(waves, sounds_of(table), strict=True):
        assert sr == SR
        assert_allclose(played, wave, rtol=0, atol=1 / 2**15)


def test_sixteen_bits_pass_as_they_are(waves):
    pcm = np.array([[-(2**15), -1, 0, 1, 2**15 - 1]], np.int16)
    table = PlayerTable(pcm, sr=SR)
    (row,) = cells_of(table)[1:]
    info = soundfile.info(row[0])
    assert (info.format, info.subtype, info.channels) == ("WAV", "PCM_16", 1)
    row[0].seek(0)
    np.testing.assert_array_equal(soundfile.read(row[0], dtype="int16")[0], pcm[0])


def test_clips_of_any_lengths_and_files(waves, tmp_path):
    soundfile.write(tmp_path / "high.wav", waves[0], 2 * SR)
    table = PlayerTable([tmp_path / "high.wav", waves[1], waves[2, :7]], sr=SR)
    assert [len(played) for played, _ in sounds_of(table)] == [200, 400, 7]


def test_long_clips_are_cut_off_and_short_ones_stay(waves):
    table = PlayerTable([waves[0], waves[1, :9]], sr=SR, max_duration=0.0125)
    assert [len(played) for played, _ in sounds_of(table)] == [100, 9]


def test_peaks_are_scaled_on_request_only():
    X = np.array([[0.1, -0.2], [0.0, 0.0], [1.0, 3.0]])
    loud = sounds_of(PlayerTable(X, sr=SR, normalize=True))
    wanted = [[0.5, -1.0], [0.0, 0.0], [1 / 3, 1.0]]
    assert_allclose([played for played, _ in loud], wanted, rtol=0, atol=1 / 2**15)
    with pytest.warns(UserWarning, match=r"1 of 3 .*'sound'.*up to 3\).*rows 2\."):
        table = PlayerTable(X, sr=SR)
    wanted = [[0.1, -0.2], [0.0, 0.0], [1.0, 1.0]]
    played = [played for played, _ in sounds_of(table)]
    assert_allclose(played, wanted, rtol=0, atol=1 / 2**15)


def test_what_is_cut_off_is_no_reason_to_warn():
    table = PlayerTable([[0.5, 0.5, 2.0, 2.0]], sr=SR, max_duration=2 / SR)
    assert_allclose(sounds_of(table)[0][0], [0.5, 0.5])


def test_labels_stand_before_the_players(waves):
    found = [[("violin", 0.934), ("loud", np.float32(0.5))], [("flute", -1.0)], []]
    labels = pd.DataFrame(
        {"n": [1, 2, 3], "share": [0.5, 1, 1.25], "words": found}, index=[9, 9, 4]
    )
    head, *rows = cells_of(PlayerTable(waves, labels, sr=SR))
    assert head == ["n", "share", "words", "sound"]
    assert [row[:3] for row in rows] == [
        ["1", "0.50", "violin 0.93\nloud 0.50"],
        ["2", "1.00", "flute -1.00"],
        ["3", "1.25", ""],
    ]


def test_several_columns_of_players(waves):
    table = PlayerTable({"before": waves, "after": waves[::-1]}, sr=SR)
    assert cells_of(table)[0] == ["before", "after"]
    assert_allclose(sounds_of(table, 0)[0][0], sounds_of(table, 1)[2][0])
    assert len(table) == 3
    assert repr(table) == "PlayerTable of 3 rows: before, after"


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", '"><img src=x>', "a&b"])
def test_texts_stay_texts(waves, evil):
    table = PlayerTable(
        {evil + "2": waves[:1]}, {evil: [[(evil, 0.1), evil]]}, sr=SR, caption=evil
    )
    read = Cells(table.to_html())
    assert set(read.tags) <= {
        *("table", "caption", "thead", "tbody", "tr", "th", "td", "br", "audio")
    }
    assert read.caption == evil
    assert read.rows[0] == [evil, evil + "2"]
    assert read.rows[1][0] == f"{evil} 0.10\n{evil}"


def test_notebooks_show_the_table_and_pages_hold_it(waves, tmp_path):
    table = PlayerTable(waves, sr=SR, caption="Töne & <b>")
    assert table._repr_html_() == table.to_html()
    table.save(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert table.to_html() in page
    assert re.search(r"<title>(.*)</title>", page)[1] == "Töne &amp; &lt;b&gt;"
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize("sr", [0, -1, 22050.5, np.nan, None, "8000", True, 2**31])
def test_rates_are_whole(waves, sr):
    with pytest.raises(ValueError, match="sr must be a whole number of Hz"):
        PlayerTable(waves, sr=sr)


@pytest.mark.parametrize("max_duration", [0, -1.0, 1e-5, np.inf, np.nan, "1"])
def test_durations_are_seconds(waves, max_duration):
    with pytest.raises(ValueError, match="max_duration must be None or seconds"):
        PlayerTable(waves, sr=SR, max_duration=max_duration)


@pytest.mark.parametrize(
    ("sounds", "labels", "message"),
    [
        ("a.wav", None, "list of clips, one for each row; got 'a.wav' for 'sound'"),
        ({}, None, "sounds is empty"),
        ([[0.0, 0.1], [0.0, np.nan]], None, "NaN"),
        ([[0.0, 0.1]], {"name": ["a", "b"]}, r"one cell for each clip; got \{'name'"),
        ({"a": np.zeros((2, 9)), "b": np.zeros((1, 9))}, None, "'a': 2, 'b': 1"),
        ([[0.0, 0.1]], {"sound": ["a"]}, "a column 'sound' each"),
        ([[0.0, 0.1]], {"name": "a"}, "'name' must be a list .* got the text 'a'"),
    ],
)
def test_errors_say_what_is_wrong(sounds, labels, message):
    with pytest.raises(ValueError, match=message):
        PlayerTable(sounds, labels, sr=SR)


def test_files_that_cannot_be_read_are_named(waves, tmp_path):
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(ValueError, match=r"text\.wav is not audio"):
        PlayerTable([waves[0], tmp_path / "text.wav"], sr=SR)


def test_rates_that_browsers_do_not_play_are_raised():
    times = np.arange(550) / 550
    wave = (0.5 * np.sin(2 * np.pi * 100 * times)).astype(np.float32)
    table = PlayerTable([wave], sr=550).to_html()
    (data,) = re.findall(r'src="data:audio/wav;base64,([^"]*)"', table)
    found, sr = soundfile.read(io.BytesIO(base64.b64decode(data)))
    assert sr == 6 * 550  # the first multiple of 3 kHz and more
    assert len(found) == 6 * 550
    spectrum = np.abs(np.fft.rfft(found))
    assert spectrum.argmax() == 100  # a second, so bins are in Hz
    assert np.abs(found[300:-300]).max() == pytest.approx(0.5, abs=0.01)
