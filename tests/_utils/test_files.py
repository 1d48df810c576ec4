"""Files appear complete or not at all."""

import errno
import os
import time

import pytest

from skaudio._utils._files import remove_leftovers, replacing, size_of_file


def test_the_file_is_written_at_the_end_of_the_block(tmp_path):
    path = tmp_path / "table.json"
    path.write_text("old")
    with replacing(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
        assert part.parent == path.parent  # or the last step would be a copy
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def fail_after(path):
    with replacing(path) as part:
        part.write_text("half")
        raise KeyboardInterrupt


def test_nothing_is_left_where_writing_fails(tmp_path):
    path = tmp_path / "table.json"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        fail_after(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_do_not_interfere(tmp_path):
    path = tmp_path / "table.json"
    with replacing(path) as first, replacing(str(path)) as second:
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # the block that ended last
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_an_error(tmp_path):
    path = tmp_path / "none" / "table.json"
    with pytest.raises(FileNotFoundError), replacing(path) as part:
        part.write_text("new")


def test_the_place_is_checked_before_the_work(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match=r"folder to write to .*none"),
        replacing(tmp_path / "none" / "m"),
    ):
        raise AssertionError("work was done")
    with pytest.raises(IsADirectoryError, match="is a directory"), replacing(tmp_path):
        raise AssertionError("work was done")


def test_errors_name_the_file_that_was_wanted(tmp_path):
    def fill_the_disk():
        with replacing(tmp_path / "m") as part:
            part.write_text("half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match=r"No space left .*nothing was written.*/m'"):
        fill_the_disk()
    assert list(tmp_path.iterdir()) == []


def test_errors_of_other_files_stay_as_they_are(tmp_path):
    with pytest.raises(FileNotFoundError, match="other"), replacing(tmp_path / "m"):
        (tmp_path / "other").read_text()


def leave(folder, name, age):
    part = folder / f"{name}.{'0123456789abcdef' * 2}.part"
    part.write_text("half")
    os.utime(part, (time.time() - age,) * 2)
    return part


def test_what_a_killed_writer_left_is_deleted_a_day_later(tmp_path):
    day = 24 * 3600
    old = leave(tmp_path, "m", day + 60)
    young = leave(tmp_path, "n", 60)  # its writer may be alive
    other = leave(tmp_path, "n.m", day + 60)
    mine = tmp_path / "m.part"  # not of this form
    mine.write_text("a take")
    os.utime(mine, (0, 0))
    with replacing(tmp_path / "m") as part:
        part.write_text("new")
    assert not old.exists()
    assert young.exists()
    assert other.exists()
    assert mine.exists()
    remove_leftovers(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "m.part", young.name]


def test_sizes_of_files_only(tmp_path):
    (tmp_path / "m").write_bytes(b"abc")
    assert size_of_file(tmp_path / "m") == 3
    with pytest.raises(IsADirectoryError, match=r"is a directory.*"):
        size_of_file(tmp_path)
    with pytest.raises(FileNotFoundError):
        size_of_file(tmp_path / "none")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="a device, pipe or socket"):
        size_of_file(tmp_path / "pipe")
