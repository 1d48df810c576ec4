"""Files appear complete or not at all."""

import pytest

from skaudio._utils._files import replacing


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
