"""fetch_musan against a local server: the split, broken files, hostile archives."""

import hashlib
import io
import tarfile
import warnings
from collections import Counter

import numpy as np
import pytest
import soundfile

from skaudio.datasets import _musan, clear_data_home, fetch_musan
from skaudio.datasets._classes import random_parts

LAYOUT = _musan.Layout(classes={"music": 23, "noise": 11, "speech": 10}, max_faulty=2)
SOURCES = {
    "music": ["fma", "fma-western-art", "hd-classical"],
    "noise": ["free-sound", "sound-bible"],
    "speech": ["librivox", "us-gov"],
}
BROKEN = "speech/librivox/speech-librivox-0004.wav"


def _wav(seed, frames=300):
    out = io.BytesIO()
    noise = np.random.default_rng(seed).normal(0, 0.1, frames)
    soundfile.write(out, noise, 16000, format="WAV")
    return out.getvalue()


def _files():
    """Sound, named as in the corpus: fma-western-art has files music-fma-wa-0000."""
    files = {}
    for label, n in LAYOUT.classes.items():
        for i in range(n):
            source = SOURCES[label][i % len(SOURCES[label])]
            short = source.replace("western-art", "wa").replace("-classical", "")
            files[f"{label}/{source}/{label}-{short}-{i:04d}.wav"] = _wav(len(files))
    return files


def _tar(files=None, *, extra=(), prefix="musan/"):
    files = _files() if files is None else files
    texts = {f"{f.rpartition('/')[0]}/LICENSE": b"CC" for f in files}
    texts |= {f"{f.rpartition('/')[0]}/ANNOTATIONS": b"rock Y" for f in files}
    texts |= {"README": b"read", "music/fma/._music-fma-0000.wav": b"mac"}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in {**files, **texts}.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for info in extra:
            tar.addfile(info, io.BytesIO(bytes(info.size)))
    return out.getvalue()


def _publish(site, monkeypatch, content):
    site.files[_musan.AUDIO] = content
    checksum = f"md5:{hashlib.md5(content, usedforsecurity=False).hexdigest()}"
    monkeypatch.setitem(_musan.CHECKSUMS, _musan.AUDIO, checksum)


@pytest.fixture
def site(site, monkeypatch):
    monkeypatch.setattr(_musan, "URL", site.url)
    monkeypatch.setattr(_musan, "LAYOUT", LAYOUT)
    _publish(site, monkeypatch, _tar())
    return site


def _fetch(home, **options):
    return fetch_musan(data_home=home, **{"delay": 0, "n_retries": 0, **options})


def _cached(home):
    return sorted(p.name for p in (home / "musan").iterdir() if p.name[0] != ".")


# ------------------------------------------------------------------------- whole
def test_published_counts():
    layout = _musan.Layout()
    assert layout.classes == {"music": 660, "noise": 930, "speech": 426}
    labels = np.repeat(list(layout.classes), list(layout.classes.values()))
    parts = random_parts(labels, _musan.PERCENT, 7)
    counts = Counter(zip(labels.tolist(), parts.tolist(), strict=True))
    assert [counts["music", p] for p in _musan.PERCENT] == [429, 66, 165]
    assert [counts["noise", p] for p in _musan.PERCENT] == [604, 93, 233]
    assert [counts["speech", p] for p in _musan.PERCENT] == [276, 43, 107]
    assert "1,309 train, 202 valid, 505 test" in fetch_musan.__doc__


def test_everything_is_there(site, tmp_path):
    data = _fetch(tmp_path)
    names = sorted(_files())
    assert data.frame["filename"].tolist() == names
    assert data.frame["path"].tolist() == data.paths.tolist()
    assert list(data.frame) == ["filename", "class", "source", "subset", "path"]
    for row in data.frame.itertuples():
        assert row.filename.split("/")[1] == row.source
        assert row.path.endswith(row.filename)
        assert soundfile.info(row.path).frames == 300
    assert data.target_names.tolist() == ["music", "noise", "speech"]
    labels = [name.split("/")[0] for name in names]
    assert data.target_names[data.target].tolist() == labels
    assert data.groups.tolist() == names
    assert data.folds is None
    assert "CC BY 4.0" in data.DESCR
    assert _cached(tmp_path) == ["data"]
    kept = tmp_path / "musan/data"
    assert (kept / "speech/us-gov/LICENSE").read_bytes() == b"CC"
    assert (kept / "music/fma/ANNOTATIONS").exists()
    assert not list(tmp_path.rglob("._*"))


def test_shares_of_every_class(site, tmp_path):
    data = _fetch(tmp_path)
    parts = data.train, data.valid, data.test
    assert sorted(np.concatenate(parts)) == list(range(44))
    counts = [np.bincount(data.target[part]).tolist() for part in parts]
    assert counts == [[14, 7, 6], [3, 1, 1], [6, 3, 3]]
    for name, part in zip(("train", "valid", "test"), parts, strict=True):
        assert set(data.subset[part]) == {name}
    ((train, test),) = data.cv.split()
    np.testing.assert_array_equal(train, data.train)
    np.testing.assert_array_equal(test, data.test)


def test_the_split_is_the_same_for_ever(site, tmp_path):
    data = _fetch(tmp_path)
    assert data.valid.tolist() == [8, 9, 17, 23, 43]
    np.testing.assert_array_equal(_fetch(tmp_path).subset, data.subset)
    other = _fetch(tmp_path, random_state=8)
    assert (other.subset != data.subset).any()
    assert Counter(other.subset) == Counter(data.subset)


