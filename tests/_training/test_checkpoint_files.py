"""Checkpoints that are damaged, of something else, or made to do harm."""

import copy
import enum
import io
import os
import pickle
import struct
import time
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, EarlyStopping

from skaudio._training._checkpoint_file import read
from skaudio._training._checkpoint_state import check_like, decoded, encoded
from skaudio.neural_network import PlateauSchedule, SampleCNNClassifier

REFUSED = r"/a\.checkpoint is not a checkpoint of skaudio, or is damaged: "


class PowerCut(Exception):
    pass


class Stop(Callback):
    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 3:
            raise PowerCut


def network(*callbacks, **changes):
    stop = EarlyStopping("train_loss", patience=9)
    options = {"sizes": (4, 4, 4), "width": 0.05, "dropout": 0.5, "max_epochs": 4}
    options |= {"validation_fraction": 0.2, "lr_schedule": PlateauSchedule(patience=0)}
    options |= {"random_state": 0, "callbacks": [stop, *callbacks]}
    return SampleCNNClassifier(**options | changes)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    y = np.arange(20) % 2
    return rng.normal(size=(20, 64)).astype(np.float32) + y[:, None].astype("f4"), y


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "a.checkpoint"
    with pytest.raises(PowerCut):
        network(Stop()).fit(*data, checkpoint=path)
    return path.read_bytes()


@pytest.fixture
def state(whole):
    return torch.load(io.BytesIO(whole), weights_only=True)


@pytest.fixture
def resume(data, tmp_path):
    """Fit from a checkpoint with that state or content."""

    def fit(state, **changes):
        path = tmp_path / "a.checkpoint"
        if isinstance(state, bytes):
            path.write_bytes(state)
        else:
            torch.save(state, path)
        before = path.read_bytes()
        try:
            return network(**changes).fit(*data, checkpoint=path)
        except ValueError:
            assert path.read_bytes() == before
            raise

    return fit


def test_the_whole_one_goes_on(state, resume):
    assert len(resume(state).history_) == 4


# ------------------------------------------------------------- damaged and of others


@pytest.mark.parametrize("cut", [0, 1, 4, 100, 0.5, -30, -1])
def test_cut_files(cut, whole, resume):
    end = int(cut * len(whole)) if isinstance(cut, float) else cut
    with pytest.raises(ValueError, match=REFUSED):
        resume(whole[:end])


def test_changed_bytes_are_refused_or_of_no_consequence(whole, resume, data):
    expected = resume(whole).predict_proba(data[0])
    rng = np.random.default_rng(0)
    refusals = []
    for _ in range(15):
        content = bytearray(whole)
        for place in rng.integers(len(content), size=5):
            content[place] ^= 1 << rng.integers(8)
        try:
            again = resume(bytes(content))
        except ValueError as error:
            refusals.append(str(error))
        else:  # of what is neither numbers nor their names
            assert np.array_equal(again.predict_proba(data[0]), expected)
    assert len(refusals) > 5
    assert all("/a.checkpoint is " in text for text in refusals)


@pytest.mark.parametrize(
    "content",
    [
        b"hello",
        b"\xff\xfe\x00",
        b"\x80\x02.",
        b"\x80\x02]q\x00.",
        b"\x89HDF\r\n\x1a\n",
        pickle.dumps({"identity": {}}),
        b"cos\nsystem\n.",
    ],
    ids=range(7),
)
def test_files_of_others(content, resume):
    with pytest.raises(ValueError, match=REFUSED):
        resume(content)


def test_state_dicts_of_torch(resume):
    for state in ({"0.weight": torch.ones(2, 2)}, torch.ones(3), [1], None):
        with pytest.raises(ValueError, match=f"{REFUSED}it should hold"):
            resume(state)


def test_checksums_that_torch_was_told_to_leave_out(state, resume):
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        assert len(resume(state).history_) == 4
    finally:
        torch.serialization.set_crc32_options(before)


# ------------------------------------------------------------------------- inside


RIGHT = [("seed", "3"), ("callbacks", "{}"), ("callbacks", "{'a': 1}")]
KEYS = "identity seed module optimizer history is_finished dropout parts callbacks"


@pytest.mark.parametrize("key", KEYS.split())
def test_every_part_is_needed_and_of_its_kind(key, state, resume):
    for value in (None, 3, -1, "x", b"x", [], [3], {"a": 1}, torch.ones(2)):
        if (key, repr(value)) in RIGHT:
            continue
        with pytest.raises(ValueError, match=r"/a\.checkpoint is "):
            resume({**state, key: value})
    del state[key]
    with pytest.raises(ValueError, match=f"{REFUSED}it should hold"):
        resume(state)


def paths(value, start=()):
    """Ways to everything within a state."""
    items = value.items() if isinstance(value, dict) else ()
    items = list(enumerate(value))[:1] if isinstance(value, list) else items
    for key, item in items:
        yield (*start, key)
        yield from paths(item, (*start, key))


