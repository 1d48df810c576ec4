"""Arrays of samples: one rule for PCM, channels first, finite."""

from __future__ import annotations

from typing import Any

import numpy as np

from skaudio._audio._checks import check_overflow, check_samples
from skaudio._utils._types import FLOATS

# full scale of integers that are samples as they are stored in files
PCM_SCALE = {"int8": 2**7, "uint8": 2**7, "int16": 2**15, "int32": 2**31}
FULL_SCALE = 2**7  # of the smallest; what reaches it is PCM, what does not, a number


def to_floats(array: np.ndarray, name: str) -> np.ndarray:
    """Samples as float32 or float64; see `load_clips` for the rule about integers."""
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    kind = native.dtype.name
    if native.dtype in FLOATS:
        return native
    if kind in PCM_SCALE:
        offset = np.float32(PCM_SCALE[kind] if kind == "uint8" else 0)
        return (native.astype(np.float32) - offset) / np.float32(PCM_SCALE[kind])
    if native.dtype.kind in "iu" and native.size:
        peak = max(int(native.max()), -int(native.min()))
        if peak >= FULL_SCALE:
            raise ValueError(
                f"{name} has integers up to {peak} of type {kind}, which does not say "
                "what full scale is. Cast them to int16 or int32 if that is what they "
                "were (X.astype('int16')), or divide them by their full scale."
            )
    with np.errstate(over="ignore"):  # the caller looks
        floats: np.ndarray = native.astype(np.float32)
    return floats


def as_samples(array: Any, name: str) -> np.ndarray:
    """Check one waveform and give it time-first, as decoded files are."""
    if not isinstance(array, np.ndarray):
        raise _no_clip(array, name)
    if array.dtype.kind not in "fiub":
        raise TypeError(
            f"{name} must be a path or an array of numbers; got dtype {array.dtype}."
        )
    if array.ndim not in (1, 2):
        raise ValueError(
            f"{name} must have shape (n_samples,) or (n_channels, n_samples); got "
            f"{array.shape}."
        )
    if array.ndim == 2 and array.shape[0] > array.shape[1] > 0:
        raise ValueError(
            f"{name} has shape {array.shape}: {array.shape[0]} channels of "
            f"{array.shape[1]} samples. Waveforms are (n_samples,) or (n_channels, "
            "n_samples): transpose it (x.T)."
        )
    samples = to_floats(check_samples(array, name), name).T
    if samples.dtype != array.dtype:
        check_overflow(array, samples, name)
    return samples


def _no_clip(item: Any, name: str) -> Exception:
    wanted = "A clip is a path, an array of samples, or a pair of samples and rate."
    if item is None or str(item) in ("nan", "<NA>", "NaT"):
        return ValueError(f"{name} is missing: {item!r} stands in its place. {wanted}")
    text = f"{str(item)[:60]!r} ({type(item).__name__})"
    return TypeError(f"{name} is no clip: {text}. {wanted}")
