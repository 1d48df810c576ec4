"""fetch_urbansound8k against a local server: folds, broken clips, hostile archives."""

import hashlib
import io
import tarfile
import warnings

import numpy as np
import pytest
import soundfile

from skaudio.datasets import _urbansound8k, clear_data_home, fetch_urbansound8k

# dog_bark comes first and last in the table, siren has number 1
LAYOUT = _urbansound8k.Layout(
    classes={"dog_bark": 6, "siren": 4}, folds=(5, 3, 2), max_faulty=2
)
# recording, class, slices and the fold that they are in
CUTS = [(1002, 0, 3, 1), (77, 1, 2, 1), (305, 0, 3, 2), (9, 1, 2, 3)]
CLASSES = list(LAYOUT.classes)
HEAD = "slice_file_name,fsID,start,end,salience,fold,classID,class"
BROKEN = "fold2/305-0-0-1.wav"


def _wav(seed, frames=400, **kind):
    out = io.BytesIO()
    noise = np.random.default_rng(seed).normal(0, 0.1, frames)
    soundfile.write(out, noise, 8000, format="WAV", **kind)
    return out.getvalue()


def _clips():
    """Clips of every kind of file that the recordings have."""
    subtypes = ["PCM_16", "PCM_24", "FLOAT", "MS_ADPCM", "PCM_U8"]
    clips = {}
    for source, label, n, fold in CUTS:
        for i in range(n):
            kind = subtypes[len(clips) % len(subtypes)]
            name = f"fold{fold}/{source}-{label}-0-{i}.wav"
            clips[name] = _wav(len(clips), subtype=kind)
    return clips


def _table():
    rows = [
        f"{source}-{label}-0-{i}.wav,{source},{0.1 * i!r},{0.1 * i + 0.05!r},"
        f"{1 + i % 2},{fold},{label},{CLASSES[label]}"
        for source, label, n, fold in CUTS
        for i in range(n)
    ]
    return "\n".join([HEAD, *rows]) + "\n"


def _tar(clips=None, table=None, *, extra=(), prefix="UrbanSound8K/"):
    """The published archive, with what macOS leaves in it."""
    clips = _clips() if clips is None else clips
    files = {f"audio/{name}": content for name, content in clips.items()}
    files |= {f"audio/._{name.replace('/', '_')}": b"mac" for name in clips}
    files["metadata/UrbanSound8K.csv"] = (table or _table()).encode()
    files |= {"UrbanSound8K_README.txt": b"read", "FREESOUNDCREDITS.txt": b"thanks"}
    files["audio/.DS_Store"] = b"mac"
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for info in extra:
            tar.addfile(info, io.BytesIO(bytes(info.size)))
    return out.getvalue()


def _publish(site, monkeypatch, content):
    site.files[_urbansound8k.AUDIO] = content
    checksum = f"md5:{hashlib.md5(content, usedforsecurity=False).hexdigest()}"
    monkeypatch.setitem(_urbansound8k.CHECKSUMS, _urbansound8k.AUDIO, checksum)


@pytest.fixture
def site(site, monkeypatch):
    monkeypatch.setattr(_urbansound8k, "URL", site.url)
    monkeypatch.setattr(_urbansound8k, "LAYOUT", LAYOUT)
    _publish(site, monkeypatch, _tar())
    return site


def _fetch(home, **options):
    return fetch_urbansound8k(data_home=home, **{"delay": 0, "n_retries": 0, **options})


def _cached(home):
    folder = home / "urbansound8k"
    return sorted(p.name for p in folder.iterdir() if p.name[0] != ".")


# ------------------------------------------------------------------------- whole
def test_published_counts():
    layout = _urbansound8k.Layout()
    assert sum(layout.classes.values()) == sum(layout.folds) == 8732
    assert len(layout.classes) == len(layout.folds) == 10
    assert list(layout.classes) == sorted(layout.classes)


