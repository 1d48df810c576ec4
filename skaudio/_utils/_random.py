"""Randomness that never touches the global generators."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

_INIT_LOCK = threading.Lock()


def draw_seed(random_state: Any) -> int:
    """One integer that everything random in a fit is derived from."""
    return int(check_random_state(random_state).randint(2**31 - 1))


def derived_generator(seed: int) -> np.random.Generator:
    """NumPy generator that is independent of others with the same seed."""
    (child,) = np.random.SeedSequence(seed).spawn(1)
    return np.random.default_rng(child)


@contextmanager
def seeded_initialisation(seed: int) -> Iterator[None]:
    """Seed torch's global generator for building a module, then put it back.

    torch's initialisers use only the global generator. The lock keeps threads
    (joblib's threading backend) from seeing each other's seed.
    """
    import torch

    with _INIT_LOCK, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
