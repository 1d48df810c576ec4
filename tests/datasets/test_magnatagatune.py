"""fetch_magnatagatune against a local server: an archive in parts, lists in pickles."""

import hashlib
import io
import itertools
import pickle
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.sparse import issparse

from skaudio.datasets import _magnatagatune as module
from skaudio.datasets import clear_data_home, fetch_magnatagatune
from skaudio.datasets._archives import Parts

LAYOUT = module.Layout(
    n_tags=4, subsets={"train": 8, "valid": 2, "test": 4}, max_faulty=2
)
FOLDERS = {"train": "0a", "valid": "c", "test": "f"}
TAGS = ["guitar", "noVocals", "maleVoice", "slow"]
BROKEN = "0/some_band-first_album-01-a_song__live_-30-59.mp3"
OUTSIDE = "9/some_band-third_album-03-unheard-0-29.mp3"  # in no list


def _mp3(seed, frames=3000):
    out = io.BytesIO()
    noise = np.random.default_rng(seed).normal(0, 0.1, frames)
    soundfile.write(out, noise, 16000, format="MP3", subtype="MPEG_LAYER_III")
    return out.getvalue()


def _names():
    """Part of the split -> its clips, two of every track."""
    names = {}
    for part, n_clips in LAYOUT.subsets.items():
        folders = FOLDERS[part]
        names[part] = sorted(
            f"{folders[i // 4 % len(folders)]}/some_band-first_album-{1 + i // 2:02}"
            f"-a_song__live_-{30 + 29 * (i % 2)}-{59 + 29 * (i % 2)}.mp3"
            for i in range(n_clips)
        )
    return names


def _clips():
    names = [*itertools.chain(*_names().values()), OUTSIDE]
    return {name: _mp3(seed) for seed, name in enumerate(names)}


def _tags(part):
    n_clips = LAYOUT.subsets[part]
    rng = np.random.default_rng(n_clips)
    return rng.integers(0, 2, (n_clips, 4)).astype(float)


def _npy(array):
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def _python_2(names):
    """A list of texts as Python 2 pickled it."""
    items = (f"S'{name}'\np{i}\na" for i, name in enumerate(names, 1))
    return ("(lp0\n" + "".join(items) + ".").encode()


def _lists():
    files = {"top50_tags.txt": "\n".join([*TAGS, ""]).encode()}
    for part, names in _names().items():
        features = [name.replace(".mp3", ".npy") for name in names]
        files[f"{part}_list_pub.cP"] = _python_2(features)
        files[f"y_{part}_pub.npy"] = _npy(_tags(part))
    return files


def _zip(clips, extra=()):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, content in [*clips.items(), *extra]:
            file.writestr(name, content)
    return out.getvalue()


def _cut(content, places=(1001, 7777)):
    """In three, wherever that is."""
    ends = [0, *places, len(content)]
    parts = zip(module.AUDIO, ends, ends[1:], strict=False)
    return {name: content[start:end] for name, start, end in parts}


def _publish(site, monkeypatch, *, audio=None, lists=None):
    files = {**_lists(), **(lists or {})}
    site.files.update({**files, **_cut(audio or _zip(_clips()))})
    for name, content in files.items():
        if name != "y_train_pub.npy":
            checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
            monkeypatch.setitem(module.CHECKSUMS, name, checksum)
    content = files["y_train_pub.npy"]
    named = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    monkeypatch.setattr(module, "Y_TRAIN", named)


@pytest.fixture
def site(site, monkeypatch):
    monkeypatch.setattr(module, "AUDIO_URL", f"{site.url}/audio")
    monkeypatch.setattr(module, "SPLIT_URL", f"{site.url}/split")
    monkeypatch.setattr(module, "LAYOUT", LAYOUT)
    _publish(site, monkeypatch)
    return site


def _fetch(home, **options):
    return fetch_magnatagatune(data_home=home, delay=0, n_retries=0, **options)


def _cached(home):
    folder = home / "magnatagatune"
    return sorted(p.name for p in folder.iterdir() if p.name[0] != ".")


