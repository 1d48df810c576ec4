"""The reader of foreign pickles: gives data, executes nothing, refuses the rest."""

import contextlib
import io
import os
import pickle
import subprocess
import sys
import types
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from sklearn.preprocessing import MinMaxScaler

from skaudio import _safe_pickle
from skaudio._safe_pickle import HeldState, load_pickle

SCALER = "sklearn.preprocessing._data.MinMaxScaler"
NAMED = "some.package.Thing"
CLASSES = ("HeldState", "_Given", "_DType", "_Array")


def _load(content, **options):
    return load_pickle(io.BytesIO(content), **options)


# -------------------------------------------------------------------------- data
def test_a_list_of_python_2(tmp_path):
    path = tmp_path / "list.cP"
    path.write_bytes(b"(lp0\nS'a/b.npy'\np1\naS'caf\\xe9.npy'\np2\nag1\na.")
    assert (
        load_pickle(path)
        == load_pickle(str(path))
        == ["a/b.npy", "café.npy", "a/b.npy"]
    )
    with open(path, "rb") as file:
        assert load_pickle(file)[0] == "a/b.npy"


ARRAYS = {
    "floats": np.arange(3.0),
    "float32": np.ones((2, 3), dtype=np.float32),
    "big-endian": np.arange(6, dtype=">i2").reshape(2, 3),
    "columns first": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "axes moved": np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1),
    "not contiguous": np.arange(10)[::2],
    "without axes": np.array(5),
    "empty": np.zeros((0, 3)),
    "complex": np.array([1 + 2j]),
    "truth": np.array([True, False]),
    "text": np.array(["a", "bcé"]),
    "bytes": np.array([b"a", b"bc"]),
    "scalar": np.float32(2.5),
    "scalar of text": np.str_("abc"),
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("what", ARRAYS)
def test_arrays_come_back_as_they_were(what, protocol):
    given = ARRAYS[what]
    got = _load(pickle.dumps(given, protocol))
    assert type(got) is type(given)
    assert got.dtype == given.dtype
    assert got.shape == given.shape
    np.testing.assert_array_equal(got, given)
    if got.ndim:
        got[...] = 0  # it is a copy of its own


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_inside_of_containers(protocol):
    shared = np.arange(3)
    objects = np.array([[1, "x"], [None, shared]], dtype=object, order="F")
    given = {"a": [shared, (shared, 1)], "o": OrderedDict(k=shared), "m": objects}
    got = _load(pickle.dumps(given, protocol))
    assert list(got) == ["a", "o", "m"]
    for array in (got["a"][0], got["a"][1][0], got["o"]["k"], got["m"][1, 1]):
        assert array is got["a"][0]  # shared as before
        np.testing.assert_array_equal(array, shared)
    assert type(got["o"]) is OrderedDict
    assert got["m"].dtype == object
    assert got["m"][:, 0].tolist() == [1, None]


def test_many_small_arrays_are_not_mistaken_for_each_other():
    got = _load(pickle.dumps([(i, np.array([i])) for i in range(2000)], 2))
    assert all(array[0] == i for i, array in got)


def test_a_list_that_holds_itself():
    given = [np.arange(2)]
    given.append(given)
    got = _load(pickle.dumps(given))
    assert got[1] is got
    assert type(got[0]) is np.ndarray


@pytest.mark.parametrize("core", ["numpy.core", "numpy._core"])
def test_old_and_new_names_of_numpy(core):
    content = pickle.dumps(np.arange(3), 2).replace(b"numpy._core", core.encode())
    assert core.encode() + b".multiarray" in content
    assert _load(content).tolist() == [0, 1, 2]


def test_an_array_of_python_2():
    """Bytes of Python 2 are text to Python 3, one character each."""
    content = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
        b"(I1\n(I2\ntcnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
        b"I00\nS'\\x00\\x00\\x80?\\x00\\x00\\xc0\\xbf'\ntb."
    )
    np.testing.assert_array_equal(_load(content), np.float32([1, -1.5]))


# ------------------------------------------------------------ objects of classes
@pytest.mark.parametrize("protocol", range(2, 6))
def test_a_scaler_is_only_what_it_held(protocol):
    X = np.random.default_rng(0).random((20, 96)).astype(np.float32)
    scaler = MinMaxScaler().fit(X)
    got = _load(pickle.dumps(scaler, protocol), classes=[SCALER])
    assert isinstance(got, HeldState)
    assert not isinstance(got, MinMaxScaler)
    assert got.class_name == SCALER
    for attribute in ("scale_", "min_"):
        assert got.state[attribute].shape == (96,)
        assert got.state[attribute].dtype == np.float32
        np.testing.assert_array_equal(got.state[attribute], getattr(scaler, attribute))
    assert got.state["feature_range"] == (0, 1)


