"""fetch_esc50 against a local server: whole, cut, wrong, absent."""

import contextlib
import io
import os
import shutil
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from http.server import ThreadingHTTPServer

import numpy as np
import pytest
import soundfile

from skaudio.datasets import _esc50, clear_data_home, fetch_esc50
from skaudio.datasets._faults import fault

COMMIT = _esc50.COMMIT
ARCHIVE = f"{COMMIT}.zip"
# three classes, the first in ESC-10, two folds, two clips of each class in each fold
LAYOUT = _esc50.Layout(
    n_classes=3, n_folds=2, clips_per_class_and_fold=2, clip_bytes=200
)
CLASSES = {0: "dog", 7: "rooster", 31: "mouse_click"}


def _wav(seed):
    out = io.BytesIO()
    noise = np.random.default_rng(seed).normal(0, 0.1, 400)
    soundfile.write(out, noise, 44100, format="WAV")
    return out.getvalue()


def _members():
    """A data set of the layout of the real one, as {name in the archive: bytes}."""
    rows, files, source = [",".join(_esc50.COLUMNS)], {}, 100
    for fold in (1, 2):
        for target, category in CLASSES.items():
            source += 1
            for take in "AB":
                name = f"{fold}-{source}-{take}-{target}.wav"
                files[f"audio/{name}"] = _wav(len(files))
                rows.append(
                    f"{name},{fold},{target},{category},{target == 0},{source},{take}"
                )
    table = "\n".join(rows) + "\n"
    extra = {"meta/esc50.csv": table.encode(), "LICENSE": b"terms", "README.md": b"x"}
    return {**files, **extra, "../../escape.wav": b"never extracted"}


def _archive(members=None, comment=COMMIT):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(f"ESC-50-{COMMIT}/", "")
        for name, content in (members or _members()).items():
            file.writestr(f"ESC-50-{COMMIT}/{name}", content)
        file.comment = comment.encode()
    return out.getvalue()


@pytest.fixture
def site(site, monkeypatch):
    site.files[ARCHIVE] = _archive()
    monkeypatch.setattr(_esc50, "BASE_URL", site.url)
    monkeypatch.setattr(_esc50, "LAYOUT", LAYOUT)
    return site


def _fetch(home, **options):
    return fetch_esc50(data_home=home, **{"delay": 0, "n_retries": 0, **options})


def _cached(home):
    """Names in the cache of the data set, without the marker."""
    return sorted(p.name for p in (home / "esc50").iterdir() if p.name[0] != ".")


def _data(home):
    return [n for n in _cached(home) if n.startswith("data-")]


# ------------------------------------------------------------------------- whole
def test_bunch(site, tmp_path):
    data = _fetch(tmp_path)
    assert data.paths.shape == data.target.shape == (12,)
    assert data.target_names.tolist() == ["dog", "rooster", "mouse_click"]
    assert data.frame["category"].tolist() == data.target_names[data.target].tolist()
    assert data.folds.tolist() == [1] * 6 + [2] * 6
    assert data.groups.tolist() == data.frame["src_file"].tolist()
    assert data.cv.get_n_splits() == 2
    assert "CC BY-NC" in data.DESCR
    for path in data.paths:
        assert soundfile.info(path).frames == 400
    assert _cached(tmp_path) == ["checksums.json", f"data-{COMMIT[:12]}"]
    files = sorted(p.name for p in (tmp_path / "esc50").glob("data-*/*"))
    assert files == ["LICENSE", "audio", "esc50.csv"]
    assert not list(tmp_path.parent.rglob("escape.wav"))


def test_esc10_and_X_y(site, tmp_path):
    data = _fetch(tmp_path, subset="esc10")
    assert data.target_names.tolist() == ["dog"]
    assert data.paths.shape == (4,)
    assert data.frame["esc10"].all()
    paths, target = _fetch(tmp_path, subset="esc10", return_X_y=True)
    np.testing.assert_array_equal(paths, data.paths)
    np.testing.assert_array_equal(target, data.target)


def test_second_time_asks_for_nothing(site, tmp_path):
    first = _fetch(tmp_path)
    second = _fetch(tmp_path, download_if_missing=False)
    assert len(site.asked) == 1
    np.testing.assert_array_equal(first.paths, second.paths)
    clear_data_home(tmp_path)
    assert not (tmp_path / "esc50").exists()


def test_missing_and_not_to_be_downloaded(site, tmp_path):
    with pytest.raises(OSError, match="download_if_missing is False"):
        _fetch(tmp_path, download_if_missing=False)
    assert site.asked == []


