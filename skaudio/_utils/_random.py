"""Randomness that never touches the global generators."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state


def draw_seed(random_state: Any) -> int:
    """One integer that everything random in a fit is derived from."""
    return int(check_random_state(random_state).randint(2**31 - 1))


def derived_generator(seed: int) -> np.random.Generator:
    """NumPy generator that is independent of others with the same seed."""
    (child,) = np.random.SeedSequence(seed).spawn(1)
    return np.random.default_rng(child)
