"""Threads that wait: none spin unless the user wants it, and nothing stays changed."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from skaudio.nn import devices
from skaudio.nn.devices import by_batches

ROOT = Path(__file__).resolve().parents[2]
NOT_SET = (*devices.DECIDES, "OMP_NUM_THREADS")
SCRIPT = """
import os
{first}
import skaudio.nn.devices
import torch
from skaudio.nn.devices import by_batches
before = torch.get_num_threads()
inside = by_batches(
    lambda batch: torch.get_num_threads(), [0], batch_size=1, device="cpu", what="clips"
)
print(os.environ.get("GOMP_SPINCOUNT"), before, inside[0], torch.get_num_threads())
"""


@pytest.mark.parametrize(
    ("first", "settings", "expected"),
    [
        ("", {}, "10000 2 2 2"),
        ("import skaudio", {}, "10000 2 2 2"),
        ("import torch", {}, "None 2 1 2"),
        ("", {"OMP_WAIT_POLICY": "ACTIVE"}, "None 2 2 2"),
        ("import torch", {"OMP_WAIT_POLICY": "ACTIVE"}, "None 2 2 2"),
        ("import torch", {"GOMP_SPINCOUNT": "7"}, "7 2 2 2"),
        ("", {"KMP_BLOCKTIME": "0"}, "None 2 2 2"),
    ],
)
def test_who_comes_first_and_what_is_set(first, settings, expected):
    kept = {name: v for name, v in os.environ.items() if name not in NOT_SET}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(first=first)],
        env={**kept, "OMP_NUM_THREADS": "2", **settings},
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert done.stdout.strip() == expected


@pytest.fixture
def spinning(monkeypatch):
    monkeypatch.setattr(devices, "DECIDED", False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_the_number_comes_back_after_an_error(spinning):
    def fails(items):
        raise MemoryError

    with pytest.raises(MemoryError):
        by_batches(fails, [0], batch_size=1, device="cpu", what="clips")
    assert torch.get_num_threads() == 2


def test_threads_do_not_disturb_each_other(spinning):
    found = []

    def work():
        torch.set_num_threads(2)
        with devices.without_spinning("cpu"), devices.without_spinning("cpu"):
            found.append(torch.get_num_threads())
        found.append(torch.get_num_threads())

    worker = threading.Thread(target=work)
    with devices.without_spinning("cpu"):
        worker.start()
        worker.join()
        assert torch.get_num_threads() == 1
    assert found == [1, 2]
    assert torch.get_num_threads() == 2


def test_other_devices_are_left_alone(spinning):
    with devices.without_spinning("meta"):
        assert torch.get_num_threads() == 2
