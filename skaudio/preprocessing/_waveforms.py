"""What transformers from waveforms to waveforms share: they load like `AudioLoader`."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags

from skaudio._audio._checks import all_finite
from skaudio._audio._load import load_parts, n_samples_of
from skaudio._audio._parts import Part
from skaudio._audio._report import Report
from skaudio._utils._constraints import LOADER_CONSTRAINTS, LOADING
from skaudio._utils._container import ClipArrays
from skaudio._utils._failed import FailedClips
from skaudio._utils._output import ArrayOutput
from skaudio._utils._sklearn import _fit_context
from skaudio._utils._validation import check_clips


class WaveformTransformer(
    ArrayOutput, FailedClips, TransformerMixin, BaseEstimator, metaclass=ABCMeta
):
    """A stateless transformer from clips to waveforms; subclasses say what changes."""

    _parameter_constraints: dict[str, list[Any]] = LOADER_CONSTRAINTS

    sr: float
    duration: float | None
    trim_silence: bool
    on_error: str
    n_jobs: int | None
    verbose: int

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Check X and the parameters; nothing is learned and no file is opened.

        Parameters
        ----------
        X : list of str or path-like, array of shape (n_clips, n_samples), or list of \
                arrays (n_samples_i,) or (n_channels_i, n_samples_i)
            Clips. Rows of a list may also be open binary files, pairs of samples and
            rate, and dicts of them; a column of paths is a list of paths.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The transformer itself.
        """
        self._check_parameters()
        self._clips(X, reset=True)
        self.errors_ = []
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Load and transform the clips.

        Parameters
        ----------
        X : list of str or path-like, array of shape (n_clips, n_samples), or list of \
                arrays (n_samples_i,) or (n_channels_i, n_samples_i)
            Clips. Rows of a list may also be open binary files, pairs of samples and
            rate, and dicts of them; a column of paths is a list of paths.

        Returns
        -------
        waveforms : ndarray of shape (n_clips, n_samples) or (n_clips,)
            Waveforms; a 1-D object array of 1-D arrays if lengths differ. A clip that
            could not be loaded is NaN.
        """
        clips, report = self._ready(X), Report()
        waveforms = self._results(clips, report)
        report.close(self, len(clips), self.on_error)
        return waveforms

    def _results(self, clips: Any, report: Report) -> np.ndarray:
        """What becomes of checked clips."""
        collected = ClipArrays(len(clips))
        for part in self._parts(clips, report):
            collected.extend(
                [w if failed(w) else self._changed(w) for w in part.waveforms]
            )
            del part  # before there is another
        return collected.result()

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the samples, if all clips are equally long, or of the column.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Ignored: samples are not columns of X.

        Returns
        -------
        names : ndarray of str
            ``sample0``, ``sample1``... if `duration` is set or X in `fit` was a 2-D
            array; ``waveform`` otherwise.
        """
        length = self._length()
        names = (
            ["waveform"] if length is None else [f"sample{i}" for i in range(length)]
        )
        return np.array(names, dtype=object)

    def _length(self) -> int | None:
        """Samples of every clip that comes out, if that is known."""
        if self.duration is not None:
            return n_samples_of(self.duration, self.sr)
        return None if self.trim_silence else getattr(self, "n_features_in_", None)

    def _check_parameters(self) -> None:
        """Refuse parameters that do not fit together."""

    @abstractmethod
    def _changed(self, waveform: np.ndarray) -> np.ndarray:
        """What becomes of a finite waveform: of its dtype, and not written into it."""

    def _clips(self, X: Any, reset: bool = False) -> Any:
        return check_clips(self, X, reset=reset, allow_nan=self.on_error != "raise")

    def _ready(self, X: Any) -> Any:
        """Clips of X that is to be transformed."""
        self._validate_params()
        self._check_parameters()
        return self._clips(X)

    def _parts(self, clips: Any, report: Report) -> Iterator[Part]:
        options = {name: getattr(self, name) for name in LOADING}
        options |= {"n_jobs": self.n_jobs, "verbose": self.verbose}
        return load_parts(clips, report, **options)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.string = True
        tags.input_tags.allow_nan = self.on_error != "raise"
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def failed(waveform: np.ndarray) -> bool:
    """Whether a clip could not be loaded: its row is NaN then."""
    return not all_finite(waveform)


# ------------------------------------------------------------------ windows of clips


def window_samples(seconds: float, sr: float, most: int) -> int:
    """Whole samples in ``seconds``, at least one and at most so many."""
    return max(1, round(min(seconds * sr, most)))


def moderate(waveform: np.ndarray) -> tuple[np.ndarray, float]:
    """Samples whose squares float64 can add up, and what they were divided by."""
    peak = max(float(waveform.max()), -float(waveform.min()))
    if peak == 0 or 1e-100 < peak < 1e100:
        return waveform, 1.0
    return waveform.astype(np.float64) / peak, peak


def in_blocks(waveform: np.ndarray, size: int) -> np.ndarray:
    """A copy as (n_blocks, size), the last block filled up with zeros."""
    blocks = np.zeros((-(-len(waveform) // size), size), waveform.dtype)
    blocks.reshape(-1)[: len(waveform)] = waveform
    return blocks


def window_sums(
    blocks: np.ndarray, length: int, n_windows: int, *, squared: bool
) -> np.ndarray:
    """Sums over windows of ``length`` samples that start at each block, as float64.

    Parameters
    ----------
    blocks : ndarray of shape (n_blocks, hop)
        Samples; zeros follow the last one.
    length : int
        Samples of a window.
    n_windows : int
        How many.
    squared : bool
        Whether to sum squares.

    Returns
    -------
    sums : ndarray of shape (n_windows,)
        A sum per window.
    """
    n_whole, rest = divmod(length, blocks.shape[1])

    def sums(part: np.ndarray) -> np.ndarray:
        terms, of = ((part, part), "ij,ij->i") if squared else ((part,), "ij->i")
        found: np.ndarray = np.einsum(of, *terms, dtype=np.float64)
        return np.pad(found, (0, max(0, n_windows + n_whole - len(found))))

    total = sliding_sums(sums(blocks), n_whole)[:n_windows]
    if rest:
        total = total + sums(blocks[:, :rest])[n_whole : n_whole + n_windows]
    return total


def sliding_sums(values: np.ndarray, n: int) -> np.ndarray:
    """Sums of ``n`` values in a row, along the last axis, one for every place.

    Sums of 1, 2, 4, 8... values are added up: that takes little time, and loses nothing
    of what is small beside large values, as differences of running sums would.
    """
    n_places = values.shape[-1] - n + 1
    total = np.zeros((*values.shape[:-1], n_places))
    done, width = 0, 1
    while n:
        if n % 2:
            total += values[..., done : done + n_places]
            done += width
        n //= 2
        if n:
            values = values[..., :-width] + values[..., width:]
            width *= 2
    return total
