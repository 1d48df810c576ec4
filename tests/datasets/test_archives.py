"""Sizes that archives state, before anything is unpacked."""

import pytest

from skaudio.datasets._archives import HEADER, TEXT, Stated

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
    sizes = {f"{i}.wav": 2 * TEXT for i in range(200)}
    STATED.check(sizes)
    sizes["one more.wav"] = 2 * TEXT
    with pytest.raises(ValueError, match=r"it unpacks to \d+ bytes instead of"):
        STATED.check(sizes)
