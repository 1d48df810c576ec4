"""Weights of networks that are numbers."""

from __future__ import annotations

from typing import Any

import numpy as np


def check_weights(weights: Any) -> None:
    """Refuse weights of a network that would give NaN.

    Parameters
    ----------
    weights : dict of str to ndarray
        By the names of torch.
    """
    for name, array in weights.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(
                f"the weights {name} hold NaN or infinity: the training diverged"
            )
        if name.endswith("running_var") and (array < 0).any():
            raise ValueError(f"the variances {name} are negative")
