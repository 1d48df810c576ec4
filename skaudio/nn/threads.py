"""Threads of torch that spin while they wait for each other, and how to do without."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# any of them says how threads wait; `skaudio` sets the first one if it comes before
# torch, and whoever sets one of them has chosen
DECIDES = "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"
DECIDED = any(name in os.environ for name in DECIDES)


@contextmanager
def without_spinning(device: str | torch.device) -> Iterator[None]:
    """Use one thread where torch was loaded so that its threads spin.

    That is, where torch was imported before skaudio and no environment variable says
    how threads wait. Beside other busy processes, threads that spin wait for one that
    does not run. At the end there are as many threads as before.

    Parameters
    ----------
    device : str or torch.device
        Where is computed; other devices than the CPU are left alone.
    """
    if DECIDED or torch.device(device).type != "cpu":
        yield
        return
    before = torch.get_num_threads()  # of this thread: others have their own
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