@pytest.mark.parametrize("protocol", range(2, 6))
def test_the_class_need_not_exist(protocol, monkeypatch):
    """As where scikit-learn has moved it since."""
    module = types.ModuleType("sklearn.preprocessing.data")

    class MinMaxScaler:
        __module__ = module.__name__
        __qualname__ = "MinMaxScaler"

    module.MinMaxScaler = MinMaxScaler
    with monkeypatch.context() as during:
        during.setitem(sys.modules, module.__name__, module)
        given = MinMaxScaler()
        given.scale_ = np.ones(96, dtype=np.float32)
        content = pickle.dumps(given, protocol)
    name = "sklearn.preprocessing.data.MinMaxScaler"
    got = _load(content, classes=[name])
    assert got.class_name == name
    np.testing.assert_array_equal(got.state["scale_"], np.ones(96))
    assert module.__name__ not in sys.modules
    assert not isinstance(_load(content, classes=[name]), type(got))  # nothing is kept


def test_a_class_that_was_not_named_is_refused():
    with pytest.raises(ValueError, match=rf"refers to {SCALER}, which was not loaded"):
        _load(pickle.dumps(MinMaxScaler()))
    with pytest.raises(ValueError, match=r"refers to sklearn\.\S*MinMaxScaler"):
        _load(pickle.dumps(MinMaxScaler()), classes=["MinMaxScaler"])