def changed(state, way, value):
    out = copy.copy(state)
    if len(way) > 1:
        out[way[0]] = changed(state[way[0]], way[1:], value)
    elif value is KeyError:
        del out[way[0]]
    else:
        out[way[0]] = value
    return out


def test_nothing_within_may_be_missing_or_of_another_kind(state, resume):
    """Every second entry of dictionaries, and the first of every list."""
    ways = [way for way in paths(state) if len(way) > 1]
    ways = [way for way in ways if way[0] in ("module", "optimizer", "parts")]
    ways = [way for way in ways if way[1] != "state" or way[2:3] in ((), (0,))][::2]
    assert len(ways) > 30
    for i, way in enumerate(ways):
        keep = isinstance(way[-1], int) or "state" in way  # none is a right one
        value = 1j if keep or i % 2 else KeyError
        with pytest.raises(ValueError, match=REFUSED):
            resume(changed(state, way, value))


@pytest.mark.parametrize(
    ("way", "value"),
    [
        (("parts", "PlateauSteps", "stage"), 10**12),
        (("parts", "PlateauSteps", "stage"), -1),
        (("parts", "Evaluation", "step"), True),
        (("parts", "Evaluation", "records"), []),
        (("parts", "records", "epochs"), []),
        (("parts", "Evaluation", "on_epoch_end"), "x"),
        (("parts", "Evaluation", "__class__"), "x"),
        (("callbacks", "EarlyStopping", "on_epoch_end"), "x"),
        (("callbacks", "EarlyStopping", "patience"), 10**9),
        (("callbacks", "EarlyStopping", "__class__"), "x"),
        (("callbacks", "EarlyStopping", "misses_"), "x"),
        (("callbacks", "EarlyStopping", "misses_"), [1]),
        (("callbacks", "EarlyStopping"), 3),
        (("dropout",), torch.zeros(3, dtype=torch.uint8)),
        (("device",), 3),
        (("optimizer", "param_groups"), []),
    ],
    ids=str,
)
def test_values_that_could_not_be(way, value, state, resume):
    with pytest.raises(ValueError, match=REFUSED):
        resume(changed(state, way, value))


def test_a_history_that_is_too_long_or_short(state, resume):
    rows, epochs = state["history"], state["parts"]["records"]["epochs"]
    for n in (0, 1, 3, 100):
        more = changed(state, ("history",), (rows * 50)[:n])
        with pytest.raises(ValueError, match=f"{REFUSED}its records and its history"):
            resume(more)
        if n != 1:
            way = ("parts", "records", "epochs")
            both = changed(more, way, (epochs * 50)[:n])
            if n in (0, 100):
                message = "it is of 0 epochs; wanted 1" if n == 0 else "has 100 epochs"
                with pytest.raises(ValueError, match=message):
                    resume(both)


# ----------------------------------------------------------------- NaN and infinity


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    "way", [("module",), ("parts", "Evaluation", "best_state")], ids=str
)
def test_weights_that_are_no_numbers(way, value, state, resume):
    weights = state[way[0]]
    for key in way[1:]:
        weights = weights[key]
    broken = {
        k: torch.full_like(v, value) if v.is_floating_point() else v
        for k, v in weights.items()
    }
    with pytest.raises(ValueError, match=f"{REFUSED}its .* holds NaN, infinity"):
        resume(changed(state, way, broken))
    with pytest.raises(ValueError, match=f"{REFUSED}its .* holds NaN, infinity"):
        resume({**changed(state, way, broken), "is_finished": True})


def test_variances_below_zero(state, resume):
    name = next(name for name in state["module"] if name.endswith("running_var"))
    broken = -state["module"][name]
    with pytest.raises(ValueError, match="negative variance"):
        resume(changed(state, ("module", name), broken))


def test_moments_that_are_no_numbers(state, resume):
    moments = state["optimizer"]["state"][0]
    key = next(key for key, value in moments.items() if value.numel() > 1)
    broken = moments[key] * np.nan
    with pytest.raises(ValueError, match=f"{REFUSED}its optimizer.* holds NaN"):
        resume(changed(state, ("optimizer", "state", 0, key), broken))


def test_a_diverged_training_says_so(data, tmp_path):
    path = tmp_path / "a.checkpoint"
    for _ in range(2):  # when it happens, and from the file
        clf = network(lr=1e30, validation_fraction=None, lr_schedule="constant")
        with pytest.raises(ValueError, match="Training diverged in epoch"):
            clf.fit(*data, checkpoint=path)
    assert path.exists()


# ------------------------------------------------------------------- size and code


def archive_of(program, records=()):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/data.pkl", program)
        file.writestr("a/version", "3\n")
        for key, content in records:
            file.writestr(f"a/data/{key}", content)
    return stream.getvalue()


def deep(n):
    value = []
    for _ in range(n):
        value = [value] * 10
    return value


