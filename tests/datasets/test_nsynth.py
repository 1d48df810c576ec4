"""fetch_nsynth against a local server: what is downloaded, kept, refused."""

import hashlib
import io
import json
import tarfile
import warnings
from collections import Counter

import numpy as np
import pytest
import soundfile

from skaudio.datasets import _nsynth, clear_data_home, fetch_nsynth

QUALITIES = ["bright", "dark", "distortion", "fast_decay", "long_release"]
# a family for training only, and another instrument in each part
FAMILIES = {
    "train": "bass organ synth_lead",
    "valid": "bass organ",
    "test": "bass reed",
}
NOTES = {"train": 18, "valid": 8, "test": 8}
LAYOUT = _nsynth.Layout(
    notes=NOTES, balanced_families=2, balanced_notes=3, max_faulty=2
)
PER_FAMILY = {"train": 6, "valid": 4, "test": 4}
BALANCED = {
    "bass": ["bass_acoustic_000-062-050", "bass_acoustic_000-060-050"],
    "organ": [f"organ_acoustic_000-{pitch:03d}-050" for pitch in (63, 60, 65)],
}
BALANCED["bass"].append("bass_acoustic_000-064-050")
NAMES = sorted(name for names in BALANCED.values() for name in names)
BROKEN = "bass_acoustic_000-062-050"


def _wav(seed, frames=300):
    out = io.BytesIO()
    noise = np.random.default_rng(seed).normal(0, 0.1, frames)
    soundfile.write(out, noise, 16000, format="WAV")
    return out.getvalue()


def _notes(part):
    """The published table of a part: a record of each note."""
    table = {}
    for number, family in enumerate(FAMILIES[part].split()):
        instrument = f"{family}_acoustic_{list(NOTES).index(part):03d}"
        for i in range(PER_FAMILY[part]):
            name = f"{instrument}-{60 + i:03d}-050"
            words = QUALITIES[:i]
            table[name] = {
                "note": len(table),
                "note_str": name,
                "instrument": number,
                "instrument_str": instrument,
                "pitch": 60 + i,
                "velocity": 50,
                "sample_rate": 16000,
                "qualities": [int(j < i) for j in range(10)],
                "qualities_str": words,
                "instrument_family": number,
                "instrument_family_str": family,
                "instrument_source": 0,
                "instrument_source_str": "acoustic",
            }
    return dict(reversed(table.items()))  # in no order, as in the published file


def _tar(part, clips=None, notes=None, *, extra=(), prefix="nsynth-"):
    notes = _notes(part) if notes is None else notes
    if clips is None:
        clips = {name: _wav(seed) for seed, name in enumerate(_notes(part))}
    files = {f"audio/{name}.wav": content for name, content in clips.items()}
    files["examples.json"] = json.dumps(notes).encode()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"{prefix}{part}/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for info in extra:
            tar.addfile(info, io.BytesIO(bytes(info.size)))
    return out.getvalue()


def _archive(part):
    return f"nsynth-{part}.jsonwav.tar.gz"


def _publish(site, monkeypatch, key, content):
    site.files[_archive(key) if key in NOTES else key] = content
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    monkeypatch.setitem(_nsynth.CHECKSUMS, key, checksum)


@pytest.fixture
def site(site, monkeypatch):
    monkeypatch.setattr(_nsynth, "AUDIO_URL", f"{site.url}/audio")
    monkeypatch.setattr(_nsynth, "LIST_URL", f"{site.url}/list")
    monkeypatch.setattr(_nsynth, "LAYOUT", LAYOUT)
    for part in NOTES:
        _publish(site, monkeypatch, part, _tar(part))
    _publish(site, monkeypatch, _nsynth.LIST, json.dumps(BALANCED).encode())
    return site


def _fetch(home, **options):
    return fetch_nsynth(data_home=home, **{"delay": 0, "n_retries": 0, **options})


def _cached(home):
    return sorted(p.name for p in (home / "nsynth").iterdir() if p.name[0] != ".")


def _names(data, part):
    return data.frame["note_str"][data.subset == part].tolist()


# ------------------------------------------------------------------------- whole
def test_published_counts():
    layout = _nsynth.Layout()
    assert sum(layout.notes.values()) == 305_979
    assert layout.balanced_families * layout.balanced_notes == 20_000
    assert sum(_nsynth.DOWNLOADS.values()) == 25_233_566_634