# ----------------------------------------------------------------------- hostile
class _Calls:
    """Pickled, a call of anything."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


HOSTILE_CALLS = {
    "os.system": (os.system, "touch touched"),
    "eval": (eval, "open('touched', 'w')"),
    "exec": (exec, "open('touched', 'w')"),
    "open": (open, "touched", "w"),
    "getattr": (getattr, np, "save"),
    "a process": (subprocess.Popen, ["touch", "touched"]),
    "numpy.save": (np.save, "touched", 1),
    "numpy.load": (np.load, "touched"),
    "numpy.fromfile": (np.fromfile, "touched"),
    "a method": (Path("touched").touch,),
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("what", HOSTILE_CALLS)
def test_calls_are_refused_without_effect(what, protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        content = pickle.dumps([1, _Calls(*HOSTILE_CALLS[what])], protocol)
    except (TypeError, pickle.PicklingError):  # a module can't be pickled
        content = b"cbuiltins\ngetattr\n(cnumpy\nsave\ntR."
    with pytest.raises(
        ValueError, match=r"it refers to \S+, which was not loaded\. Nothing"
    ):
        _load(content)
    assert list(tmp_path.iterdir()) == []


def _stack_global(module, name):
    texts = (b"\x8c%c%s" % (len(text), text.encode()) for text in (module, name))
    return b"\x80\x04" + b"".join(texts) + b"\x93"


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("numpy", "f2py.run_main"),
        ("numpy", "ndarray.tofile"),
        ("numpy", "dtype.__class__"),
        ("numpy._core.multiarray", "_reconstruct.__globals__"),
        ("numpy._core.multiarray", "fromfile"),
        ("collections", "OrderedDict.__init__.__globals__"),
        ("collections", "abc.sys.modules"),
        ("skaudio._safe_pickle", "os.system"),
        ("_codecs", "decode"),
        ("copyreg", "_reconstructor"),
    ],
)
def test_names_beside_those_given_are_refused(module, name):
    with pytest.raises(ValueError, match=rf"refers to {module}\.{name}, which was not"):
        _load(_stack_global(module, name) + b")R.")


DTYPE = b"cnumpy\ndtype\n(V%s\nI0\nI1\ntR"
ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntNtR"
BUILT = ARRAY + b"(I1\n(I%d\nt%s%sI00\n%stb."
FLOATS = DTYPE % b"f8"
STATE = b"(I3\nV<\nNNNI-1\nI-1\nI0\ntb"
ODD = {
    "a pointer as an object": (
        BUILT % (1, DTYPE % b"O", STATE, b"C\x08" + 8 * b"A"),
        "dtype object",
    ),
    "a list for numbers": (BUILT % (1, FLOATS, STATE, b"(lI1\na"), "damaged"),
    "too few bytes": (BUILT % (2, FLOATS, STATE, b"C\x08" + 8 * b"A"), "damaged"),
    "another size of items": (
        BUILT % (1, FLOATS, b"(I3\nV<\nNNNI4096\nI-1\nI0\ntb", b"C\x04AAAA"),
        "damaged",
    ),
    "fields": (
        BUILT % (1, FLOATS, b"(I3\nV<\nN(Va\nt}I-1\nI-1\nI0\ntb", b"C\x08" + 8 * b"A"),
        "array with fields",
    ),
    "memory of its own": (b"cnumpy\nndarray\n(I8\ntR.", "memory that is not its own"),
    "an array without content": (ARRAY + b".", "damaged"),
    "a function": (b"cnumpy\ndtype\n.", "function or class, not data"),
    "a class": (b"ccollections\nOrderedDict\n.", "function or class, not data"),
    "a dtype": (FLOATS + b".", "function or class, not data"),
    "a function changed": (b"cnumpy\ndtype\n(NcX\nY\ntb.", r"refers to X\.Y"),
    "attributes of a function": (b"cnumpy\ndtype\n}V_function\nNsb.", "changes a func"),
    "another text encoding": (b"c_codecs\nencode\n(Va\nVrot13\ntR.", "as 'rot13'"),
    "an object outside": (b"Pnumber 7\n.", "an object outside, 'number 7'"),
    "a registered extension": (b"\x80\x02\x82\x01.", "damaged: unregistered"),
    "an instance": (b"(ios\nsystem\n.", r"refers to os\.system"),
}


@pytest.mark.parametrize("what", ODD)
def test_odd_programs_are_refused(what):
    content, match = ODD[what]
    with pytest.raises(ValueError, match=f"in the pickle, but .*{match}"):
        _load(content)


def test_a_reading_leaves_nothing_behind_for_the_next():
    before = {name: dict(vars(getattr(_safe_pickle, name))) for name in CLASSES}
    content = b"".join((_stack_global(*NAMED.rsplit(".", 1)), b"(N}Vstate\nI1\nstb."))
    with pytest.raises(ValueError, match=r"not data|damaged"):
        _load(content, classes=[NAMED])
    assert {name: dict(vars(getattr(_safe_pickle, name))) for name in CLASSES} == before


# ----------------------------------------------------------------------- damaged
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_file_cut_anywhere(protocol, tmp_path):
    path = tmp_path / "cut.pkl"
    content = pickle.dumps([np.arange(3), {"a": "text"}], protocol)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"cut\.pkl, but"):
            load_pickle(path)


def test_any_byte_changed_is_data_or_a_ValueError():
    content = pickle.dumps([np.arange(3.0), {"a": "text"}], 2)
    for place in range(len(content)):
        for value in (0, ord("."), ord("c"), ord("R"), ord("b"), 255):
            changed = content[:place] + bytes([value]) + content[place + 1 :]
            with contextlib.suppress(ValueError):  # and nothing else
                _load(changed)


def test_a_web_page_is_no_pickle():
    with pytest.raises(
        ValueError, match="whole pickle in the pickle, but it is damaged"
    ):
        _load(b"<html>please log in</html>")


# ----------------------------------------------------------- more than the file holds


def test_arrays_of_the_same_bytes_are_limited(monkeypatch):
    """Each of them is a copy: 40 bytes of the file for any number of bytes."""
    from skaudio._utils import _limits

    one = pickle.dumps(np.zeros(10**6, dtype=np.uint8), 4)
    given = np.zeros(10**6, dtype=np.uint8)
    head, state = given.__reduce__()[0], given.__reduce__()[2]

    class Same:
        def __reduce__(self):
            return head, (np.ndarray, (0,), b"b"), state

    content = pickle.dumps([Same() for _ in range(20)], 4)
    assert len(content) < len(one) + 2000
    assert len(_load(content)) == 20  # 16 times the file and 16 MiB
    content = pickle.dumps([Same() for _ in range(60)], 4)
    with pytest.raises(ValueError, match="an array takes what the file holds above"):
        _load(content)
    monkeypatch.setattr(_limits, "FACTOR", 60)
    assert len(_load(content)) == 60


def test_eight_bytes_do_not_reserve_gigabytes():
    with pytest.raises(ValueError, match="has 9 bytes and remembers object 67108864"):
        _load(bytes.fromhex("80025d72000000042e"))


def test_a_folder_is_called_one(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a directory"):
        load_pickle(tmp_path)