BOMBS = {
    "repeated lists": deep(12),
    "repeated values": torch.zeros(1).expand(10**10),
    "nested": {"a": [[[[[0] * 1000] * 1000] * 1000] * 1000]},
}


@pytest.mark.parametrize("what", BOMBS)
def test_more_than_the_file_holds(what, state, resume):
    for key in ("history", "callbacks"):
        with pytest.raises(ValueError, match="takes what the file holds above"):
            resume({**state, key: BOMBS[what]})


def test_small_programs_that_ask_for_much(resume):
    call = b"c__builtin__\nbytearray\n(J" + struct.pack("<i", 2**31 - 1) + b"tR."
    for program in (b"\x80\x02" + call, b"\x80\x02N\x8a\x04\xff\xff\xff\x7f."):
        with pytest.raises(ValueError, match=REFUSED):
            resume(archive_of(program))
    with pytest.raises(ValueError, match=f"{REFUSED}.*above"):
        resume(archive_of(b"\x80\x02}.", [("0", bytes(10**8))]))


def test_nothing_is_executed(state, resume, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    for key in ("callbacks", "history", "identity"):
        with pytest.raises(ValueError, match=REFUSED):
            resume({**state, key: Evil()})
    assert not (tmp_path / "executed").exists()


# ----------------------------------------------------------------------- what is kept


class Count(enum.IntEnum):
    MANY = 2


class Odd(Callback):
    def on_train_begin(self, net, **kwargs):
        self.total = 0

    def on_epoch_end(self, net, **kwargs):
        self.total = self.total + np.ones(2)
        self.name = np.str_("a")
        self.count = Count.MANY
        self.big = np.ones(2, ">f8")
        self.texts = np.array(["a"])
        self.wide = np.longdouble(1)
        self.by_name = OrderedDict(a=np.float32(1), b=(True, None))
        assert all(isinstance(row["norms"], np.ndarray) for row in net.history[:-1])
        net.history.record("norms", np.ones(2))
        net.history.record("odd", object())


def test_what_a_callback_keeps_never_spoils_the_file(data, tmp_path):
    """Of arrays and objects, what such a file can hold."""
    path = tmp_path / "a.checkpoint"
    with pytest.raises(PowerCut):
        network(Odd(), Stop()).fit(*data, checkpoint=path)
    network(Odd()).fit(*data, checkpoint=path)
    state = read(path)
    kept = decoded(state["callbacks"]["Odd"])
    np.testing.assert_array_equal(kept.pop("total"), [4.0, 4.0])
    assert type(kept["count"]) is int
    assert kept.pop("count") == 2
    np.testing.assert_array_equal(kept.pop("big"), [1.0, 1.0])
    assert kept == {"name": "a", "by_name": {"a": 1.0, "b": [True, None]}}
    row = decoded(state["history"][0])
    assert "odd" not in row
    np.testing.assert_array_equal(row["norms"], [1.0, 1.0])
    assert len(network(Odd()).fit(*data, checkpoint=path).history_) == 4


def test_encoded_values_come_back():
    value = {"a": [1, 2.5, "x", None, True], "b": {"c": np.arange(3)}}
    back = decoded(encoded(value))
    np.testing.assert_array_equal(back["b"].pop("c"), value["b"].pop("c"))
    assert back == value
    assert type(encoded(np.float64(2))) is type(encoded(np.float32(2))) is float


def test_likeness():
    check_like({"a": [1, 5], "b": 2}, {"a": [0], "b": 0.5}, "x")
    for value, like in [
        ([1], []),
        (1.5, 1),
        (True, 1),
        (1, True),
        ("1", 1),
        ([1], (1,)),
        ({"a": 1, "b": 1}, {"a": 1}),
        (torch.ones(2), torch.ones(2, dtype=torch.float64)),
    ]:
        with pytest.raises(ValueError, match="its x should be like "):
            check_like(value, like, "x")


def test_what_killed_writers_left_is_deleted_a_day_later(data, tmp_path):
    old, new = (tmp_path / f"a.checkpoint.{k * 32}.part" for k in "ab")
    for part in (old, new):
        part.write_text("half")
    os.utime(old, (time.time() - 90_000,) * 2)
    network(max_epochs=1).fit(*data, checkpoint=tmp_path / "a.checkpoint")
    assert {path.name for path in tmp_path.iterdir()} == {"a.checkpoint", new.name}


@pytest.mark.parametrize("lr", [np.float64(0.01), np.float32(0.01), 1])
def test_numbers_of_numpy_in_the_optimizer(lr, data, tmp_path):
    """A search draws them; a file that runs no code has none."""
    path, options = tmp_path / "a.checkpoint", {"lr_schedule": "constant", "lr": lr}
    with pytest.raises(PowerCut):
        network(Stop(), **options).fit(*data, checkpoint=path)
    assert len(network(**options).fit(*data, checkpoint=path).history_) == 4