def test_everything_is_there(site, tmp_path):
    data = _fetch(tmp_path)
    names = sorted(name.rpartition("/")[2] for name in _clips())
    assert [path.rpartition("/")[2] for path in data.paths] == names
    assert data.frame["slice_file_name"].tolist() == names
    assert data.target_names.tolist() == CLASSES
    assert data.target.tolist() == [int(name.split("-")[1]) for name in names]
    assert data.frame["class"].tolist() == data.target_names[data.target].tolist()
    assert data.groups.tolist() == [int(name.split("-")[0]) for name in names]
    folds = {source: fold for source, _, _, fold in CUTS}
    assert data.folds.tolist() == [folds[source] for source in data.groups]
    assert list(data.frame) == [*HEAD.split(","), "path"]
    assert data.frame["path"].tolist() == data.paths.tolist()
    assert data.frame["start"].tolist() == [0.1 * int(name[-5]) for name in names]
    for path, fold in zip(data.paths, data.folds, strict=True):
        assert f"fold{fold}" in path
        assert soundfile.info(path).frames >= 400  # blocks of ADPCM are filled
    assert "CC BY-NC 3.0" in data.DESCR
    assert _cached(tmp_path) == ["data"]
    kept = sorted(p.name for p in (tmp_path / "urbansound8k/data").iterdir())
    assert kept == [
        "FREESOUNDCREDITS.txt",
        "UrbanSound8K_README.txt",
        "audio",
        "clips.csv",
        "metadata",
    ]
    assert not list(tmp_path.rglob("._*"))


def test_every_clip_is_tested_once_and_never_with_its_recording(site, tmp_path):
    data = _fetch(tmp_path)
    tested = []
    for train, test in data.cv.split():
        assert len(train) + len(test) == 10
        assert not set(data.groups[train]) & set(data.groups[test])
        assert len(set(data.folds[test])) == 1
        tested += test.tolist()
    assert sorted(tested) == list(range(10))


def test_X_y_and_second_time(site, tmp_path):
    data = _fetch(tmp_path)
    paths, target = _fetch(tmp_path, return_X_y=True, download_if_missing=False)
    np.testing.assert_array_equal(paths, data.paths)
    np.testing.assert_array_equal(target, data.target)
    assert len(site.asked) == 1
    clear_data_home(tmp_path)
    with pytest.raises(OSError, match=r"UrbanSound8K is not in .*_missing is False"):
        _fetch(tmp_path, download_if_missing=False)
    assert len(site.asked) == 1


def test_other_folders_in_front(site, tmp_path, monkeypatch):
    _publish(site, monkeypatch, _tar(prefix="./UrbanSound8K/"))
    assert _fetch(tmp_path).paths.shape == (10,)


