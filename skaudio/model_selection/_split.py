"""Splitters that keep the clips of one recording together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.model_selection import BaseShuffleSplit
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from skaudio._utils._sklearn import _num_samples


class StratifiedGroupShuffleSplit(BaseShuffleSplit):
    """Hold out whole sources at random, the same share of those of every class.

    Clips cut from one recording are near copies of each other, so a clip is only a
    test if no other clip of its source was trained on. Every class keeps at least one
    source for training; a class with a single source is never held out.

    Parameters
    ----------
    n_splits : int, default=1
        Number of random splits.
    groups_per_class : int or None, default=None
        Number of sources to hold out of every class (fewer where the class would be
        left without). None holds out `test_size` instead.
    test_size : float, default=0.1
        Share of the sources of every class to hold out, between 0 and 1, rounded to
        whole sources, with one at least; of clips it is about the same share on
        average. Ignored if `groups_per_class` is set.
    random_state : int, RandomState instance or None, default=None
        Pass an int for the same splits at every call.

    See Also
    --------
    sklearn.model_selection.StratifiedGroupKFold : Folds that cover all clips.
    sklearn.model_selection.PredefinedSplit : The published folds of a data set; what
        `cv` is in what `skaudio.datasets.fetch_esc50` and `load_audio_files` return.

    Notes
    -----
    Without `groups`, every clip is its own source. A source with clips of several
    classes counts towards the most frequent one. One that has more than half of the
    clips of its class is only held out after all others. With metadata routing enabled,
    `groups` is requested, as scikit-learn's group splitters do.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio.model_selection import StratifiedGroupShuffleSplit
    >>> y = np.array(["dog", "dog", "dog", "rain", "rain", "rain"])
    >>> source = np.array([0, 0, 1, 2, 3, 3])
    >>> cv = StratifiedGroupShuffleSplit(groups_per_class=1, random_state=0)
    >>> train, test = next(cv.split(y, y, groups=source))
    >>> sorted(set(source[train]) & set(source[test])), sorted(set(y[train]))
    ([], [np.str_('dog'), np.str_('rain')])
    """

    # what scikit-learn's own group splitters declare
    __metadata_request__split = {"groups": True}

    def __init__(
        self,
        n_splits: int = 1,
        *,
        groups_per_class: int | None = None,
        test_size: float = 0.1,
        random_state: Any = None,
    ) -> None:
        self.n_splits = n_splits
        self.groups_per_class = groups_per_class
        self.test_size = test_size
        self.random_state = random_state

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Generate the indices of clips to train on and to test on.

        Parameters
        ----------
        X : object with one row per clip
            Clips; only their number matters.
        y : array-like of shape (n_clips,)
            Class of each clip.
        groups : array-like of shape (n_clips,), default=None
            Source of each clip; None makes every clip its own source.

        Yields
        ------
        train : ndarray of int
            Indices of the training clips, ascending.
        test : ndarray of int
            Indices of the held-out clips, ascending.
        """
        yield from super().split(X, y, groups)

    def _iter_indices(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        self._check_parameters()
        if y is None:
            raise ValueError("y is needed to hold out the same share of every class.")
        check_classification_targets(y)
        classes = np.unique(column_or_1d(y), return_inverse=True)[1]
        n_clips = _num_samples(X)
        sources = np.arange(n_clips)
        if groups is not None:
            sources = np.unique(column_or_1d(groups), return_inverse=True)[1]
        counts = np.zeros((sources.max() + 1, classes.max() + 1), dtype=np.intp)
        np.add.at(counts, (sources, classes), 1)
        rng = check_random_state(self.random_state)
        for _ in range(self.n_splits):
            held_out = self._draw(counts, rng)[sources]
            yield np.flatnonzero(~held_out), np.flatnonzero(held_out)

    def _draw(self, counts: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """Mark the sources to hold out, given clips per source and class."""
        held_out = np.zeros(len(counts), dtype=bool)
        left = (counts > 0).sum(axis=0)  # sources that each class can train on
        main_class = counts.argmax(axis=1)
        for klass in range(counts.shape[1]):
            taken = 0
            order = rng.permutation(np.flatnonzero(main_class == klass))
            sizes = counts[order, klass]
            order = order[np.argsort(2 * sizes > sizes.sum(), kind="stable")]
            wanted = self._wanted(len(order))
            for source in order:
                if taken == wanted:
                    break
                if (left[counts[source] > 0] > 1).all():
                    held_out[source] = True
                    left -= counts[source] > 0
                    taken += 1
        if not held_out.any():
            raise ValueError(
                "Nothing can be held out: no class has two sources (groups), and each "
                "must keep one to train on. Add clips, or pass other groups."
            )
        return held_out

    def _wanted(self, n_sources: int) -> int:
        """Sources of a class to hold out, of so many."""
        if self.groups_per_class is not None:
            return self.groups_per_class
        return max(1, int(np.ceil(self.test_size * n_sources - 0.5)))

    def _check_parameters(self) -> None:
        if self.n_splits < 1:
            raise ValueError(f"n_splits must be at least 1; got {self.n_splits}.")
        if self.groups_per_class is not None and self.groups_per_class < 1:
            raise ValueError(
                "groups_per_class must be None or at least 1; got "
                f"{self.groups_per_class}."
            )
        if not 0 < self.test_size < 1:
            raise ValueError(
                f"test_size must be between 0 and 1, exclusive; got {self.test_size}."
            )
