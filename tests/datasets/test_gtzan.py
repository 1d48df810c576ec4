"""fetch_gtzan against a local server: both splits, broken clips, hostile archives."""

import hashlib
import io
import tarfile
import warnings
from collections import Counter

import numpy as np
import pytest
import soundfile

from skaudio.datasets import _gtzan, clear_data_home, fetch_gtzan

# two genres of twenty clips; the last two of each are in no list
LAYOUT = _gtzan.Layout(
    genres=("blues", "jazz"),
    clips_per_genre=20,
    subsets={"train": 20, "valid": 6, "test": 10},
    max_faulty=2,
)
CUTS = {"train": range(10), "valid": range(10, 13), "test": range(13, 18)}
BROKEN = "jazz/jazz.00004.wav"


def _wav(seed, frames=300):
    out = io.BytesIO()
    noise = np.random.default_rng(seed).normal(0, 0.1, frames)
    soundfile.write(out, noise, 22050, format="WAV")
    return out.getvalue()


def _name(genre, number):
    return f"{genre}/{genre}.{number:05d}.wav"


def _clips():
    names = [_name(genre, i) for genre in LAYOUT.genres for i in range(20)]
    return {name: _wav(seed) for seed, name in enumerate(names)}


def _lists():
    return {
        f"{part}_filtered.txt": "".join(
            f"{_name(genre, i)}\n" for genre in LAYOUT.genres for i in numbers
        ).encode()
        for part, numbers in CUTS.items()
    }