def test_X_y_and_second_time(site, tmp_path):
    data = _fetch(tmp_path)
    paths, target = _fetch(tmp_path, return_X_y=True, download_if_missing=False)
    np.testing.assert_array_equal(paths, data.paths)
    np.testing.assert_array_equal(target, data.target)
    assert len(site.asked) == 1
    clear_data_home(tmp_path)
    with pytest.raises(OSError, match=r"MUSAN is not in .*_missing is False"):
        _fetch(tmp_path, download_if_missing=False)


# ------------------------------------------------------------------------ broken
@pytest.mark.parametrize(
    ("content", "match"), [(b"\0" * 500, "unreadable: Format"), (_wav(0, 0), "empty")]
)
def test_a_faulty_file_is_named_and_changes_no_part(
    site, tmp_path, monkeypatch, content, match
):
    whole = _fetch(tmp_path / "whole")
    parts = dict(zip(whole.groups, whole.subset, strict=True))
    _publish(site, monkeypatch, _tar({**_files(), BROKEN: content}))
    message = rf"1 of the 44 clips of MUSAN .*librivox-0004\.wav \({match}"
    with pytest.warns(UserWarning, match=message) as caught:
        data = _fetch(tmp_path)
    assert caught[0].filename == __file__.replace(".pyc", ".py")
    assert len(data.paths) == len(data.target) == len(data.subset) == 43
    assert len(data.train) + len(data.valid) + len(data.test) == 43
    assert not any(path.endswith(BROKEN) for path in data.paths)
    assert data.subset.tolist() == [parts[name] for name in data.groups]
    good = tmp_path / "musan/data" / BROKEN
    good.write_bytes(_wav(0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert str(good) in _fetch(tmp_path).paths


# -------------------------------------------------------------------- cut, wrong
def test_half_a_download_is_kept_and_completed_by_the_next_call(site, tmp_path):
    site.cuts = [1000]
    with pytest.raises(OSError, match=r"musan\.tar\.gz.*1000 bytes that arrive"):
        _fetch(tmp_path)
    assert _cached(tmp_path) == ["musan.tar.gz.part"]
    site.asked.clear()
    _fetch(tmp_path)
    assert site.asked == ["bytes=1000-"]
    assert _cached(tmp_path) == ["data"]


def test_wrong_checksum(site, tmp_path):
    site.files[_musan.AUDIO] = b"<html>please log in</html>"
    with pytest.raises(OSError, match="sent is not what was published there"):
        _fetch(tmp_path)
    assert _cached(tmp_path) == []


FEW = dict.fromkeys(list(_files())[:3], b"")
WRONG = {
    "an error page": (lambda: b"<html>", "Not a gzipped file"),
    "half an archive": (lambda: _tar()[:-200], "ended before the end"),
    "another folder": (lambda: _tar(prefix="corpus/"), "holds {'music': 0, 'noise': 0"),
    "a file too many": (
        lambda: _tar({**_files(), "noise/free-sound/noise-free-sound-0099.wav": b""}),
        "'noise': 12",
    ),
    "too many faulty": (lambda: _tar({**_files(), **FEW}), "3 of its 44 clips are "),
}


@pytest.mark.parametrize("what", WRONG)
def test_contents_that_contradict_the_description(site, tmp_path, monkeypatch, what):
    change, match = WRONG[what]
    _publish(site, monkeypatch, change())
    with pytest.raises(OSError, match=f"not as described: .*{match}.*please report"):
        _fetch(tmp_path)
    assert not (tmp_path / "musan/data").exists()
    assert not list((tmp_path / "musan").glob("unpacking-*"))


def _member(name, kind=tarfile.REGTYPE, target="", size=0):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return info


def test_nothing_is_written_outside(site, tmp_path, monkeypatch):
    """Other names, links and devices in the archive are not extracted."""
    name = "musan/noise/free-sound/noise-free-sound-0100.wav"
    hostile = [
        _member("../escape.wav"),
        _member(str(tmp_path / "escape.wav")),
        _member("musan/noise/../../escape/noise-free-sound-0100.wav"),
        _member("musan/noise/free-sound/speech-librivox-0100.wav"),
        _member("musan/noise/free-sound", tarfile.SYMTYPE, str(tmp_path)),
        _member(name, tarfile.SYMTYPE, "/etc/passwd"),
        _member(name, tarfile.LNKTYPE, "../escape.wav"),
        _member(name, tarfile.CHRTYPE),
    ]
    home = tmp_path / "home"
    _publish(site, monkeypatch, _tar(extra=hostile))
    assert _fetch(home).paths.shape == (44,)
    assert [p.name for p in tmp_path.iterdir()] == ["home"]
    assert len(list((home / "musan/data").rglob("*.wav"))) == 44
    assert not any(path.is_symlink() for path in home.rglob("*"))


# ----------------------------------------------------------------- random parts
def test_parts_are_cut_by_class_and_do_not_follow_names():
    labels = np.array(["b"] * 10 + ["a"] * 4)
    parts = random_parts(labels, {"train": 50, "test": 50}, 0)
    assert Counter(parts[:10]) == {"train": 5, "test": 5}
    assert Counter(parts[10:]) == {"train": 2, "test": 2}
    assert parts[:10].tolist() not in ([*["train"] * 5, *["test"] * 5], ["test"] * 5)
    one = random_parts(labels, {"train": 50, "test": 50}, np.random.RandomState(0))
    np.testing.assert_array_equal(one, parts)
