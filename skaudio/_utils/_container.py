"""`Views`: several views of the same clips, indexed like one array of clips."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from skaudio._utils._lazy import LazyClips
from skaudio._utils._sklearn import get_namespace, is_validated_by_sklearn


class Views:
    """Several named views of the same clips, clip-first and sliceable.

    scikit-learn splits, indexes and counts rows of X. A dict or a list of arrays
    has the wrong length for that; `Views` has ``shape == (n_clips,)`` and
    ``X[rows]`` selects clips of every view at once, without copying.

    Parameters
    ----------
    arrays : mapping of str to array
        Each of shape (n_clips, n_bins, n_frames), or a 1-D object array of
        ``n_clips`` arrays (n_bins, n_frames_i) when clips differ in length. Views that
        a folder is given for as ``cache`` stay in its files: a clip is read when a
        network asks for it, and ``X["mel"]`` reads all clips into memory.
    rates : mapping of str to float
        Time steps per second of each view: ``sr`` for raw samples,
        ``sr / hop_length`` for a spectrogram. ``None`` where unknown.

    Attributes
    ----------
    names : tuple of str
        Names of the views, in order.
    rates : dict of str to float
        Time steps per second of each view.
    shape : tuple of int
        ``(n_clips,)``.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio.views import Views
    >>> X = Views(
    ...     {"mel": np.zeros((6, 40, 50)), "raw": np.zeros((6, 1, 22050))},
    ...     rates={"mel": 50.0, "raw": 22050.0},
    ... )
    >>> X.shape, X[[0, 2]].shape, X["mel"].shape
    ((6,), (2,), (6, 40, 50))
    """

    _packed: dict[str, Any] | None = None
    index: Any = None  # of the data frame that the clips came from

    def __init__(
        self, arrays: Mapping[str, Any], rates: Mapping[str, float | None]
    ) -> None:
        if not arrays:
            raise ValueError("Views needs at least one view; got none.")
        if set(arrays) != set(rates):
            raise ValueError(
                "Views needs one rate per view: got views "
                f"{sorted(arrays)} and rates {sorted(rates)}."
            )
        self._arrays = {name: _as_view(name, a) for name, a in arrays.items()}
        self.rates = {name: rates[name] for name in self._arrays}
        lengths = {name: len(a) for name, a in self._arrays.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(
                "All views must have the same number of clips; got "
                + ", ".join(f"{n}: {k}" for n, k in lengths.items())
            )
        self._rows = np.arange(next(iter(lengths.values())))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the views, in order."""
        return tuple(self._arrays)

    @property
    def shape(self) -> tuple[int]:
        """``(n_clips,)``."""
        return (len(self._rows),)

    @property
    def ndim(self) -> int:
        """Always 1: clips are the only axis that all views share."""
        return 1

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype that holds the values of all views."""
        arrays = self._arrays.values()
        kinds = {(a[0] if a.dtype == object and len(a) else a).dtype for a in arrays}
        return np.result_type(*kinds)

    @property
    def n_bins(self) -> dict[str, int]:
        """Number of bins (rows) of each view."""
        return {name: _n_bins(array) for name, array in self._arrays.items()}

    @property
    def durations(self) -> np.ndarray:
        """Seconds of every clip covered by all views, shape (n_clips,)."""
        seconds = [
            self.n_frames(name) / rate
            for name, rate in self.rates.items()
            if rate is not None
        ]
        if not seconds:
            raise ValueError(
                "These views have no rates, so their durations are unknown. "
                "Build them with ViewUnion, or pass rates to Views."
            )
        return np.min(seconds, axis=0)

    def n_frames(self, name: str) -> np.ndarray:
        """Time steps of every clip in view ``name``, shape (n_clips,)."""
        array = self._arrays[name]
        if isinstance(array, LazyClips):
            return array.n_frames[self._rows]
        if array.ndim == 3:
            return np.full(len(self), array.shape[2])
        return np.array([array[i].shape[1] for i in self._rows], dtype=np.intp)

    def clips(self, name: str) -> Sequence[np.ndarray]:
        """Every clip of view ``name``, (n_bins, n_frames_i) each, not copied."""
        array = self._arrays[name]
        if isinstance(array, LazyClips):
            return array.take(self._rows)
        return [array[i] for i in self._rows]

    def select(self, names: list[str] | tuple[str, ...]) -> Views:
        """The same clips with only the named views, in that order."""
        missing = [n for n in names if n not in self._arrays]
        if missing:
            raise KeyError(f"No view named {missing[0]!r}; there are {self.names}.")
        return self._with({n: self._arrays[n] for n in names}, self._rows)

    def map(self, function: Callable[[str, np.ndarray], np.ndarray]) -> Views:
        """Views of the same names and rates, each array replaced by function's."""
        arrays = {name: function(name, self[name]) for name in self.names}
        return Views(arrays, self.rates).with_index(self.index)

    def map_values(self, changes: Mapping[str, Callable[..., np.ndarray]]) -> Views:
        """Views of the same names, rates and shapes, with other values.

        ``changes`` by name take an array (..., n_bins, n_frames) each. Clips that are
        read when they are asked for are changed then; ``changes`` must be picklable.
        """
        arrays = {name: _changed(self._some(name), changes[name]) for name in changes}
        return Views(arrays, self.rates).with_index(self.index)

    def _some(self, name: str) -> np.ndarray | LazyClips:
        """A view with the rows that are selected."""
        array = self._arrays[name]
        if isinstance(array, LazyClips):
            return array.take(self._rows)
        rows = self._rows
        whole = len(rows) == len(array) and np.array_equal(rows, np.arange(len(array)))
        return array if whole else array[rows]

    def with_index(self, index: Any) -> Views:
        """The same views with names of rows, one per clip, as a data frame has them."""
        new = self._with(self._arrays, self._rows)
        new.index = index
        return new

    def _with(self, arrays: dict[str, Any], rows: np.ndarray) -> Views:
        new = object.__new__(type(self))
        new._arrays = arrays
        new.rates = {n: self.rates[n] for n in arrays}
        new._rows = rows
        if rows is self._rows:
            new.index = self.index
        return new

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            if key not in self._arrays:
                raise KeyError(f"No view named {key!r}; there are {self.names}.")
            array = self._some(key)
            return stack_or_object(array) if isinstance(array, LazyClips) else array
        if isinstance(key, tuple):  # scikit-learn indexes X[rows, ...]
            key = next((k for k in key if k is not Ellipsis), slice(None))
        if isinstance(key, (int, np.integer)):
            return {n: a[self._rows[key]] for n, a in self._arrays.items()}
        key = key if isinstance(key, slice) else _as_rows(key)
        some = self._with(self._arrays, self._rows[key])
        return some if self.index is None else some.with_index(self.index[key])

    def _is_ragged(self, name: str) -> bool:
        array = self._arrays[name]
        if isinstance(array, LazyClips):
            return len({*self.n_frames(name).tolist()}) > 1
        return array.ndim == 1

    def flatten(self) -> np.ndarray:
        """All values of a clip side by side: (n_clips, all bins x frames of all views).

        Returns
        -------
        table : ndarray of shape (n_clips, n_features)
            View after view, frame by frame within every bin.
        """
        ragged = [name for name in self.names if self._is_ragged(name)]
        if ragged:
            raise TypeError(
                f"View {ragged[0]!r} has clips of different lengths, so these views "
                "are not one array. Index a view by name, or load with duration=."
            )
        flat = [self[n].reshape(len(self), -1) for n in self.names]
        return np.concatenate(flat, axis=1) if len(flat) > 1 else flat[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """As `flatten`, but not for scikit-learn's estimators of tables.

        They would fit, and then refuse to predict: there they see that X is no table.
        """
        if is_validated_by_sklearn():
            raise TypeError(
                "Views are no table with one row of features per clip, as this "
                "estimator takes it. Put FrameStatistics() between, for the mean and "
                "spread of every bin, or take all values as features: X.flatten(). The "
                "networks of skaudio take Views as they are."
            )
        return self.flatten().astype(dtype or self.dtype, copy=False)

    def __array_namespace__(self, *, api_version: str | None = None) -> ModuleType:
        """The library of the arrays inside, as scikit-learn names it for NumPy's."""
        namespace: ModuleType = get_namespace(np.empty(0))[0]
        return namespace

    @property
    def device(self) -> str:
        """Where the arrays are: always ``"cpu"``."""
        return "cpu"

    def __sizeof__(self) -> int:
        """Bytes of the clips: what sending them costs, and schedulers go by."""
        return object.__sizeof__(self) + sum(
            16 * len(self)
            if isinstance(a, LazyClips)
            else sum(a[i].nbytes for i in self._rows)
            if a.dtype == object
            else a[:1].nbytes * len(self)
            for a in self._arrays.values()
        )

    def __getstate__(self) -> dict[str, Any]:
        # only the selected rows travel: a fold must not carry the whole data set. They
        # are copied once, so that joblib, too, knows them again in the next task
        if self._packed is None:
            self._packed = {name: self._some(name) for name in self.names}
        rows = np.arange(len(self))
        state = {"_arrays": self._packed, "rates": self.rates, "_rows": rows}
        return state if self.index is None else {**state, "index": self.index}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __repr__(self) -> str:
        parts = []
        for name, array in self._arrays.items():
            frames = _shown_frames(array)
            rate = self.rates[name]
            per_second = "" if rate is None else f", {rate:g}/s"
            parts.append(f"{name}: {self.n_bins[name]} x {frames}{per_second}")
        return f"Views({len(self)} clips; {'; '.join(parts)})"


def _as_rows(key: Any) -> np.ndarray:
    """Numbers of rows, or a mask, as NumPy indexes one axis with them."""
    rows = np.asarray(key)
    if rows.shape == (0,) and rows.dtype != bool:
        rows = rows.astype(np.intp)
    if rows.ndim != 1 or rows.dtype.kind not in "iub":
        raise IndexError(
            "Clips of Views are selected by a slice, numbers of rows or a mask, and "
            f"views by one name or X.select([...]); got {key!r:.80}."
        )
    return rows


def _n_bins(array: np.ndarray | LazyClips) -> int:
    if isinstance(array, LazyClips):
        return array.n_bins
    if array.ndim == 3:
        return int(array.shape[1])
    return int(array[0].shape[0]) if len(array) else 0


def _shown_frames(array: np.ndarray | LazyClips) -> str:
    if isinstance(array, LazyClips):
        lengths = {*array.n_frames.tolist()}
        return str(lengths.pop()) if len(lengths) == 1 else "any"
    return str(array.shape[2]) if array.ndim == 3 else "any"


def _changed(
    array: np.ndarray | LazyClips, change: Callable[..., np.ndarray]
) -> np.ndarray | LazyClips:
    if isinstance(array, LazyClips):
        return array.changed(change)
    if array.dtype == object:
        return stack_or_object([change(clip) for clip in array])
    return change(array)


def _as_view(name: str, array: Any) -> np.ndarray | LazyClips:
    if isinstance(array, LazyClips):
        return array
    if isinstance(array, (list, tuple)):
        array = stack_or_object(list(array))
    array = np.asarray(array)
    if array.ndim == 3 and array.dtype != object:
        return array
    if array.ndim == 1 and array.dtype == object:
        shapes = [np.shape(a) for a in array]
        if all(len(s) == 2 for s in shapes) and len({s[0] for s in shapes}) <= 1:
            return array
    raise ValueError(
        f"View {name!r} must be an array (n_clips, n_bins, n_frames) or a 1-D object "
        f"array of (n_bins, n_frames_i) arrays with equal n_bins; got shape "
        f"{array.shape} and dtype {array.dtype}."
    )


def stack_or_object(clips: Sequence[np.ndarray]) -> np.ndarray:
    """Stack equally long clips; otherwise a 1-D object array that keeps them."""
    if isinstance(clips, LazyClips):
        collected = ClipArrays(len(clips))
        collected.extend(map(np.array, clips))  # in memory, to be written to
        return collected.result()
    if clips and len({c.shape for c in clips}) == 1:
        return np.stack(clips)
    out = np.empty(len(clips), dtype=object)
    for i, clip in enumerate(clips):  # out[:] = clips would try to broadcast
        out[i] = clip
    return out


class ClipArrays:
    """Arrays of clips, collected part by part, as `stack_or_object` has them.

    Equally long clips are copied into their place in the result at once, so that parts
    and result are not in memory at the same time.

    Parameters
    ----------
    n_clips : int
        How many there will be.
    """

    def __init__(self, n_clips: int) -> None:
        self._n_clips = n_clips
        self._clips: list[np.ndarray] = []
        self._stacked: np.ndarray | None = None

    def extend(self, clips: Iterable[np.ndarray]) -> None:
        """Add the arrays of further clips."""
        for clip in clips:
            if not self._clips:
                self._stacked = np.empty((self._n_clips, *clip.shape), clip.dtype)
            place = len(self._clips)
            if self._stacked is not None:
                like = self._stacked[0]
                if (clip.shape, clip.dtype) == (like.shape, like.dtype):
                    self._stacked[place] = clip
                    clip = self._stacked[place]
                else:
                    self._stacked = None
            self._clips.append(clip)

    def result(self) -> np.ndarray:
        """All of them, (n_clips, ...), or a 1-D object array."""
        if self._stacked is not None:
            return self._stacked
        return stack_or_object(self._clips)