def _tar(clips, extra=(), prefix="genres/"):
    """An archive as it is found in the wild, with what macOS leaves in it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in clips.items():
            folder, _, file = name.rpartition("/")
            for path, data in ((name, content), (f"{folder}/._{file}", b"mac")):
                info = tarfile.TarInfo(prefix + path)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        for info in extra:
            tar.addfile(info, io.BytesIO(bytes(info.size)))
    return out.getvalue()


def _publish(site, monkeypatch, *, audio=None, **lists):
    files = {**_lists(), "genres.tar.gz": audio or _tar(_clips())}
    files |= {f"{part}_filtered.txt": text.encode() for part, text in lists.items()}
    site.files.update(files)
    for name, content in files.items():
        checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
        monkeypatch.setitem(_gtzan.CHECKSUMS, name, checksum)


@pytest.fixture
def site(site, monkeypatch):
    monkeypatch.setattr(_gtzan, "AUDIO_URL", f"{site.url}/audio")
    monkeypatch.setattr(_gtzan, "LISTS_URL", f"{site.url}/lists")
    monkeypatch.setattr(_gtzan, "LAYOUT", LAYOUT)
    _publish(site, monkeypatch)
    return site


def _fetch(home, **options):
    return fetch_gtzan(data_home=home, **{"delay": 0, "n_retries": 0, **options})


def _cached(home):
    return sorted(p.name for p in (home / "gtzan").iterdir() if p.name[0] != ".")


# ------------------------------------------------------------------------- whole
def test_fault_filtered(site, tmp_path):
    data = _fetch(tmp_path)
    assert data.paths.shape == data.target.shape == data.subset.shape == (36,)
    assert data.target_names.tolist() == ["blues", "jazz"]
    assert data.frame["genre"].tolist() == data.target_names[data.target].tolist()
    assert data.groups is None
    assert data.folds is None
    ((train, test),) = data.cv.split()
    assert data.cv.get_n_splits() == 1
    assert set(data.subset[train]) == {"train"}
    assert set(data.subset[test]) == {"test"}
    assert len(train) == 20
    assert len(test) == 10
    assert len(data.valid) == 6  # in neither
    for part in ("train", "valid", "test"):
        assert set(data.subset[data[part]]) == {part}
    assert data.train.tolist() == train.tolist()
    assert data.test.tolist() == test.tolist()
    for path in data.paths:
        assert soundfile.info(path).frames == 300
    assert _cached(tmp_path) == ["data"]
    files = sorted(p.name for p in (tmp_path / "gtzan/data").iterdir())
    assert files == ["clips.csv", "genres", *sorted(_lists())]
    assert not list(tmp_path.rglob("._*"))


def test_ten_folds_of_all_clips(site, tmp_path):
    data = _fetch(tmp_path, split="ten-fold")
    assert data.paths.shape == (40,)
    assert data.subset is data.train is data.valid is data.test is None
    assert data.cv.get_n_splits() == 10
    for genre in (0, 1):
        folds = data.folds[data.target == genre]
        assert np.bincount(folds).tolist() == [0, *[2] * 10]


def test_folds_are_the_same_for_ever():
    names = [f"blues.{i:05d}" for i in range(100)]
    folds = _gtzan._folds(names)
    assert [folds[name] for name in names[:8]] == [9, 2, 9, 4, 7, 7, 8, 8]
    assert np.bincount(list(folds.values())).tolist() == [0, *[10] * 10]
    assert _gtzan._folds(names[::-1]) == folds


def test_X_y_and_second_time(site, tmp_path):
    data = _fetch(tmp_path)
    paths, target = _fetch(tmp_path, return_X_y=True, download_if_missing=False)
    np.testing.assert_array_equal(paths, data.paths)
    np.testing.assert_array_equal(target, data.target)
    _fetch(tmp_path, split="ten-fold", download_if_missing=False)
    assert len(site.asked) == 4  # one download serves both splits
    clear_data_home(tmp_path)
    with pytest.raises(OSError, match=r"GTZAN is not in .*_missing is False"):
        _fetch(tmp_path, download_if_missing=False)
    assert len(site.asked) == 4


def test_unknown_split(tmp_path):
    with pytest.raises(ValueError, match="or 'ten-fold'; got 'random'"):
        _fetch(tmp_path, split="random")


def test_au_files_in_an_unprefixed_folder(site, tmp_path, monkeypatch):
    clips = {name.replace(".wav", ".au"): wav for name, wav in _clips().items()}
    _publish(site, monkeypatch, audio=_tar(clips, prefix="./genres/"))
    data = _fetch(tmp_path)
    assert data.paths.shape == (36,)
    assert all(path.endswith(".au") for path in data.paths)


def test_real_lists(shared_data, tmp_path):
    """The published lists have the published checksums, sizes and counts per genre."""
    folder = shared_data / "gtzan_splits"
    lists = {part: folder / f"{part}_filtered.txt" for part in CUTS}
    for path in lists.values():
        checksum = hashlib.sha256(path.read_bytes()).hexdigest()
        assert _gtzan.CHECKSUMS[path.name] == f"sha256:{checksum}"
    subsets = _gtzan._read_lists(lists)
    found = Counter((part, name.partition(".")[0]) for name, part in subsets.items())
    genres = _gtzan.LAYOUT.genres
    counts = {part: [found[part, genre] for genre in genres] for part in lists}
    assert counts == {
        "train": [46, 48, 45, 42, 47, 43, 44, 41, 43, 44],
        "valid": [23, 20, 23, 22, 18, 17, 20, 13, 17, 24],
        "test": [31, 31, 30, 29, 27, 27, 27, 30, 26, 32],
    }
    assert subsets["jazz.00054"] == "train"
    assert all(int(name.partition(".")[2]) < 100 for name in subsets)


# ------------------------------------------------------------------------ broken
FAULTS = {
    "not audio": (lambda clips: {**clips, BROKEN: b"\0" * 500}, "unreadable: Format"),
    "empty": (lambda clips: {**clips, BROKEN: _wav(0, 0)}, "empty"),
    "missing": (
        lambda clips: {k: v for k, v in clips.items() if k != BROKEN},
        "missing",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_clip_is_named_and_left_out(site, tmp_path, monkeypatch, fault):
    change, match = FAULTS[fault]
    _publish(site, monkeypatch, audio=_tar(change(_clips())))
    message = rf"1 of the 36 clips .* is left out: .*jazz\.00004\.wav \({match}"
    with pytest.warns(UserWarning, match=message) as caught:
        data = _fetch(tmp_path)
    assert caught[0].filename == __file__.replace(".pyc", ".py")
    assert data.paths.shape == data.target.shape == data.subset.shape == (35,)
    assert not any(path.endswith(BROKEN) for path in data.paths)
    ((train, test),) = data.cv.split()
    assert set(data.subset[train]) == {"train"}
    assert set(data.subset[test]) == {"test"}
    assert len(train) == 19
    with pytest.warns(UserWarning, match="1 of the 40 clips"):
        folds = _fetch(tmp_path, split="ten-fold").folds
    assert sorted(np.bincount(folds)[1:]) == [3, *[4] * 9]


def test_a_clip_outside_the_split_is_not_worth_a_warning(site, tmp_path, monkeypatch):
    _publish(site, monkeypatch, audio=_tar({**_clips(), _name("jazz", 19): b"x"}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _fetch(tmp_path).paths.shape == (36,)


def test_a_good_file_in_its_place_makes_the_split_whole(site, tmp_path, monkeypatch):
    _publish(site, monkeypatch, audio=_tar({**_clips(), BROKEN: b"x"}))
    with pytest.warns(UserWarning, match="put a good file in its place"):
        _fetch(tmp_path)
    (tmp_path / "gtzan/data/genres" / BROKEN).write_bytes(_wav(0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = _fetch(tmp_path)
    assert data.paths.shape == (36,)
    assert any(path.endswith(BROKEN) for path in data.paths)


# --------------------------------------------------------------------------- cut
def test_half_a_download_is_kept_and_completed_by_the_next_call(site, tmp_path):
    site.cuts = [None, None, None, 1000]
    with pytest.raises(OSError, match=r"genres\.tar\.gz.*1000 bytes that arrived"):
        _fetch(tmp_path)
    assert _cached(tmp_path) == ["genres.tar.gz.part", *sorted(_lists())]
    site.asked.clear()
    _fetch(tmp_path)
    assert site.asked == ["bytes=1000-"]
    assert _cached(tmp_path) == ["data"]


def test_no_network(site, tmp_path):
    site.status = 404
    with pytest.raises(OSError, match=r"Could not download .*train_filtered\.txt.*404"):
        _fetch(tmp_path)
    assert _cached(tmp_path) == []


# ------------------------------------------------------------------------- wrong
@pytest.mark.parametrize("name", ["genres.tar.gz", "valid_filtered.txt"])
def test_wrong_checksum(site, tmp_path, name):
    good, site.files[name] = site.files[name], b"<html>please log in</html>"
    with pytest.raises(OSError, match=f"{name} sent is not what was published there"):
        _fetch(tmp_path)
    assert name not in _cached(tmp_path)
    site.files[name] = good
    assert _fetch(tmp_path).paths.shape == (36,)


def _truncated():
    return _tar(_clips())[:-200]


def _damaged():
    """Only the checksum at the end of the archive shows it."""
    content = bytearray(_tar(_clips()))
    content[-8] ^= 1
    return bytes(content)


THREE = {_name("jazz", i): b"broken" for i in (1, 2, 3)}
VALID = _lists()["valid_filtered.txt"].decode()
WRONG = {
    "an error page": (lambda: {"audio": b"<html>"}, "Not a gzipped file"),
    "half an archive": (lambda: {"audio": _truncated()}, "ended before the end"),
    "a damaged archive": (lambda: {"audio": _damaged()}, "CRC check failed"),
    "no clips": (lambda: {"audio": _tar({})}, "40 of its 40 clips are missing"),
    "too many faulty": (
        lambda: {"audio": _tar({**_clips(), **THREE})},
        r"3 of its 40 clips .* jazz/jazz\.00001\.wav \(unreadable",
    ),
    "a clip too many": (
        lambda: {"audio": _tar({**_clips(), _name("blues", 20): _wav(0)})},
        r"holds 1 other clips: blues\.00020",
    ),
    "a clip twice": (
        lambda: {"audio": _tar({**_clips(), "jazz/jazz.00000.au": _wav(0)})},
        r"jazz\.00000 is there twice",
    ),
    "a short list": (
        lambda: {"valid": VALID.partition("\n")[2]},
        r"valid_filtered\.txt lists 5 clips, not 6",
    ),
    "a clip in two lists": (
        lambda: {"valid": VALID.replace("blues.00010", "blues.00000")},
        r"lists a clip again: blues\.00000",
    ),
    "an unknown clip": (
        lambda: {"valid": VALID.replace("blues.00010", "blues.00077")},
        r"lists name 1 other clips: blues\.00077",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_contents_that_contradict_the_description(site, tmp_path, monkeypatch, what):
    change, match = WRONG[what]
    _publish(site, monkeypatch, **change())
    with pytest.raises(OSError, match=f"not as described: .*{match}.*please report"):
        _fetch(tmp_path)
    assert not (tmp_path / "gtzan/data").exists()
    assert not list((tmp_path / "gtzan").glob("unpacking-*"))


def _member(name, kind=tarfile.REGTYPE, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, 0
    return info


def test_nothing_is_written_outside(site, tmp_path, monkeypatch):
    """Other names, links and devices in the archive are not extracted."""
    hostile = [
        _member("../escape.wav"),
        _member(str(tmp_path / "escape.wav")),
        _member("genres/../../escape.wav"),
        _member("genres/jazz", tarfile.SYMTYPE, str(tmp_path)),
        _member("genres/blues/blues.00020.wav", tarfile.SYMTYPE, "/etc/passwd"),
        _member("genres/blues/blues.00021.wav", tarfile.LNKTYPE, "../escape.wav"),
        _member("genres/blues/blues.00022.wav", tarfile.CHRTYPE),
    ]
    home = tmp_path / "home"
    _publish(site, monkeypatch, audio=_tar(_clips(), extra=hostile))
    assert _fetch(home).paths.shape == (36,)
    assert [p.name for p in tmp_path.iterdir()] == ["home"]
    written = [p for p in (home / "gtzan/data/genres").rglob("*") if not p.is_dir()]
    assert len(written) == 40
    assert not any(path.is_symlink() for path in home.rglob("*"))
