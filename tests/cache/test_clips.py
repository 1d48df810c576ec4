"""Arrays of clips: each computed once, by name, in memory or in a folder."""

import hashlib
import os
import pickle
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import joblib
import numpy as np
import pytest

from skaudio._utils._files import FORGOTTEN
from skaudio.cache import cache_info, clear_cache, set_cache_limit
from skaudio.cache._clips import ClipCache, keys_of, store_of
from skaudio.cache._content import _code_of
from skaudio.cache._folder import Folder, folder_at
from skaudio.cache._keys import (
    content_of_file,
    digest_of,
    file_of,
    signature_key,
    signature_of,
)
from skaudio.cache._pack import (
    DTYPES,
    MAGIC,
    ROW,
    START,
    Held,
    Pack,
    Stored,
    open_pack,
    write_pack,
)

STORE = store_of("test")


def name_of(text):
    return f"{STORE}/{digest_of(text)}"


def names_of(texts):
    return [name_of(text) for text in texts]


class Computing:
    """Computes rows that tell which one they are, and notes what it was asked for."""

    def __init__(self, size=10):
        self.size, self.asked = size, []

    def __call__(self, rows):
        self.asked.append(list(rows))
        for row in rows:
            yield np.full(self.size, row, np.float64)


@pytest.fixture
def folder(tmp_path):
    return folder_at(tmp_path / "cache")


def anew(folder):
    """The folder as another process finds it."""
    return Folder(folder.path)


def packs(folder):
    return sorted(file.path for file in folder.files())


# ----------------------------------------------------------------- in memory


def test_what_was_not_used_for_longest_goes_first():
    cache, compute = ClipCache(capacity=3 * 80), Computing()
    for text in ("a", "b", "c", "a", "d"):
        cache.rows(names_of(text), compute)
    assert cache.n_bytes == 240
    compute.asked.clear()
    with pytest.warns(UserWarning, match="kept in memory"):
        cache.rows(names_of("acdb"), compute)
    assert compute.asked == [[3]]


def test_a_smaller_limit_holds_at_once():
    cache, compute = ClipCache(capacity=800), Computing()
    cache.rows(names_of("abcd"), compute)
    cache.resize(170)
    assert cache.n_bytes == 160
    compute.asked.clear()
    cache.rows(names_of("cd"), compute)
    assert compute.asked == []


def test_what_cannot_be_kept_is_said_once():
    cache, compute = ClipCache(capacity=100), Computing()
    cache.rows(names_of("a"), compute)
    with pytest.warns(UserWarning, match=r"cache to a folder.*set_cache_limit"):
        cache.rows(names_of("ab"), compute)
    cache.rows(names_of("ab"), compute)
    cache.rows([None, None], Computing(size=1000))  # not to be kept


def test_what_is_kept_cannot_be_written_to():
    cache, compute = ClipCache(), Computing()
    for is_writeable in (True, False):
        (row,) = cache.rows(names_of("a"), compute)
        assert row.flags.writeable == is_writeable


def test_clips_without_a_key_wait_for_nobody():
    cache = ClipCache()
    both = threading.Barrier(2, timeout=10)  # breaks if one waits for the other

    def compute(rows):
        both.wait()
        return [np.ones(1) for _ in rows]

    parallel = joblib.Parallel(n_jobs=2, backend="threading")
    assert len(parallel(joblib.delayed(cache.rows)([None], compute) for _ in "ab")) == 2
    assert cache.n_bytes == 0


def test_a_failure_frees_those_who_wait():
    cache, started = ClipCache(), threading.Event()

    def fail(rows):
        started.set()
        time.sleep(0.05)
        raise RuntimeError("no luck")

    def failing():
        with pytest.raises(RuntimeError, match="no luck"):
            cache.rows(names_of("a"), fail)

    thread = threading.Thread(target=failing)
    thread.start()
    started.wait()
    assert cache.rows(names_of("a"), lambda rows: [np.ones(1)])[0][0] == 1
    thread.join()


def test_what_failed_is_not_kept():
    cache = ClipCache()
    names = names_of("ab")
    assert cache.rows(names, lambda rows: [None, np.array([np.nan])])[0] is None
    compute = Computing()
    cache.rows(names, compute)
    assert compute.asked == [[0, 1]]