# ------------------------------------------------------------------------- whole
def test_split_tags_and_tracks(site, tmp_path):
    data = _fetch(tmp_path)
    names = [path.partition("/audio/")[2] for path in data.paths]
    assert names == sorted(itertools.chain(*_names().values()))
    assert data.target_names.tolist() == ["guitar", "no vocals", "male voice", "slow"]
    assert data.target.shape == (14, 4)
    assert data.target.dtype.kind == "i"
    assert not issparse(data.target)
    for part, clips in _names().items():
        rows = [names.index(name) for name in clips]
        np.testing.assert_array_equal(data.target[rows], _tags(part))
        assert set(data.subset[rows]) == {part}
        assert data[part].tolist() == rows
    ((train, test),) = data.cv.split()
    assert data.cv.get_n_splits() == 1
    np.testing.assert_array_equal(train, np.flatnonzero(data.subset == "train"))
    np.testing.assert_array_equal(test, np.flatnonzero(data.subset == "test"))
    assert data.folds is None
    for path in data.paths:
        assert soundfile.info(path).samplerate == 16000
    assert _cached(tmp_path) == ["audio", "checksums.json", "samplecnn"]


def test_groups_are_tracks(site, tmp_path):
    data = _fetch(tmp_path)
    assert len(set(data.groups)) == 7  # two clips of each
    assert data.groups[0] == "0/some_band-first_album-01-a_song__live_"
    for path, group in zip(data.paths, data.groups, strict=True):
        assert f"/{group}-" in path
    row = data.frame.iloc[0]
    assert (row["artist"], row["album"]) == ("some_band", "first_album")
    np.testing.assert_array_equal(data.frame["no vocals"], data.target[:, 1])
    assert data.frame["path"].tolist() == data.paths.tolist()


def test_X_y_and_second_time(site, tmp_path):
    data = _fetch(tmp_path)
    assert len(site.asked) == 10
    paths, target = _fetch(tmp_path, return_X_y=True, download_if_missing=False)
    np.testing.assert_array_equal(paths, data.paths)
    np.testing.assert_array_equal(target, data.target)
    clear_data_home(tmp_path)
    with pytest.raises(OSError, match=r"MagnaTagATune is not in .*_missing is False"):
        _fetch(tmp_path, download_if_missing=False)
    assert len(site.asked) == 10


def test_names_of_tags():
    words = [module._in_words(tag) for tag in ("noVocals", "newAge", "slow")]
    assert words == ["no vocals", "new age", "slow"]


def test_git_name(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"test content\n")  # the example of the book "Pro Git"
    assert module._git_name(path) == "d670460b4b4aece5915caf5c68d12f560a9fe3e4"


@pytest.mark.parametrize("places", [(1, 2), (0, 0), (5000, 5000), (10, 9000)])
def test_parts_read_like_the_whole(tmp_path, places):
    content = np.random.default_rng(0).bytes(10000)
    paths = []
    for name, part in _cut(content, places).items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(part)
    with io.BufferedReader(Parts(paths)) as file:
        assert file.read() == content
        assert file.read() == b""
        for start, end in ((0, 3), (4990, 5010), (9990, 10000), (3, 9999)):
            file.seek(start)
            assert file.read(end - start) == content[start:end]
            assert file.tell() == end
        assert file.seek(-7, io.SEEK_END) == 9993
        assert file.read(100) == content[-7:]
        with pytest.raises(OSError, match="before the beginning"):
            file.seek(-10001, io.SEEK_END)