def test_balanced(site, tmp_path):
    data = _fetch(tmp_path)
    assert data.paths.shape == data.target.shape == data.groups.shape == (22,)
    assert data.target_names.tolist() == ["bass", "organ", "reed"]
    assert _names(data, "train") == NAMES
    assert _names(data, "valid") == sorted(_notes("valid"))
    assert _names(data, "test") == sorted(_notes("test"))
    families = [name.partition("_")[0] for name in data.frame["note_str"]]
    assert data.target_names[data.target].tolist() == families
    assert data.groups.tolist() == [n[: n.index("-")] for n in data.frame["note_str"]]
    assert data.folds is None
    ((train, test),) = data.cv.split()
    assert data.cv.get_n_splits() == 1
    assert set(data.subset[train]) == {"train"}
    assert set(data.subset[test]) == {"test"}
    assert (len(train), len(test)) == (6, 8)
    assert not set(data.groups[train]) & set(data.groups[test])
    for path, name in zip(data.paths, data.frame["note_str"], strict=True):
        assert path.endswith(f"/{name}.wav")
        assert soundfile.info(path).frames == 300
    assert "CC BY 4.0" in data.DESCR


def test_the_published_table_comes_back_as_it_was(site, tmp_path):
    frame = _fetch(tmp_path).frame
    assert list(frame) == [*_nsynth.COLUMNS, "subset", "path"]
    published = {part: _notes(part) for part in NOTES}
    for row in frame.to_dict("records"):
        record = published[row["subset"]][row["note_str"]]
        assert {column: row[column] for column in record} == record
    assert frame["qualities_str"][0] == []
    assert frame["qualities_str"][1] == ["bright", "dark"]


def test_only_the_wanted_notes_are_unpacked(site, tmp_path):
    _fetch(tmp_path, parts=["train"])
    folder = tmp_path / "nsynth/train-balanced"
    assert sorted(p.stem for p in (folder / "audio").iterdir()) == NAMES
    assert sorted(p.name for p in folder.iterdir()) == ["audio", "notes.csv"]
    assert _cached(tmp_path) == ["balanced", "train-balanced"]


@pytest.mark.parametrize(
    ("parts", "subset", "names"),
    [
        (["test"], "balanced", [_archive("test")]),
        (["valid", "test"], "full", [_archive("valid"), _archive("test")]),
        (("train",), "balanced", [_nsynth.LIST, _archive("train")]),
        ({"train", "test"}, "full", [_archive("train"), _archive("test")]),
    ],
)
def test_only_what_is_needed_is_downloaded(site, tmp_path, parts, subset, names):
    data = _fetch(tmp_path, parts=parts, subset=subset)
    assert site.names == names
    assert set(data.subset) == set(parts)
    assert (data.cv is None) == ("train" not in parts or len(parts) == 1)


def test_valid_is_tested_on_where_there_is_no_test(site, tmp_path):
    data = _fetch(tmp_path, parts=["valid", "train"])
    ((train, test),) = data.cv.split()
    assert set(data.subset[train]) == {"train"}
    assert set(data.subset[test]) == {"valid"}
    assert data.subset[0] == "train"  # whatever the order of parts


def test_full(site, tmp_path):
    data = _fetch(tmp_path, subset="full")
    assert data.paths.shape == (34,)
    assert data.target_names.tolist() == ["bass", "organ", "reed", "synth_lead"]
    assert Counter(data.subset.tolist()) == NOTES


def test_balanced_notes_of_all_that_are_there(site, tmp_path):
    _fetch(tmp_path, subset="full", parts=["train"])
    site.names.clear()
    data = _fetch(tmp_path, parts=["train"])
    assert site.names == [_nsynth.LIST]
    assert _names(data, "train") == NAMES
    assert _cached(tmp_path) == ["balanced", "train"]


def test_all_notes_after_the_balanced_ones(site, tmp_path):
    balanced = _fetch(tmp_path, parts=["train"])
    assert len(_fetch(tmp_path, subset="full", parts=["train"]).paths) == 18
    again = _fetch(tmp_path, parts=["train"], download_if_missing=False)
    assert again.frame["note_str"].tolist() == balanced.frame["note_str"].tolist()
    np.testing.assert_array_equal(again.target, balanced.target)


