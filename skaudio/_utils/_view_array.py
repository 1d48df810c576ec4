"""`ViewArray`: the array of one view, which knows its rate."""

from __future__ import annotations

from typing import Any

import numpy as np


class ViewArray(np.ndarray):
    """What a view returns: an array of clips that knows how many frames a second has.

    It is a NumPy array in all else. Networks cut segments in seconds by its rate, and
    notice views of another rate than in `fit`. Some of its clips know the rate, too,
    and so does what is computed from it frame by frame; what has other bins or frames
    has the rate None, as a plain array.

    Parameters
    ----------
    array : ndarray of shape (n_clips, n_bins, n_frames), or 1-D object array
        Views of the clips; it is not copied.
    rate : float or None, default=None
        Frames per second.

    Attributes
    ----------
    rate : float or None
        Frames per second.

    See Also
    --------
    Views : Several views of the same clips.

    Examples
    --------
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.views import MelView
    >>> X, y = make_sounds(n_clips=6, n_classes=2, sr=8000, random_state=0)
    >>> mel = MelView(sr=8000, hop_length=80).transform(X)
    >>> mel.rate, mel[:2].rate, mel[:, :, ::2].rate
    (100.0, 100.0, None)
    """

    rate: float | None

    def __new__(cls, array: np.ndarray, rate: float | None = None) -> ViewArray:
        """An array of the same clips, with a rate."""
        new: ViewArray = np.asarray(array).view(cls)
        new.rate = rate
        return new

    def __array_finalize__(self, source: Any) -> None:
        """Clips are the first axis: any of them have the rate of all."""
        same = getattr(source, "shape", ())[1:] == self.shape[1:]
        is_view = self.ndim == 3 or (self.ndim == 1 and self.dtype == object)
        known = getattr(source, "rate", None)
        self.rate = known if same and is_view else None

    def __array_wrap__(
        self, array: np.ndarray, context: Any = None, return_scalar: bool = False
    ) -> Any:
        """What is computed is a number, a plain array, or clips at the same rate."""
        if return_scalar:
            return array[()]
        new = array.view(type(self))
        new.__array_finalize__(self)
        return np.asarray(array) if new.rate is None else new

    # axes that change places have another meaning, whatever their lengths; NumPy tells
    # `__array_finalize__` the shape before
    def transpose(self, *axes: Any) -> np.ndarray:  # type: ignore[override]
        """Change the order of axes; the array that results is a plain one."""
        return np.asarray(self).transpose(*axes)

    def swapaxes(self, axis1: Any, axis2: Any) -> np.ndarray:  # type: ignore[override]
        """Exchange two axes; the array that results is a plain one."""
        return np.asarray(self).swapaxes(axis1, axis2)

    @property
    def T(self) -> np.ndarray:  # type: ignore[override]
        """The array with its axes in reverse order, a plain one."""
        return self.transpose()

    @property
    def mT(self) -> np.ndarray:  # type: ignore[override]
        """The array with frames before bins, a plain one."""
        return self.swapaxes(-1, -2)

    def __reduce__(self) -> tuple[Any, ...]:
        """By the plain array, which joblib puts into shared memory, once."""
        plain = self.view(np.ndarray)
        base = self.base
        if type(base) is np.ndarray and _places(base) == _places(plain):
            plain = base  # the same object each time
        return type(self), (plain, self.rate)


def _places(array: np.ndarray) -> tuple[Any, ...]:
    """Where the values of an array are."""
    return array.ctypes.data, array.shape, array.strides, array.dtype


def like(array: np.ndarray, source: Any) -> np.ndarray:
    """An array with the rate of the view that it was computed from, if that has one."""
    rate = getattr(source, "rate", None) if isinstance(source, ViewArray) else None
    return array if rate is None else ViewArray(array, rate)