# ------------------------------------------------------------------------ broken
FAULTS = {
    "no bytes": (lambda clips: {**clips, BROKEN: b""}, "unreadable: "),
    "not audio": (lambda clips: {**clips, BROKEN: b"\0" * 500}, "unreadable: "),
    "missing": (
        lambda clips: {k: v for k, v in clips.items() if k != BROKEN},
        "missing",
    ),
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_faulty_clip_is_named_and_left_out(site, tmp_path, monkeypatch, what):
    change, match = FAULTS[what]
    _publish(site, monkeypatch, audio=_zip(change(_clips())))
    message = rf"1 of the 14 clips of MagnaTagATune .* left out: .*59\.mp3 \({match}"
    with pytest.warns(UserWarning, match=message) as caught:
        data = _fetch(tmp_path)
    assert Path(caught[0].filename) == Path(__file__)
    assert not any(path.endswith(BROKEN) for path in data.paths)
    rows = [data.paths, data.target, data.subset, data.groups, data.frame]
    assert {len(row) for row in rows} == {13}
    ((train, test),) = data.cv.split()
    assert (len(train), len(test)) == (7, 4)
    (tmp_path / "magnatagatune/audio" / BROKEN).write_bytes(_mp3(0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(_fetch(tmp_path).paths) == 14


def test_an_empty_file_outside_the_split_is_not_worth_a_warning(
    site, tmp_path, monkeypatch
):
    _publish(site, monkeypatch, audio=_zip({**_clips(), OUTSIDE: b""}))
    assert len(_fetch(tmp_path).paths) == 14
    assert (tmp_path / "magnatagatune/audio" / OUTSIDE).exists()


# --------------------------------------------------------------------------- cut
def test_half_a_download_is_kept_and_completed_by_the_next_call(site, tmp_path):
    site.cuts = [*[None] * 8, 1000]
    with pytest.raises(OSError, match=r"mp3\.zip\.002.*1000 bytes that arrived"):
        _fetch(tmp_path)
    kept = ["checksums.json", "mp3.zip.001", "mp3.zip.002.part", "samplecnn"]
    assert _cached(tmp_path) == kept
    site.asked.clear()
    site.names.clear()
    assert len(_fetch(tmp_path).paths) == 14
    assert site.asked == ["bytes=1000-", None]
    assert site.names == ["mp3.zip.002", "mp3.zip.003"]


# ------------------------------------------------------------------------- wrong
@pytest.mark.parametrize("name", ["valid_list_pub.cP", "y_test_pub.npy"])
def test_wrong_checksum(site, tmp_path, name):
    good, site.files[name] = site.files[name], b"<html>please log in</html>"
    with pytest.raises(OSError, match=f"{name} sent is not what was published there"):
        _fetch(tmp_path)
    assert name not in _cached(tmp_path)
    site.files[name] = good
    assert len(_fetch(tmp_path).paths) == 14


def test_the_file_that_only_git_vouches_for(site, tmp_path):
    good, site.files["y_train_pub.npy"] = site.files["y_train_pub.npy"], _npy(np.eye(4))
    with pytest.raises(
        OSError, match=r"y_train_pub\.npy sent is not .*published there"
    ):
        _fetch(tmp_path)
    assert _cached(tmp_path) == sorted(_lists().keys() - {"y_train_pub.npy"})
    site.files["y_train_pub.npy"] = good
    assert len(_fetch(tmp_path).paths) == 14


def test_audio_that_changed_since(site, tmp_path):
    _fetch(tmp_path)
    for path in (tmp_path / "magnatagatune/audio").rglob("*.*"):
        path.unlink()
    for path in (tmp_path / "magnatagatune/audio").glob("*"):
        path.rmdir()
    (tmp_path / "magnatagatune/audio").rmdir()
    site.files.update(_cut(_zip({**_clips(), BROKEN: _mp3(99)})))
    with pytest.raises(OSError, match="is not what it was when it was first fetched"):
        _fetch(tmp_path)


class _Call:
    def __reduce__(self):
        return open, ("touched", "w")


NAMES = [name.replace(".mp3", ".npy") for name in _names()["valid"]]
EVIL = {
    "a call": (pickle.dumps([_Call(), "b"], 0), r"refers to \S+\.open, .* not loaded"),
    "half a list": (_python_2(NAMES)[:-9], "damaged"),
    "too few": (_python_2(NAMES[:1]), r"valid_list_pub\.cP is not a list of 2 clips"),
    "no list": (pickle.dumps("ab", 0), "not a list of 2 clips"),
    "a path outside": (
        _python_2([NAMES[0], "../../c-d-01-e-1-2.npy"]),
        r"has a clip of the name '\.\./\.\./c-d",
    ),
    "no text": (pickle.dumps([1, 2], 0), "has a clip of the name 1"),
    "a clip again": (_python_2([NAMES[0]] * 2), r"have a clip again: c/some_band"),
}


@pytest.mark.parametrize("what", EVIL)
def test_a_list_that_was_tampered_with(site, tmp_path, monkeypatch, what):
    """Even one whose checksum is right runs nothing."""
    content, match = EVIL[what]
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    _publish(site, monkeypatch, lists={"valid_list_pub.cP": content})
    with pytest.raises(OSError, match=match):
        _fetch(tmp_path / "home")
    assert list((tmp_path / "cwd").iterdir()) == []
    assert not (tmp_path / "home/magnatagatune/samplecnn").exists()


WRONG_LISTS = {
    "too few tags": ("top50_tags.txt", b"guitar\nslow\nslow\n", "has 2 tags, not 4"),
    "another shape": ("y_valid_pub.npy", _npy(np.eye(4)), r"not an array of shape \(2"),
    "no zeros and ones": (
        "y_valid_pub.npy",
        _npy(np.full((2, 4), 0.5)),
        "other values than zeros and ones",
    ),
    "objects": (
        "y_valid_pub.npy",
        _npy(np.array([[_Call()] * 4] * 2, dtype=object)),
        "allow_pickle=False",
    ),
}


@pytest.mark.parametrize("what", WRONG_LISTS)
def test_lists_that_contradict_the_description(site, tmp_path, monkeypatch, what):
    name, content, match = WRONG_LISTS[what]
    _publish(site, monkeypatch, lists={name: content})
    with pytest.raises(OSError, match=match):
        _fetch(tmp_path)
    assert not (tmp_path / "magnatagatune/samplecnn").exists()


def _damaged():
    """A byte of a clip is another; only the checksum inside of the archive shows it."""
    content = bytearray(_zip(_clips()))
    content[content.index(_clips()[BROKEN]) + 50] ^= 1
    return bytes(content)


THREE = dict.fromkeys(_names()["train"][:3], b"broken")
WRONG_AUDIO = {
    "an error page": (lambda: b"<html>" * 2000, "not a zip file"),
    "half an archive": (lambda: _zip(_clips())[:-200], "not a zip file"),
    "a damaged archive": (_damaged, "Bad CRC-32"),
    "no clips": (
        lambda: _zip({"readme": b"0" * 9000}),
        "14 of its 14 clips are missing",
    ),
    "too many faulty": (
        lambda: _zip({**_clips(), **THREE}),
        r"3 of its 14 clips .* 0/some_band\S+ \(unreadable",
    ),
}


@pytest.mark.parametrize("what", WRONG_AUDIO)
def test_audio_that_contradicts_the_description(site, tmp_path, monkeypatch, what):
    change, match = WRONG_AUDIO[what]
    _publish(site, monkeypatch, audio=change())
    with pytest.raises(OSError, match=f"is not the audio of MagnaTagATune: .*{match}"):
        _fetch(tmp_path)
    assert _cached(tmp_path) == ["checksums.json", "samplecnn"]  # the parts are gone
    _publish(site, monkeypatch)
    assert len(_fetch(tmp_path).paths) == 14


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_clip_twice(site, tmp_path, monkeypatch):
    _publish(site, monkeypatch, audio=_zip(_clips(), [(BROKEN, _mp3(1))]))
    with pytest.raises(OSError, match="two clips of the same name"):
        _fetch(tmp_path)


def test_nothing_is_written_outside(site, tmp_path, monkeypatch):
    hostile = [
        ("../escape.mp3", b"x"),
        (str(tmp_path / "0/a-b-01-c-0-29.mp3"), b"x"),
        ("0/../../a-b-01-c-0-29.mp3", b"x"),
        ("0/a-b-01-../../../c-0-29.mp3", b"x"),
        ("0/a-b-01-c-0-29.mp3/", b""),
    ]
    _publish(site, monkeypatch, audio=_zip(_clips(), hostile))
    assert len(_fetch(tmp_path / "home").paths) == 14
    assert [p.name for p in tmp_path.iterdir()] == ["home"]
    found = {p.name for p in (tmp_path / "home").rglob("*.mp3")}
    assert found == {name.rpartition("/")[2] for name in _clips()}