def test_unknown_subset(tmp_path):
    with pytest.raises(ValueError, match="subset must be None or 'esc10'; got 'esc5'"):
        _fetch(tmp_path, subset="esc5")


# --------------------------------------------------------------------------- cut
def test_broken_connection_is_resumed_where_it_broke(site, tmp_path):
    site.cuts = [1000, 500]
    data = _fetch(tmp_path, n_retries=2)
    assert site.asked == [None, "bytes=1000-", "bytes=1500-"]
    assert data.paths.shape == (12,)


def test_half_a_download_is_kept_and_completed_by_the_next_call(site, tmp_path):
    site.cuts = [1000]
    with pytest.raises(
        OSError, match=r"ended after 1000 of \d+ bytes.*1000 bytes that"
    ):
        _fetch(tmp_path)
    assert _cached(tmp_path) == [f"{COMMIT[:12]}.zip.part"]
    _fetch(tmp_path)
    assert site.asked == [None, "bytes=1000-"]
    assert len(_data(tmp_path)) == 1


def test_server_without_ranges_starts_over(site, tmp_path):
    site.cuts, site.ranges = [1000], False
    assert _fetch(tmp_path, n_retries=1).paths.shape == (12,)
    assert site.asked == [None, "bytes=1000-"]


def test_kept_part_longer_than_the_file_is_dropped(site, tmp_path):
    part = tmp_path / "esc50" / f"{COMMIT[:12]}.zip.part"
    part.parent.mkdir()
    part.write_bytes(bytes(len(site.files[ARCHIVE]) + 5))
    assert _fetch(tmp_path, n_retries=1).paths.shape == (12,)


def test_kept_part_of_something_else_does_not_poison_the_cache(site, tmp_path):
    part = tmp_path / "esc50" / f"{COMMIT[:12]}.zip.part"
    part.parent.mkdir()
    part.write_bytes(bytes(3000))
    with pytest.raises(OSError, match="is not ESC-50"):
        _fetch(tmp_path)
    assert _cached(tmp_path) == []
    assert _fetch(tmp_path).paths.shape == (12,)


# -------------------------------------------------------------------- no network
def test_refused_connection(monkeypatch, tmp_path):
    with contextlib.closing(ThreadingHTTPServer(("127.0.0.1", 0), None).socket) as free:
        port = free.getsockname()[1]
    monkeypatch.setattr(_esc50, "BASE_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(
        OSError, match=r"Could not download .*refused.*Check the network"
    ):
        _fetch(tmp_path, n_retries=1)
    assert _cached(tmp_path) == []


@pytest.mark.parametrize(("status", "attempts"), [(404, 1), (403, 1), (503, 3)])
def test_server_errors(site, tmp_path, status, attempts):
    site.status = status
    with pytest.raises(OSError, match=f"Could not download .*{status}"):
        _fetch(tmp_path, n_retries=2)
    assert len(site.asked) == attempts
    assert _cached(tmp_path) == []


# ------------------------------------------------------------------------- wrong
def _without(members, name):
    return {k: v for k, v in members.items() if k != name}


def _with_table(old, new):
    members = _members()
    table = members["meta/esc50.csv"].decode().replace(old, new, 1)
    return {**members, "meta/esc50.csv": table.encode()}


