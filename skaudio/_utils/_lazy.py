"""Arrays of clips that are read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, Self, overload

import numpy as np

Change = Callable[[np.ndarray], np.ndarray]


class Entry(Protocol):
    """An array that is kept somewhere."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array, known without reading it."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the array."""

    @property
    def is_finite(self) -> bool:
        """Whether there is no NaN or infinity in it."""

    def read(self) -> np.ndarray:
        """The array, not to be written to."""


class LazyClips(Sequence[np.ndarray]):
    """Arrays (n_bins, n_frames_i) of clips, each read whenever it is asked for.

    Parameters
    ----------
    entries : sequence of Entry
        Where the arrays are.
    changes : tuple of callable, default=()
        What is done to an array that was read, in this order. Neither dtype nor number
        of frames may change; they are sent to other processes.
    dtype : dtype or None, default=None
        Type of all arrays; None is one that has room for all.
    n_frames : ndarray of shape (n_clips,) or None, default=None
        Frames of every clip; None asks the entries.
    """

    ndim = 1  # as a 1-D object array of arrays

    def __init__(
        self,
        entries: Sequence[Entry],
        changes: tuple[Change, ...] = (),
        dtype: Any = None,
        n_frames: np.ndarray | None = None,
    ) -> None:
        self.entries = entries
        self.changes = changes
        if dtype is None:
            dtype = np.result_type(*{entry.dtype for entry in entries})
        self.dtype = np.dtype(dtype)
        if n_frames is None:
            n_frames = np.array([e.shape[-1] for e in entries], dtype=np.intp)
        self.n_frames = n_frames

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, key: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, key: slice) -> Self: ...
    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return self.take(np.arange(len(self))[key])
        array = self.entries[key].read()
        if array.dtype != self.dtype:
            array = array.astype(self.dtype)
        for change in self.changes:
            array = change(array)
        return array

    def take(self, rows: np.ndarray) -> Self:
        """Some of the clips; nothing is read."""
        some = [self.entries[row] for row in rows.tolist()]
        return type(self)(some, self.changes, self.dtype, self.n_frames[rows])

    def changed(self, change: Change) -> Self:
        """The same clips with a further change of their values."""
        changes = *self.changes, change
        return type(self)(self.entries, changes, self.dtype, self.n_frames)

    @property
    def n_bins(self) -> int:
        """Bins of every clip; 0 without clips."""
        return self.entries[0].shape[0] if self.entries else 0
