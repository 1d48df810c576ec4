"""Pickles are gone through before they are run: what they call, and how much."""

import io
import pickle
from collections import OrderedDict

import numpy as np
import pytest

from skaudio._utils._limits import FACTOR, Budget
from skaudio._utils._pickle_scan import calls_of


def names(content):
    return {call.name for call in calls_of(io.BytesIO(content), len(content))}


@pytest.mark.parametrize("protocol", range(6))
def test_calls_are_named(protocol):
    given = [OrderedDict(a=(1, 2)), np.arange(3), {"b": {3.5}}, None, b"x", -1, 2**70]
    found = names(pickle.dumps(given, protocol))
    assert {"collections.OrderedDict", "numpy.dtype"} < found
    assert len([name for name in found if name.startswith("numpy._core.")]) == 1


@pytest.mark.parametrize("protocol", range(6))
def test_the_file_is_left_behind_the_pickle(protocol):
    content = pickle.dumps(["a", {"b": (1, 2)}], protocol)
    file = io.BytesIO(content + b"more")
    assert calls_of(file, len(content)) == []
    assert file.read() == b"more"


def test_texts_of_calls_are_known():
    content = b"c_codecs\nencode\n(Vabc\nVlatin1\ntR."
    (call,) = calls_of(io.BytesIO(content), len(content))
    assert (call.name, call.texts) == ("_codecs.encode", ("abc", "latin1"))
    content = b"(Vabc\nI3\nios\nsystem\n."
    (call,) = calls_of(io.BytesIO(content), len(content))
    assert (call.name, call.texts) == ("os.system", ("abc", None))


def test_a_computed_function_has_no_name():
    content = b"ca\nb\n)R)R."
    calls = calls_of(io.BytesIO(content), len(content))
    assert [call.name for call in calls] == ["a.b", ""]


def nested(n, once):
    return b"\x80\x02}N" + once * n + b"K\x01s."


GREEDY = {
    "a place in memory beyond the file": b"\x80\x02]r\x00\x00\x00\x04.",
    "such a place in text": b"]p268435456\n.",
    "a tuple of tuples by copies": nested(26, b"2\x86"),
    "a tuple of tuples from memory": nested(26, b"q\x01h\x01\x86"),
    "a long argument again and again": (
        b"\x80\x02(]" + b"(" + b"K\x01K\x02\x86" * 2000 + b"etq\x01"
        b"ccollections\nOrderedDict\nq\x020" + b"h\x02h\x01R0" * 2000 + b"h\x01."
    ),
}


@pytest.mark.parametrize("what", GREEDY)
def test_small_programs_that_ask_for_much_are_refused(what):
    content = GREEDY[what]
    with pytest.raises(ValueError, match=r"remembers object|above \d+ bytes"):
        calls_of(io.BytesIO(content), len(content))


def test_many_empty_objects_are_refused_by_their_memory():
    content = b"\x80\x02(" + b"]" * 10**6 + b"l."  # 64 MB of empty lists
    with pytest.raises(ValueError, match="an object takes what the file holds above"):
        calls_of(io.BytesIO(content), len(content))


@pytest.mark.parametrize("n", [2, 8])
def test_sharing_as_usual_is_allowed(n):
    pair = ("a" * 10, 2)
    given = [(pair,) * n] * 1000
    assert names(pickle.dumps(given)) == set()


@pytest.mark.parametrize("content", [b"", b"0.", b"h\x01.", b"t.", b"\xfe.", b"N"])
def test_programs_that_cannot_run_are_damaged(content):
    with pytest.raises(
        ValueError, match=r"takes what is not there|not enough|exhausted"
    ):
        calls_of(io.BytesIO(content), len(content))


@pytest.mark.parametrize("place", [b"-1", b"1000"])
def test_places_that_no_program_of_that_size_has(place):
    with pytest.raises(ValueError, match=f"remembers object {int(place)}"):
        calls_of(io.BytesIO(b"Np" + place + b"\n."), 10)


def test_budgets_are_not_refilled():
    budget = Budget(10, floor=0)
    budget.take(FACTOR * 10, "all")
    for n_bytes in (1, -1):
        with pytest.raises(ValueError, match="more takes what the file holds above"):
            budget.take(n_bytes, "more")