# ----------------------------------------------------------------- in a folder


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("shape", [(0,), (3,), (2, 3), (1, 5000)])
def test_arrays_come_back_from_files(shape, dtype, folder):
    array = np.asarray(np.random.default_rng(0).normal(size=shape), dtype)
    written = folder.write({name_of("a"): Held(array, (1.5, 2.0))})
    for place in (written, anew(folder).look_up(names_of("a"))):
        (entry,) = place.values()
        back = entry.read()
        np.testing.assert_array_equal(back, array)
        assert not back.flags.owndata
        assert (back.dtype, entry.dtype) == (array.dtype, array.dtype)
        assert (back.shape, entry.shape) == (array.shape, array.shape)
        assert entry.note == (1.5, 2.0)
        assert not back.flags.writeable


def test_rows_that_are_no_c_arrays_are_written_as_they_are(folder):
    array = np.arange(12.0).reshape(3, 4).T
    folder.write({name_of("a"): Held(array)})
    (entry,) = anew(folder).look_up(names_of("a")).values()
    np.testing.assert_array_equal(entry.read(), array)


def test_a_folder_serves_other_caches(folder):
    compute = Computing()
    first = ClipCache().rows(names_of("abc"), compute, folder)
    again = ClipCache().rows(names_of("cab"), compute, anew(folder))
    assert compute.asked == [[0, 1, 2]]
    np.testing.assert_array_equal(again, np.array(first)[[2, 0, 1]])


def test_a_pickle_of_an_entry_is_its_place(folder):
    array = np.arange(100_000, dtype=np.float32)
    (entry,) = folder.write({name_of("a"): Held(array)}).values()
    sent = pickle.dumps(entry)
    assert len(sent) < 1000
    np.testing.assert_array_equal(pickle.loads(sent).read(), array)
    folder.clear()
    np.testing.assert_array_equal(entry.read(), array)  # it is mapped
    del entry
    with pytest.raises(FileNotFoundError, match=r"cleared.*set_cache_limit.*\.pack"):
        pickle.loads(sent)


DAMAGED = {
    "cut": lambda whole: whole[:-70],
    "value": lambda whole: whole[:-1] + bytes([whole[-1] ^ 1]),
    "empty": lambda whole: b"",
    "other": lambda whole: b"x" * len(whole),
    "magic": lambda whole: MAGIC,
    "table": lambda whole: whole[: START + 5] + b"\1" + whole[START + 6 :],
    "more rows": lambda whole: (
        whole[: START - 8] + (2**60).to_bytes(8, "little") + whole[START:]
    ),
    "later version": lambda whole: whole.replace(MAGIC, b"skaudio pack 02\n"),
    "code": lambda whole: pickle.dumps(print) + whole,
}


@pytest.mark.parametrize("how", DAMAGED)
def test_damaged_files_are_not_used(how, folder):
    compute = Computing(size=8)  # to the end of the file
    before = ClipCache().rows(names_of("a"), compute, folder)
    (path,) = packs(folder)
    with open(path, "rb") as file:
        whole = file.read()
    with open(path + ".new", "wb") as file:
        file.write(DAMAGED[how](whole))
    os.replace(path + ".new", path)
    other = anew(folder)
    np.testing.assert_array_equal(
        ClipCache().rows(names_of("a"), compute, other), before
    )
    assert compute.asked == [[0], [0]]
    np.testing.assert_array_equal(
        ClipCache().rows(names_of("a"), compute, anew(folder)), before
    )
    assert len(compute.asked) == 2  # written anew, and found behind the damaged one


def rewritten(path, **fields):
    """Set fields of the first row of a pack's table, with right checksums of it."""
    content = bytearray(path.read_bytes())
    table = np.frombuffer(content, ROW, count=1, offset=START)
    for name, value in fields.items():
        table[0][name] = value
    digest = hashlib.sha256(content[START - 8 : START + ROW.itemsize]).digest()
    content[len(MAGIC) : START - 8] = digest[: START - 8 - len(MAGIC)]
    path.write_bytes(content)