def test_X_y_and_second_time(site, tmp_path):
    data = _fetch(tmp_path)
    paths, target = _fetch(tmp_path, return_X_y=True, download_if_missing=False)
    np.testing.assert_array_equal(paths, data.paths)
    np.testing.assert_array_equal(target, data.target)
    assert len(site.asked) == 4
    with pytest.raises(OSError, match=r"train part of NSynth is not in .* is False"):
        _fetch(tmp_path, subset="full", download_if_missing=False)
    clear_data_home(tmp_path)
    with pytest.raises(OSError, match=r"list of the balanced notes of NSynth is not"):
        _fetch(tmp_path, download_if_missing=False)
    assert len(site.asked) == 4


def test_options_that_do_not_exist(site, tmp_path):
    with pytest.raises(ValueError, match="'balanced' or 'full'; got 'small'"):
        _fetch(tmp_path, subset="small")
    for parts in ("test", [], ["train", "eval"]):
        with pytest.raises(ValueError, match=r"one or more of \['train', 'valid', "):
            _fetch(tmp_path, parts=parts)
    assert not site.asked


# ------------------------------------------------------------------------ broken
@pytest.mark.parametrize(
    ("content", "match"),
    [(b"\0" * 500, "unreadable: Format"), (_wav(0, 0), "empty"), (None, "missing")],
)
def test_a_faulty_note_is_named_and_left_out(
    site, tmp_path, monkeypatch, content, match
):
    clips = {name: _wav(0) for name in _notes("train")}
    clips[BROKEN] = content
    if content is None:
        del clips[BROKEN]
    _publish(site, monkeypatch, "train", _tar("train", clips))
    message = rf"1 of the 22 clips of NSynth .*{BROKEN}\.wav \({match}"
    with pytest.warns(UserWarning, match=message) as caught:
        data = _fetch(tmp_path)
    assert caught[0].filename == __file__.replace(".pyc", ".py")
    assert data.paths.shape == data.target.shape == data.subset.shape == (21,)
    assert _names(data, "train") == [name for name in NAMES if name != BROKEN]
    ((train, _),) = data.cv.split()
    assert set(data.subset[train]) == {"train"}
    (tmp_path / f"nsynth/train-balanced/audio/{BROKEN}.wav").write_bytes(_wav(0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _names(_fetch(tmp_path), "train") == NAMES


# --------------------------------------------------------------------------- cut
def test_half_a_download_is_kept_and_completed_by_the_next_call(site, tmp_path):
    site.cuts = [None, 1000]
    with pytest.raises(OSError, match=r"nsynth-train.*1000 bytes that arrived"):
        _fetch(tmp_path)
    part = f"balanced-{_archive('train')}.part"
    assert _cached(tmp_path) == ["balanced", part]
    site.asked.clear()
    _fetch(tmp_path)
    assert site.asked == ["bytes=1000-", None, None]
    assert _cached(tmp_path) == ["balanced", "test", "train-balanced", "valid"]


def test_a_part_that_is_there_stays_when_another_fails(site, tmp_path):
    del site.files[_archive("test")]
    with pytest.raises(OSError, match=r"Could not download .*nsynth-test.*404"):
        _fetch(tmp_path)
    assert _cached(tmp_path) == ["balanced", "train-balanced", "valid"]


# ------------------------------------------------------------------------- wrong
@pytest.mark.parametrize("name", [_archive("valid"), _nsynth.LIST])
def test_wrong_checksum(site, tmp_path, name):
    good, site.files[name] = site.files[name], b"<html>please log in</html>"
    with pytest.raises(OSError, match=f"{name} sent is not what was published there"):
        _fetch(tmp_path)
    assert name not in _cached(tmp_path)
    site.files[name] = good
    assert _fetch(tmp_path).paths.shape == (22,)


def _damaged():
    """Only the checksum at the end of the archive shows it."""
    content = bytearray(_tar("train"))
    content[-8] ^= 1
    return bytes(content)


def _changed(name, **values):
    notes = _notes("train")
    notes[name] = {**notes[name], **values}
    return _tar("train", notes=notes)


def _without(name):
    notes = _notes("train")
    del notes[name]
    return notes


OTHER = "bass_acoustic_000-099-050"
WRONG = {
    "an error page": ("full", lambda: b"<html>", "Not a gzipped file"),
    "half an archive": ("full", lambda: _tar("train")[:-200], "ended before the end"),
    "a damaged archive": ("balanced", _damaged, "CRC check failed"),
    "no table": (
        "full",
        lambda: _tar("train", prefix="old/nsynth-"),
        r"examples\.json is missing",
    ),
    "a row less": (
        "full",
        lambda: _tar("train", notes=_without(BROKEN)),
        "has 17 notes, not 18",
    ),
    "a wanted note less": (
        "balanced",
        lambda: _changed(BROKEN, note_str=OTHER),
        f"lacks 1 wanted notes: {BROKEN}",
    ),
    "a note of another name": (
        "full",
        lambda: _changed(BROKEN, note_str=OTHER),
        rf"holds 1 other notes: audio/{BROKEN}\.wav",
    ),
    "a note without a pitch": (
        "full",
        lambda: _changed(BROKEN, pitch=None),
        "notes without all of note, note_str",
    ),
    "too many faulty": (
        "balanced",
        lambda: _tar("train", clips={}),
        r"6 of its 6 clips .*: audio/bass_acoustic_000-060-050\.wav \(missing",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_contents_that_contradict_the_description(site, tmp_path, monkeypatch, what):
    subset, change, match = WRONG[what]
    _publish(site, monkeypatch, "train", change())
    with pytest.raises(OSError, match=f"not as described: .*{match}.*please report"):
        _fetch(tmp_path, subset=subset)
    assert not list((tmp_path / "nsynth").glob("train*"))
    assert not list((tmp_path / "nsynth").glob("unpacking-*"))


@pytest.mark.parametrize(
    "notes",
    [
        {"bass": BALANCED["bass"]},
        {**BALANCED, "organ": BALANCED["organ"][:2]},
        {**BALANCED, "organ": ["a", "b", "a"]},
        list(BALANCED),
    ],
)
def test_another_list(site, tmp_path, monkeypatch, notes):
    _publish(site, monkeypatch, _nsynth.LIST, json.dumps(notes).encode())
    with pytest.raises(OSError, match="the balanced notes of NSynth are not as desc"):
        _fetch(tmp_path)
    assert not (tmp_path / "nsynth/balanced").exists()


def _member(name, kind=tarfile.REGTYPE, target="", size=0):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return info


@pytest.mark.parametrize(
    ("name", "size"), [(f"audio/{OTHER}.wav", 2**20), ("examples.json", 2**16)]
)
def test_too_large_a_member_is_not_unpacked(site, tmp_path, monkeypatch, name, size):
    large = _member(f"nsynth-train/{name}", size=size)
    archive = _tar("train", clips={}, notes={}, extra=[large])
    if name == "examples.json":  # in place of the other
        archive = _tar("train", notes={"padding": " " * size})
    _publish(site, monkeypatch, "train", archive)
    with pytest.raises(OSError, match=rf"{name} has \d+ bytes, more than"):
        _fetch(tmp_path, subset="full")


def test_nothing_is_written_outside(site, tmp_path, monkeypatch):
    """Other names, links and devices in the archive are not extracted."""
    audio = "nsynth-train/audio"
    hostile = [
        _member("../escape.wav"),
        _member(str(tmp_path / "escape.wav")),
        _member(f"{audio}/../../../escape.wav"),
        _member(f"{audio}/sub/{OTHER}.wav"),
        _member(f"nsynth-test/audio/{OTHER}.wav"),
        _member(audio, tarfile.SYMTYPE, str(tmp_path)),
        _member(f"{audio}/{OTHER}.wav", tarfile.SYMTYPE, "/etc/passwd"),
        _member(f"{audio}/{OTHER}.wav", tarfile.LNKTYPE, "../escape.wav"),
        _member(f"{audio}/{OTHER}.wav", tarfile.CHRTYPE),
    ]
    home = tmp_path / "home"
    _publish(site, monkeypatch, "train", _tar("train", extra=hostile))
    assert _fetch(home, subset="full", parts=["train"]).paths.shape == (18,)
    assert [p.name for p in tmp_path.iterdir()] == ["home"]
    written = [p for p in (home / "nsynth/train/audio").rglob("*") if not p.is_dir()]
    assert len(written) == 18
    assert not any(path.is_symlink() for path in home.rglob("*"))