WRONG = {
    "an error page": (lambda: b"<html>please log in</html>", "not a zip file"),
    "other commit": (lambda: _archive(comment="0" * 40), "is of commit 0000000"),
    "no table": (lambda: _archive(_without(_members(), "meta/esc50.csv")), "missing"),
    "a clip missing": (
        lambda: _archive(_without(_members(), "audio/1-101-A-0.wav")),
        r"differ in 1: audio/1-101-A-0\.wav",
    ),
    "a clip too many": (
        lambda: _archive({**_members(), "audio/9-1-A-0.wav": _wav(0)}),
        r"differ in 1: audio/9-1-A-0\.wav",
    ),
    "a short clip": (
        lambda: _archive({**_members(), "audio/1-101-A-0.wav": b"RIFF"}),
        "has only 4 bytes",
    ),
    "other columns": (lambda: _archive(_with_table("take", "cut")), "has columns"),
    "other folds": (
        lambda: _archive(_with_table("A-0.wav,1,", "A-0.wav,2,")),
        "lists 12 clips, not 2 of each of 3 classes",
    ),
    "other source": (
        lambda: _archive(_with_table("True,101", "True,999")),
        r"contradicts the file name 1-101-A-0\.wav",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_archives_leave_no_data(site, tmp_path, what):
    make, match = WRONG[what]
    site.files[ARCHIVE] = make()
    with pytest.raises(OSError, match=f"is not ESC-50: .*{match}"):
        _fetch(tmp_path)
    assert _cached(tmp_path) == []
    site.files[ARCHIVE] = _archive()
    assert _fetch(tmp_path).paths.shape == (12,)


def test_damaged_member(site, tmp_path):
    good = site.files[ARCHIVE]
    with zipfile.ZipFile(io.BytesIO(good)) as file:
        info = file.getinfo(f"ESC-50-{COMMIT}/audio/1-101-A-0.wav")
    middle = info.header_offset + 30 + len(info.filename) + info.compress_size // 2
    site.files[ARCHIVE] = good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :]
    with pytest.raises(OSError, match="is not ESC-50"):
        _fetch(tmp_path)
    assert _cached(tmp_path) == []


def test_checksum_seen_first_must_match_later(site, tmp_path):
    _fetch(tmp_path)
    data = tmp_path / "esc50" / f"data-{COMMIT[:12]}"
    data.rename(tmp_path / "aside")
    first = site.files[ARCHIVE]
    site.files[ARCHIVE] = _archive({**_members(), "README.md": b"new"})
    with pytest.raises(OSError, match=r"sha256 [0-9a-f]{64} remembered .* not match"):
        _fetch(tmp_path)
    assert _cached(tmp_path) == ["checksums.json"]
    site.files[ARCHIVE] = first
    assert _fetch(tmp_path).paths.shape == (12,)


def test_an_archive_without_a_commit_is_judged_by_its_contents(site, tmp_path):
    site.files[ARCHIVE] = _archive(comment="")
    assert _fetch(tmp_path).paths.shape == (12,)


def test_full_disk_keeps_the_archive(site, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(shutil, "copyfileobj", full)
        with pytest.raises(OSError, match="No space left"):
            _fetch(tmp_path)
    assert _cached(tmp_path) == [f"{COMMIT[:12]}.zip"]
    _fetch(tmp_path)
    assert len(site.asked) == 1
    assert _data(tmp_path) == [f"data-{COMMIT[:12]}"]


# ------------------------------------------------------------- archives that are wrong


def _flip(content, magic, place, value):
    """Set a byte of every member's header in a ZIP archive."""
    changed, start = bytearray(content), 0
    while (start := changed.find(magic, start)) >= 0:
        changed[start + place] = value
        start += 4
    return bytes(changed)


DAMAGE = {
    "encrypted": [(b"PK\x01\x02", 8, 1), (b"PK\x03\x04", 6, 1)],
    "of an unknown method": [(b"PK\x01\x02", 10, 99), (b"PK\x03\x04", 8, 99)],
    "compressed otherwise": [(b"PK\x01\x02", 10, 14), (b"PK\x03\x04", 8, 14)],
    "of a later version": [(b"PK\x01\x02", 6, 99)],
    "with other names": [(b"PK\x03\x04", 30, 0xFF)],
    "with other places": [(b"PK\x01\x02", 44, 0xFF)],
}


@pytest.mark.parametrize("what", DAMAGE)
def test_any_damage_is_deleted_and_the_next_call_is_free(site, tmp_path, what):
    good = site.files[ARCHIVE]
    for change in DAMAGE[what]:
        site.files[ARCHIVE] = _flip(site.files[ARCHIVE], *change)
    assert site.files[ARCHIVE] != good
    with pytest.raises(OSError, match=r"is not ESC-50: .* It was deleted\. Call again"):
        _fetch(tmp_path)
    assert _cached(tmp_path) == []
    site.files[ARCHIVE] = good
    assert _fetch(tmp_path).paths.shape == (12,)


def test_bytes_that_change_give_the_data_set_or_an_OSError(site, tmp_path):
    good = site.files[ARCHIVE]
    rng = np.random.default_rng(0)
    n_refused = 0
    for i in range(40):
        changed = bytearray(good)
        for place in rng.integers(len(good), size=8):
            changed[place] = rng.integers(256)
        site.files[ARCHIVE] = bytes(changed)
        try:
            assert _fetch(tmp_path / str(i)).paths.shape == (12,)
        except OSError as error:
            n_refused += "It was deleted. Call again" in str(error)
            assert _cached(tmp_path / str(i)) == []
    assert n_refused > 20


def _bomb(name, n_bytes):
    members = {k: v for k, v in _members().items() if k != name}
    return _archive({**members, name: bytes(n_bytes)})


@pytest.mark.parametrize("name", ["meta/esc50.csv", "LICENSE", "audio/1-101-A-0.wav"])
def test_members_that_unpack_to_much_are_refused_before(
    site, tmp_path, monkeypatch, name
):
    def extracted(*_):
        raise AssertionError("it was unpacked")

    site.files[ARCHIVE] = _bomb(name, 2**22 + 1)
    monkeypatch.setattr(shutil, "copyfileobj", extracted)
    with pytest.raises(OSError, match=r"has (\d+ bytes, )?more than \d+"):
        _fetch(tmp_path)
    assert _cached(tmp_path) == []


def test_a_download_of_more_than_is_stated_is_dropped(site, tmp_path, monkeypatch):
    size = len(site.files[ARCHIVE])
    monkeypatch.setattr(_esc50, "DOWNLOAD", size // 2 - 1)
    with pytest.raises(OSError, match=r"more than \d+ bytes, the most that was exp"):
        _fetch(tmp_path, n_retries=3)
    assert _cached(tmp_path) == []
    assert len(site.asked) == 1  # not again
    monkeypatch.setattr(_esc50, "DOWNLOAD", size // 2 + 1)
    assert _fetch(tmp_path).paths.shape == (12,)


# ---------------------------------------------------------- disks and other processes


def test_a_full_disk_while_downloading_is_named_and_not_tried_again(
    site, tmp_path, monkeypatch
):
    real = open

    def full(path, mode="r", *args, **options):
        if str(path).endswith(".part"):
            raise OSError(28, "No space left on device")
        return real(path, mode, *args, **options)

    with monkeypatch.context() as during:
        during.setattr("builtins.open", full)
        with pytest.raises(OSError, match=r"No space left .*are kept: '.*\.zip\.part'"):
            _fetch(tmp_path, n_retries=3)
    assert len(site.asked) == 1
    assert _fetch(tmp_path).paths.shape == (12,)


def test_those_that_want_it_at_once_wait_for_the_first(site, tmp_path):
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(_fetch, [tmp_path] * 3))
    assert [data.paths.shape for data in found] == [(12,)] * 3
    assert site.asked == [None]


def test_a_full_disk_while_unpacking_is_named(site, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(OSError, match=rf"ESC-50 was not unpacked: '{tmp_path}/esc50'"):
        _fetch(tmp_path)


def test_a_folder_that_may_not_be_read_is_not_called_missing(
    site, tmp_path, monkeypatch
):
    _fetch(tmp_path)
    real = os.stat

    def stat(path, **options):
        if "data-" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **options)

    with monkeypatch.context() as during:
        during.setattr(os, "stat", stat)
        with pytest.raises(PermissionError, match=r"Permission denied: .*data-"):
            _fetch(tmp_path, download_if_missing=False)
    assert len(site.asked) == 1


def test_a_clip_that_may_not_be_read_is_not_called_missing(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    assert fault(path) == "missing"
    assert fault(tmp_path) == "no file"
    path.write_bytes(b"")
    assert fault(path).startswith("unreadable")

    def locked(*_):
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as during:
        during.setattr("builtins.open", locked)
        assert fault(path) == "unreadable: Permission denied"


def _leave(home, age):
    """What a killed process may leave, last changed that long ago."""
    folder = home / "esc50"
    clip = folder / "unpacking-abcd" / "audio" / "1.wav"
    clip.parent.mkdir(parents=True)
    files = [clip, folder / "tmpab12_xyz", folder / f"{COMMIT[:12]}.zip"]
    for path in files:
        path.write_bytes(b"half")
    for path in [*files, *clip.parents[:2]]:
        os.utime(path, (time.time() - age,) * 2)


def test_what_killed_processes_left_is_deleted(site, tmp_path):
    _fetch(tmp_path)
    _leave(tmp_path, 2 * 3600)
    _fetch(tmp_path)
    assert _cached(tmp_path) == ["checksums.json", f"data-{COMMIT[:12]}"]


def test_what_living_processes_do_stays(site, tmp_path):
    _fetch(tmp_path)
    before = _cached(tmp_path)
    _leave(tmp_path, 60)
    _fetch(tmp_path)
    assert len(_cached(tmp_path)) == len(before) + 3
    clip = tmp_path / "esc50/unpacking-abcd/audio/1.wav"
    for path in clip.parents[:2]:
        os.utime(path, (0, 0))  # only the file that is written to changes
    _fetch(tmp_path)
    assert clip.exists()


def test_damaged_checksums_are_named(site, tmp_path):
    _fetch(tmp_path)
    shutil.rmtree(tmp_path / f"esc50/data-{COMMIT[:12]}")
    for text in ("{", "[]", '{"a": 1}'):
        (tmp_path / "esc50/checksums.json").write_text(text)
        with pytest.raises(OSError, match=r"checksums\.json is damaged: .* Delete"):
            _fetch(tmp_path)