@pytest.mark.parametrize(
    "fields",
    [
        {"shape": (2**62, 1)},
        {"shape": (2**32, 2**32), "ndim": 2},
        {"start": 2**62},
        {"start": 1},
        {"dtype": len(DTYPES)},
        {"ndim": 3},
    ],
    ids=str,
)
def test_tables_that_cannot_be_are_refused(fields, tmp_path):
    path = tmp_path / "a.pack"
    write_pack(path, [(bytes(16), np.ones(8), (0.0, 0.0))])
    assert Pack(str(path)).is_sound(0)
    rewritten(path, **fields)
    with pytest.raises(ValueError, match=r"a\.pack"):
        Pack(str(path))


def test_an_array_of_another_clip_is_not_used(tmp_path):
    path = tmp_path / "a.pack"
    for change in ({"key": np.void(b"1" * 16)}, {"note": (1.0, 0.0)}):
        write_pack(path, [(bytes(16), np.ones(8), (0.0, 0.0))])
        rewritten(path, **change)
        assert not Pack(str(path)).is_sound(0)


def test_planted_numbers_that_are_none_are_not_used(tmp_path):
    path = tmp_path / "a.pack"
    write_pack(path, [(bytes(16), np.array([1.0, np.nan]), (0.0, 0.0))])
    assert not Pack(str(path)).is_sound(0)


def test_pipes_and_folders_are_not_read(folder):
    ClipCache().rows(names_of("a"), Computing(), folder)
    (path,) = packs(folder)
    os.mkfifo(os.path.join(os.path.dirname(path), "pipe.pack"))
    os.mkdir(os.path.join(os.path.dirname(path), "folder.pack"))
    assert len(anew(folder).look_up(names_of("a"))) == 1  # nobody will write to it


def test_what_was_not_used_for_longest_is_deleted_first(folder, monkeypatch):
    compute = Computing(size=1000)  # 8 kB, with the table 128 bytes more
    for text in "abc":
        ClipCache().rows(names_of(text), compute, folder)
    for age, path in enumerate(packs(folder)):
        os.utime(path, ns=(0, 10**9 * (1 + age)))
    oldest = packs(folder)[0]
    folder.limit = 2 * 8200 + 10
    assert len(packs(folder)) == 2
    assert oldest not in packs(folder)
    ClipCache().rows(names_of("d"), compute, folder)
    assert len(packs(folder)) == 2
    assert len(folder.look_up(names_of("d"))) == 1


def test_what_is_used_is_young_again(folder):
    ClipCache().rows(names_of("a"), Computing(), folder)
    (path,) = packs(folder)
    os.utime(path, ns=(0, 0))
    anew(folder).look_up(names_of("a"))
    assert os.stat(path).st_mtime > 10**9


def test_a_limit_holds_for_all_processes(tmp_path):
    set_cache_limit(12345, tmp_path)
    assert Folder(tmp_path).limit == cache_info(tmp_path).limit == 12345
    (tmp_path / "limit").write_text("many")
    assert Folder(tmp_path).limit == 2**36
    for n_bytes in (-1, 1.5, "1 GB", None):
        with pytest.raises(ValueError, match="whole number of bytes"):
            set_cache_limit(n_bytes, tmp_path)


def test_a_limit_below_one_array_loses_nothing(folder):
    folder.limit = 100
    rows = ClipCache().rows(names_of("abc"), Computing(size=1000), folder)
    assert [row[0] for row in rows] == [0, 1, 2]
    ClipCache().rows(names_of("d"), Computing(size=1000), folder)
    assert len(packs(folder)) == 1  # the last one is not deleted while it is written


def test_clearing_leaves_what_is_not_ours(folder):
    ClipCache().rows(names_of("abc"), Computing(), folder)
    (folder.path / "notes.txt").write_text("mine")
    (folder.path / "other").mkdir()
    (folder.path / "other" / "a.pack").write_text("mine")
    clear_cache(folder.path)
    left = {path.name for path in folder.path.iterdir()}
    assert left == {"notes.txt", "other"}
    assert cache_info(folder.path).n_arrays == 0
    assert (folder.path / "other" / "a.pack").exists()