# ------------------------------------------------------------------------ broken
@pytest.mark.parametrize(
    ("content", "match"),
    [(b"\0" * 500, "unreadable: Format"), (_wav(0, 0), "empty"), (None, "missing")],
)
def test_a_faulty_clip_is_named_and_left_out(
    site, tmp_path, monkeypatch, content, match
):
    clips = {**_clips(), BROKEN: content}
    if content is None:
        del clips[BROKEN]
    _publish(site, monkeypatch, _tar(clips))
    message = rf"1 of the 10 clips of UrbanSound8K .*305-0-0-1\.wav \({match}"
    with pytest.warns(UserWarning, match=message) as caught:
        data = _fetch(tmp_path)
    assert caught[0].filename == __file__.replace(".pyc", ".py")
    assert data.paths.shape == data.target.shape == data.folds.shape == (9,)
    assert not any(path.endswith(BROKEN) for path in data.paths)
    assert data.cv.get_n_splits() == 3
    good = tmp_path / "urbansound8k/data/audio" / BROKEN
    good.write_bytes(_wav(0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert str(good) in _fetch(tmp_path).paths


# --------------------------------------------------------------------------- cut
def test_half_a_download_is_kept_and_completed_by_the_next_call(site, tmp_path):
    site.cuts = [1000]
    with pytest.raises(OSError, match=r"UrbanSound8K\.tar\.gz.*1000 bytes that arrive"):
        _fetch(tmp_path)
    assert _cached(tmp_path) == ["UrbanSound8K.tar.gz.part"]
    site.asked.clear()
    _fetch(tmp_path)
    assert site.asked == ["bytes=1000-"]
    assert _cached(tmp_path) == ["data"]


def test_breaks_within_one_call(site, tmp_path):
    site.cuts = [1000, 500]
    _fetch(tmp_path, n_retries=2)
    assert site.asked == [None, "bytes=1000-", "bytes=1500-"]


# ------------------------------------------------------------------------- wrong
def test_wrong_checksum(site, tmp_path):
    name = _urbansound8k.AUDIO
    good, site.files[name] = site.files[name], b"<html>please log in</html>"
    with pytest.raises(OSError, match=f"{name} sent is not what was published there"):
        _fetch(tmp_path)
    assert _cached(tmp_path) == []
    site.files[name] = good
    assert _fetch(tmp_path).paths.shape == (10,)


def _damaged():
    """Only the checksum at the end of the archive shows it."""
    content = bytearray(_tar())
    content[-8] ^= 1
    return bytes(content)


FEW = {name: content for name, content in _clips().items() if "fold1" not in name}
WRONG = {
    "an error page": (lambda: b"<html>", "Not a gzipped file"),
    "half an archive": (lambda: _tar()[:-200], "ended before the end"),
    "a damaged archive": (_damaged, "CRC check failed"),
    "no table": (
        lambda: _tar(prefix="UrbanSound8K/old/"),
        r"metadata/UrbanSound8K\.csv is missing",
    ),
    "too many faulty": (
        lambda: _tar(FEW),
        r"5 of its 10 clips .*: 1002-0-0-0\.wav \(missing",
    ),
    "a clip too many": (
        lambda: _tar({**_clips(), "fold3/9-1-0-7.wav": _wav(0)}),
        r"holds 1 other clips: audio/fold3/9-1-0-7\.wav",
    ),
    "a clip in another fold": (
        lambda: _tar(table=_table().replace(",1,2,0,dog", ",1,3,0,dog")),
        "clips of each fold",
    ),
    "another class": (
        lambda: _tar(table=_table().replace("siren", "sirens")),
        "sirens.*clips of each class",
    ),
    "a row less": (
        lambda: _tar(table=_table().rpartition("9-1-0-1")[0]),
        "clips of each fold",
    ),
    "a row twice": (
        lambda: _tar(table=_table().replace("9-1-0-1.wav", "9-1-0-0.wav")),
        r"9-1-0-0\.wav twice",
    ),
    "other columns": (
        lambda: _tar(table=_table().replace("fsID", "source")),
        "columns .*'source'",
    ),
    "a class and its number": (
        lambda: _tar(
            table=_table()
            .replace("1,3,1,siren", "1,3,1,dog_bark")
            .replace("1,2,0,dog_bark", "1,2,0,siren", 1)
        ),
        r"contradicts the file name 305-0-0-0\.wav",
    ),
    "a name and its recording": (
        lambda: _tar(table=_table().replace("9-1-0-1.wav,9,", "9-1-0-1.wav,90,")),
        r"contradicts the file name 9-1-0-1\.wav",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_contents_that_contradict_the_description(site, tmp_path, monkeypatch, what):
    change, match = WRONG[what]
    _publish(site, monkeypatch, change())
    with pytest.raises(OSError, match=f"not as described: .*{match}.*please report"):
        _fetch(tmp_path)
    assert not (tmp_path / "urbansound8k/data").exists()
    assert not list((tmp_path / "urbansound8k").glob("unpacking-*"))


def _member(name, kind=tarfile.REGTYPE, target="", size=0):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return info


def test_too_large_a_clip_is_not_unpacked(site, tmp_path, monkeypatch):
    monkeypatch.setattr(
        _urbansound8k, "STATED", _urbansound8k.Stated(10**6, 10**6, 100)
    )
    large = _member("UrbanSound8K/audio/fold1/1-0-0-0.wav", size=2**17)
    _publish(site, monkeypatch, _tar(extra=[large]))
    with pytest.raises(OSError, match=r"1-0-0-0\.wav has 131072 bytes, more than"):
        _fetch(tmp_path)


def test_nothing_is_written_outside(site, tmp_path, monkeypatch):
    """Other names, links and devices in the archive are not extracted."""
    fold = "UrbanSound8K/audio/fold1"
    hostile = [
        _member("../escape.wav"),
        _member(str(tmp_path / "escape.wav")),
        _member(f"{fold}/../../../escape.wav"),
        _member(f"{fold}/../1-0-0-0.wav"),
        _member(fold, tarfile.SYMTYPE, str(tmp_path)),
        _member(f"{fold}/1-0-0-0.wav", tarfile.SYMTYPE, "/etc/passwd"),
        _member(f"{fold}/1-0-0-1.wav", tarfile.LNKTYPE, "../escape.wav"),
        _member(f"{fold}/1-0-0-2.wav", tarfile.CHRTYPE),
    ]
    home = tmp_path / "home"
    _publish(site, monkeypatch, _tar(extra=hostile))
    assert _fetch(home).paths.shape == (10,)
    assert [p.name for p in tmp_path.iterdir()] == ["home"]
    written = [p for p in (home / "urbansound8k/data/audio").rglob("*") if p.is_file()]
    assert len(written) == 10
    assert not any(path.is_symlink() for path in home.rglob("*"))
