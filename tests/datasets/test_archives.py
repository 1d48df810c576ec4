"""Sizes that archives state, before anything is unpacked; tar archives in one pass."""

import io
import tarfile

import pytest

from skaudio.datasets._archives import HEADER, TEXT, Stated, extract_tar

STATED = Stated(download=100, clips=100 * TEXT, clip=TEXT)
CLIP = 2 * TEXT + HEADER  # the largest


@pytest.mark.parametrize("sizes", [{"a.wav": CLIP}, {"list.csv": TEXT}, {}])
def test_sizes_up_to_twice_the_stated_are_taken(sizes):
    STATED.check(sizes)


@pytest.mark.parametrize(
    "sizes",
    [{"a.wav": CLIP + 1}, {"A.WAV": CLIP + 1}, {"b.mp3": CLIP + 1}, {"c.au": 2 * CLIP}],
)
def test_clips_that_are_too_long(sizes):
    with pytest.raises(ValueError, match=rf"has \d+ bytes, more than {CLIP}"):
        STATED.check(sizes)


@pytest.mark.parametrize("name", ["list.csv", "LICENSE", "a.wav.txt"])
def test_texts_that_are_too_long(name):
    with pytest.raises(ValueError, match=f"{name} has .* more than {TEXT}"):
        STATED.check({name: TEXT + 1})


def test_many_clips_that_are_too_much_together():
    sizes = {f"{i}.wav": 2 * TEXT for i in range(100)}
    STATED.check(sizes)
    sizes["one more.wav"] = 2 * TEXT
    most = 200 * TEXT + 101 * HEADER
    with pytest.raises(ValueError, match=rf"to more than {most} bytes instead of"):
        STATED.check(sizes)


def test_the_largest_table_is_as_large_as_is_stated():
    Stated(download=1, clips=1, clip=1, text=9).check({"list.csv": 9})
    with pytest.raises(ValueError, match=r"list\.csv has 10 bytes, more than 9"):
        Stated(download=1, clips=1, clip=1, text=9).check({"list.csv": 10})


def _tar(path, members):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_what_is_wanted_of_a_tar_archive_and_its_new_names(tmp_path):
    members = [(f"old/{i}.csv", bytes([i] * i)) for i in range(5)]
    archive = _tar(tmp_path / "a.tar.gz", members)
    names = {"old/3.csv": "new/three.csv", "old/1.csv": "one.csv"}
    found = extract_tar(archive, names.get, tmp_path / "out", STATED)
    assert found == ["one.csv", "new/three.csv"]
    written = {p for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert written == {tmp_path / "out" / name for name in names.values()}
    assert (tmp_path / "out/new/three.csv").read_bytes() == b"\3\3\3"


def test_headers_of_a_tar_archive_are_not_kept(tmp_path, monkeypatch):
    kept = []
    extract = tarfile.TarFile.extract

    def watched(tar, *args, **options):
        kept.extend(tar.members)
        extract(tar, *args, **options)

    monkeypatch.setattr(tarfile.TarFile, "extract", watched)
    archive = _tar(tmp_path / "a.tar.gz", [(f"{i}.csv", b"") for i in range(5)])
    assert len(extract_tar(archive, str, tmp_path, STATED)) == 5
    assert not kept


def test_members_of_one_name_do_not_replace_each_other(tmp_path):
    archive = _tar(tmp_path / "a.tar.gz", [("a.csv", b"1"), ("a.csv", b"2")])
    with pytest.raises(ValueError, match=r"a\.csv is there twice"):
        extract_tar(archive, str, tmp_path / "out", STATED)
    assert (tmp_path / "out/a.csv").read_bytes() == b"1"


def test_a_tar_archive_that_is_too_much_ends_before_it_is_written(tmp_path):
    members = [(f"{i}.wav", bytes(HEADER)) for i in range(5)]
    archive = _tar(tmp_path / "a.tar.gz", members)
    stated = Stated(download=1, clips=0, clip=HEADER)
    extract_tar(archive, str, tmp_path / "all", stated)  # as large as five headers
    members = [(f"{i}.wav", bytes(HEADER + 1)) for i in range(5)]
    archive = _tar(tmp_path / "b.tar.gz", members)
    with pytest.raises(ValueError, match=f"to more than {HEADER} bytes instead of 0"):
        extract_tar(archive, str, tmp_path / "out", stated)
    assert not (tmp_path / "out").exists()