def test_leftovers_of_killed_processes_go_a_day_later(folder):
    ClipCache().rows(names_of("a"), Computing(), folder)
    store = os.path.dirname(packs(folder)[0])
    old, new = (f"{store}/x.pack.{c * 32}.part" for c in "ab")
    for path in (old, new):
        open(path, "w").close()
    os.utime(old, (0, time.time() - FORGOTTEN - 1))
    ClipCache().rows(names_of("b"), Computing(), anew(folder))
    assert not os.path.exists(old)
    assert os.path.exists(new)


@pytest.mark.parametrize("kind", ["a file", "under a file", "not to be written"])
def test_a_folder_that_cannot_be_written_warns_once(kind, tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    if kind == "under a file":
        path = path / "cache"
    if kind == "not to be written":
        if os.geteuid() == 0:
            path = "/proc/cache"  # root may write anywhere else
        else:
            path = tmp_path / "closed"
            path.mkdir(mode=0o500)
    folder, cache, compute = Folder(path), ClipCache(), Computing()
    with pytest.warns(UserWarning, match=r"cannot be written to .* goes on without"):
        rows = cache.rows(names_of("ab"), compute, folder)
    cache.rows(names_of("c"), compute, folder)  # another warning would be an error
    assert [row[0] for row in rows] == [0, 1]
    cache.rows(names_of("abc"), compute, folder)  # kept in memory instead
    assert compute.asked == [[0, 1], [0]]


def test_a_full_disk_loses_nothing(folder, monkeypatch):
    cache, compute = ClipCache(), Computing()
    cache.rows(names_of("a"), compute, folder)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("skaudio.cache._folder.write_pack", full)
    with pytest.warns(UserWarning, match="No space left"):
        rows = cache.rows(names_of("ab"), compute, folder)
    assert [row[0] for row in rows] == [0, 1]
    monkeypatch.undo()
    cache.rows(names_of("ab"), compute, folder)
    assert len(anew(folder).look_up(names_of("ab"))) == 2


def test_what_was_computed_before_an_error_is_kept(folder):
    def half(rows):
        yield np.ones(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ClipCache().rows(names_of("ab"), half, folder)
    assert len(anew(folder).look_up(names_of("ab"))) == 1


def test_large_arrays_are_not_written(folder, monkeypatch):
    monkeypatch.setattr("skaudio.cache._clips.LARGEST", 100)
    cache = ClipCache()
    rows = cache.rows(names_of("ab"), lambda rows: [np.ones(10), np.ones(1000)], folder)
    assert [row.size for row in rows] == [10, 1000]
    assert len(folder.look_up(names_of("ab"))) == 1
    assert cache.n_bytes == 8000


def test_two_processes_write_at_a_time(tmp_path):
    """Both compute all; whoever reads finds whole files only."""
    code = (
        "import sys, numpy as np\n"
        "from skaudio.cache._clips import ClipCache, store_of\n"
        "from skaudio.cache._keys import digest_of\n"
        "from skaudio.cache._folder import Folder\n"
        "for i in range(40):\n"
        "    name = f\"{store_of('test')}/{digest_of(i)}\"\n"
        "    make = lambda rows: [np.full(2000, i, 'f8')]\n"
        "    (row,) = ClipCache().rows([name], make, Folder(sys.argv[1]))\n"
        "    assert (row == i).all()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    running = [subprocess.Popen(command) for _ in range(2)]
    compute = Computing()
    while any(process.poll() is None for process in running):
        found = Folder(tmp_path).look_up([name_of(i) for i in range(40)])
        for name, entry in found.items():
            value = entry.read()
            assert (value == value[0]).all(), name
    assert [process.returncode for process in running] == [0, 0]
    rows = ClipCache().rows([name_of(i) for i in range(40)], compute, Folder(tmp_path))
    assert [row[0] for row in rows] == list(range(40))
    assert compute.asked == []


def test_pages_that_were_read_are_given_back(folder, monkeypatch):
    def resident():
        with open("/proc/self/smaps") as maps:
            text = maps.read()
        part = text[text.index(path) :]
        return 1024 * int(part[part.index("Rss:") + 4 :].split()[0])

    if not os.path.exists("/proc/self/smaps"):
        pytest.skip("no /proc to ask what is in memory")
    array = np.ones(2**21)
    (entry,) = folder.write({name_of("a"): Held(array)}).values()
    path = entry.pack.path
    assert entry.read().sum() == 2**21
    assert resident() >= array.nbytes
    monkeypatch.setattr("skaudio.cache._pack.RESIDENT", 0)
    entry.read()
    assert resident() < array.nbytes / 8
    assert entry.read().sum() == 2**21


def test_there_is_one_map_per_file_and_process(folder):
    entries = folder.write({name_of(i): Held(np.ones(3)) for i in range(5)})
    assert all(isinstance(entry, Stored) for entry in entries.values())
    (pack,) = {entry.pack for entry in entries.values()}
    assert open_pack(pack.path) is pack


def test_packs_are_not_kept_open(folder):
    if not os.path.exists("/proc/self/fd"):
        pytest.skip("no /proc to ask what is open")
    n_open = len(os.listdir("/proc/self/fd"))
    kept = [folder.write({name_of(i): Held(np.ones(3))}) for i in range(20)]
    entries = [entry for written in kept for entry in written.values()]
    assert len({entry.pack for entry in entries}) == 20
    assert len(os.listdir("/proc/self/fd")) < n_open + 5
    with pytest.raises(ValueError, match="cannot set WRITEABLE"):
        entries[0].read().setflags(write=True)


# ----------------------------------------------------------------- keys


def test_a_file_is_its_path_size_and_times(tmp_path, monkeypatch):
    path = tmp_path / "clip.wav"
    assert signature_of(path) is None
    path.write_bytes(b"1234")
    os.utime(path, ns=(0, 7))
    name, (size, modified, changed, _) = file_of(path)
    assert (name, size, modified) == (str(path), 4, 7)
    assert changed > 10**18  # no way to set it
    monkeypatch.chdir(tmp_path)
    assert file_of("clip.wav") == file_of(path)


def test_files_of_one_moment_differ(monkeypatch):
    """A folder that a link leads to may have been written together with another."""
    found = [
        SimpleNamespace(st_size=4, st_mtime_ns=7, st_ctime_ns=7, st_ino=number)
        for number in (1, 2)
    ]
    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", lambda path: found[int(path)])
        signatures = signature_of("0"), signature_of("1")
    assert signatures[0] != signatures[1]


def test_code_is_the_same_in_all_processes():
    code = _as_vowels.__code__
    both = (frozenset([0, 8]), frozenset([8, 0]))  # equal, in different orders
    assert repr(both[0]) != repr(both[1])
    found = [_code_of(code.replace(co_consts=(None, order))) for order in both]
    assert found[0] == found[1] != _code_of(code)


def _as_vowels(text):
    return [letter for letter in text if letter in {"a", "e", "i", "o", "u"}]


def test_the_ending_of_a_name_is_part_of_the_content(tmp_path):
    """Decoders go by it: the same bytes may be another sound."""
    for name in ("a.wav", "b.WAV", "a.raw"):
        (tmp_path / name).write_bytes(b"1234")
    wav, other_wav, raw = (
        bytes(content_of_file(tmp_path / name)) for name in ("a.wav", "b.WAV", "a.raw")
    )
    assert wav == other_wav != raw


def test_a_file_that_has_just_changed_is_read(tmp_path, monkeypatch):
    path = tmp_path / "clip.wav"
    path.write_bytes(b"1234")
    assert signature_key(path) is None
    monkeypatch.setattr("skaudio.cache._keys.SETTLED", 0)
    assert signature_key(path) is not None
    assert signature_key(tmp_path / "missing") is None


def test_different_clips_have_different_keys():
    zeros = np.zeros(4, np.float32)
    clips = [zeros, zeros.view(np.int32), np.zeros(2), np.zeros((2, 2))]
    keys = keys_of([*clips, zeros.copy(), zeros[::2], "missing.wav"], "e")
    assert keys[0] == keys[4]
    assert keys[-1] is None
    assert len({*keys[:4], keys[5], *keys_of(clips[:1], "f")}) == 6
