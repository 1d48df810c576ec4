"""The loudest part of each clip, as a patch of a fixed number of frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from skaudio._utils._constraints import COUNT
from skaudio._utils._container import Views
from skaudio._utils._output import ArrayOutput, names_of_bins
from skaudio._utils._sklearn import _fit_context
from skaudio._utils._validation import check_views


class EnergyPatches(ArrayOutput, TransformerMixin, BaseEstimator):
    """Cut the patch of most energy out of each clip.

    Energy is the sum of all values of a patch as they are: of magnitudes if X holds
    magnitudes, of logarithms if X holds a log-mel spectrogram, as in COALA [1]_, where
    a patch of 96 frames is chosen in this way from each clip. Patches start every
    `step` frames, and the first of equals is taken. A clip shorter than a patch is
    continued at its end by its own lowest value.

    Parameters
    ----------
    n_frames : int, default=96
        Frames of a patch.
    step : int, default=12
        Frames from the start of one candidate to that of the next.

    Attributes
    ----------
    n_features_in_ : int
        Number of bins, if X is an array.
    view_names_in_ : ndarray of str
        Name of the view, if X is `Views`.

    References
    ----------
    .. [1] X. Favory, K. Drossos, T. Virtanen and X. Serra, "COALA: Co-Aligned
       Autoencoders for Learning Semantically Enriched Audio Representations", ICML 2020
       Workshop on Self-supervision in Audio and Speech, Section 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio.preprocessing import EnergyPatches
    >>> X = np.array([[[0.0, 1.0, 5.0, 4.0, 0.0]]])  # one clip, one bin, five frames
    >>> patches = EnergyPatches(n_frames=2, step=1).fit(X)
    >>> patches.transform(X)
    array([[[5., 4.]]])
    >>> patches.starts(X)
    array([2])
    >>> patches.chunks(X)[0].shape
    (2, 1, 2)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "n_frames": [COUNT],
        "step": [COUNT],
    }

    def __init__(self, *, n_frames: int = 96, step: int = 12) -> None:
        self.n_frames = n_frames
        self.step = step

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> EnergyPatches:
        """Check X and store its number of bins; nothing else is learned.

        Parameters
        ----------
        X : Views, or array of shape (n_clips, n_bins, n_frames)
            Or a list of arrays (n_bins, n_frames_i), or an array (n_clips, n_bins).
        y : None
            Ignored.

        Returns
        -------
        self : object
            The transformer itself.
        """
        check_one_view(self, X, reset=True)
        return self

    def transform(self, X: Any) -> Any:
        """Cut one patch out of each clip.

        Parameters
        ----------
        X : Views, or array of shape (n_clips, n_bins, n_frames)
            Or a list of arrays (n_bins, n_frames_i), or an array (n_clips, n_bins).

        Returns
        -------
        patches : ndarray of shape (n_clips, n_bins, n_frames), or Views
            The patch of most energy of each clip; `Views` if X is.
        """
        check_is_fitted(self)
        views = check_one_view(self, X, reset=False)
        clips = views.clips(views.names[0])
        bins, dtype = clips[0].shape[0], clips[0].dtype
        patches = np.empty((len(clips), bins, self.n_frames), dtype=dtype)
        for patch, clip in zip(patches, clips, strict=True):
            start = loudest_start(clip, self.n_frames, self.step)
            piece = clip[:, start : start + self.n_frames]
            patch[:] = continued(piece, self.n_frames)
        return views.map(lambda *_: patches) if isinstance(X, Views) else patches

    def starts(self, X: Any) -> np.ndarray:
        """First frame of the patch of each clip.

        Parameters
        ----------
        X : Views, or array of shape (n_clips, n_bins, n_frames)
            Or a list of arrays (n_bins, n_frames_i), or an array (n_clips, n_bins).

        Returns
        -------
        starts : ndarray of int of shape (n_clips,)
            Multiples of `step`.
        """
        starts = [
            loudest_start(clip, self.n_frames, self.step) for clip in self._clips(X)
        ]
        return np.array(starts, dtype=np.intp)

    def chunks(self, X: Any) -> list[np.ndarray]:
        """Cut each clip into patches side by side, from its beginning.

        Parameters
        ----------
        X : Views, or array of shape (n_clips, n_bins, n_frames)
            Or a list of arrays (n_bins, n_frames_i), or an array (n_clips, n_bins).

        Returns
        -------
        chunks : list of ndarray of shape (n_chunks_i, n_bins, n_frames)
            Frames that fill no patch at the end are left out; a clip shorter than a
            patch gives one.
        """
        chunks = []
        for clip in self._clips(X):
            n_chunks = max(1, clip.shape[1] // self.n_frames)
            whole = continued(clip[:, : n_chunks * self.n_frames], self.n_frames)
            parts = whole.reshape(len(clip), n_chunks, self.n_frames)
            chunks.append(parts.swapaxes(0, 1).copy())
        return chunks

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the bins: those that came.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the bins; by default those seen in `fit`, or ``x0``, ``x1``..., and
            ``mel__x0`` of `Views`.

        Returns
        -------
        names : ndarray of str
            One name per bin.
        """
        check_is_fitted(self)
        return names_of_bins(self, input_features)

    def _clips(self, X: Any) -> Sequence[np.ndarray]:
        check_is_fitted(self)
        views = check_one_view(self, X, reset=False)
        return views.clips(views.names[0])

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_features_in_") or hasattr(self, "view_names_in_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def continued(clip: np.ndarray, n_frames: int) -> np.ndarray:
    """A clip (n_bins, n_frames_i), a short one continued by its lowest value."""
    missing = max(0, n_frames - clip.shape[1])
    if not missing:
        return clip
    return np.pad(clip, ((0, 0), (0, missing)), constant_values=clip.min())


def loudest_start(clip: np.ndarray, n_frames: int, step: int) -> int:
    """First frame of the window with the largest sum, of those every ``step`` frames.

    0 for a clip (n_bins, n_frames) that is no longer than the window.
    """
    energy = clip.sum(axis=0, dtype=np.float64)
    if len(energy) <= n_frames:
        return 0
    windows = sliding_window_view(energy, n_frames)[::step]
    return int(windows.sum(axis=1).argmax()) * step


def check_one_view(estimator: Any, X: Any, *, reset: bool) -> Views:
    """`check_views` for what takes a single view."""
    views = check_views(estimator, X, reset=reset)
    if len(views.names) > 1:
        raise ValueError(
            f"{type(estimator).__name__} takes one view of clips; X has "
            f"{len(views.names)}: {list(views.names)}. Choose one, "
            f"X.select([{views.names[0]!r}])."
        )
    return views
