"""Tags of clips as an indicator matrix."""

from __future__ import annotations

import difflib
from collections import Counter
from numbers import Integral
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from skaudio._utils._sklearn import Interval, RealNotInt, StrOptions, _fit_context
from skaudio._utils._text import shortened
from skaudio.preprocessing._tag_rows import read_tags
from skaudio.preprocessing._tag_words import WordRule

_FREQUENCY = [
    Interval(RealNotInt, 0, 1, closed="both"),
    Interval(Integral, 1, None, closed="left"),
]


class TagBinarizer(TransformerMixin, BaseEstimator):
    r"""Indicator matrix of the tags of clips, from texts or lists of words.

    Texts, such as ``"bass clarinet forte"``, are split at white space, commas and
    semicolons, and punctuation around words is taken away. Entries of lists are tags as
    they are, ``["bass clarinet", "forte"]``. Words are then cleaned: put in lower case,
    checked against `token_pattern` and `stop_words`, and made singular. Those of enough
    clips, but not of too many, are the vocabulary, in alphabetical order. Class labels
    that are not texts, ``[3, 1, 3]``, are words as they are: "3" and "1".

    An indicator matrix (dense, sparse, a data frame, or lists of zeros and ones) passes
    through with all of its columns. Their names are those of a data frame, or
    `vocabulary`, or "0", "1" and so on. A word or a whole text that is a tag as it
    stands is that tag, before all cleaning.

    The parameters are those of scikit-learn's ``CountVectorizer`` where the names are.

    Parameters
    ----------
    max_df : float or int, default=0.7
        Leave out words of more clips than that: a share of clips if it is a float, a
        number of clips if it is an integer.
    min_df : float or int, default=1
        Leave out words of fewer clips than that. COALA [1]_ takes 10, of 190,000 clips.
    max_features : int or None, default=1000
        Keep the words of the most clips, the first in the alphabet among equals.
    stop_words : "english", list or None, default="english"
        Words to leave out, and plurals of them if `singular`. "english" stands for
        scikit-learn's list without words that name sounds, such as call, cry and fire.
    singular : bool, default=True
        Replace plurals by their singular, as in "drums", "voices" or "wolves". Words
        that may be singular stay as they are: bass, blues, bus, 80s.
    lowercase : bool, default=True
        Put words in lower case before all else.
    token_pattern : str, default=r"..+"
        Regular expression that a whole word must match: by default two characters of
        any kind, which keeps "80s", "hip-hop" and "crying_baby". The rule of COALA's
        authors is ``r"[^\W\d_]{2,}"``, two letters or more and nothing else.
    vocabulary : list of str or None, default=None
        The tags, in the order of the columns, instead of those found in `fit`, as
        needed for networks whose tags have an order of their own. They are not cleaned.
    sparse_output : bool, default=False
        Give a sparse matrix in CSR format instead of an array.

    Attributes
    ----------
    classes_ : ndarray of str of shape (n_tags,)
        The tags, as columns of the matrix.
    vocabulary_ : dict of str to int
        Column of each tag.
    n_without_tags_ : int
        Number of clips in `fit` without any tag of the vocabulary: rows of zeros.
    dropped_ : dict of str to list of str
        Words left out in `fit`, by the parameter that did it: "token_pattern",
        "stop_words", "max_df", "min_df", "max_features" or "vocabulary".

    References
    ----------
    .. [1] X. Favory, K. Drossos, T. Virtanen and X. Serra, "COALA: Co-Aligned
       Autoencoders for Learning Semantically Enriched Audio Representations", ICML 2020
       Workshop on Self-supervision in Audio and Speech, Section 3.1.

    Examples
    --------
    >>> from skaudio.preprocessing import TagBinarizer
    >>> tags = ["the bass clarinet", "bass drums, loud", "loud clarinet"]
    >>> binarizer = TagBinarizer().fit(tags)
    >>> list(binarizer.classes_)
    ['bass', 'clarinet', 'drum', 'loud']
    >>> binarizer.transform(["Drum", "loud trumpets"])
    array([[0, 0, 1, 0],
           [0, 0, 0, 1]])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "max_df": _FREQUENCY,
        "min_df": _FREQUENCY,
        "max_features": [Interval(Integral, 1, None, closed="left"), None],
        "stop_words": [StrOptions({"english"}), list, tuple, None],
        "singular": ["boolean"],
        "lowercase": ["boolean"],
        "token_pattern": [str],
        "vocabulary": [list, tuple, np.ndarray, None],
        "sparse_output": ["boolean"],
    }

    classes_: np.ndarray
    vocabulary_: dict[str, int]

    def __init__(
        self,
        *,
        max_df: float = 0.7,
        min_df: float = 1,
        max_features: int | None = 1000,
        stop_words: str | list[str] | None = "english",
        singular: bool = True,
        lowercase: bool = True,
        token_pattern: str = r"..+",
        vocabulary: list[str] | None = None,
        sparse_output: bool = False,
    ) -> None:
        self.max_df = max_df
        self.min_df = min_df
        self.max_features = max_features
        self.stop_words = stop_words
        self.singular = singular
        self.lowercase = lowercase
        self.token_pattern = token_pattern
        self.vocabulary = vocabulary
        self.sparse_output = sparse_output

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> TagBinarizer:
        """Find the vocabulary.

        Parameters
        ----------
        X : list of str, list of lists of str, array of labels, or matrix
            The tags of each clip, or an indicator matrix (n_clips, n_tags).
        y : None
            Ignored.

        Returns
        -------
        self : object
            The fitted binarizer.
        """
        matrix, rows = read_tags(X)
        if matrix is not None:
            self.dropped_: dict[str, list[str]] = {}
            self._set_classes(self._names_of_columns(X, matrix.shape[1]))
            self.n_without_tags_ = int((np.ravel(matrix.sum(axis=1)) == 0).sum())
            return self
        rule = self._rule(() if self.vocabulary is None else self.vocabulary)
        clips = [rule.tags(row, i) for i, row in enumerate(rows)]
        dropped = rule.dropped | self._choose(clips)
        if not len(self.classes_):
            raise ValueError(self._why_empty(len(clips), dropped))
        self.dropped_ = {name: sorted(words) for name, words in dropped.items()}
        without = [self.vocabulary_.keys().isdisjoint(tags) for tags in clips]
        self.n_without_tags_ = sum(without)
        return self

    def transform(self, X: Any) -> Any:
        """Mark the tags of each clip; words that are not known are left out.

        Parameters
        ----------
        X : list of str, list of lists of str, array of labels, or matrix
            The tags of each clip, or an indicator matrix of the same columns.

        Returns
        -------
        indicators : ndarray or sparse matrix of shape (n_clips, n_tags)
            One for the tags of a clip, zero for all others. A clip without any known
            tag is a row of zeros.
        """
        check_is_fitted(self)
        matrix, rows = read_tags(X)
        if matrix is None:
            matrix = self._mark(rows)
        else:
            self._check_columns(X, matrix.shape[1])
        if self.sparse_output:
            return sparse.csr_matrix(matrix)
        return matrix.toarray() if sparse.issparse(matrix) else matrix

    def inverse_transform(self, X: Any) -> list[tuple[str, ...]]:
        """Tags of each row of an indicator matrix.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_clips, n_tags)
            Zeros and ones.

        Returns
        -------
        tags : list of tuples of str
            The tags of each clip, in the order of the columns.
        """
        check_is_fitted(self)
        matrix, _ = read_tags(X)
        if matrix is None:
            raise ValueError("X is not an indicator matrix of zeros and ones.")
        self._check_columns(X, matrix.shape[1])
        matrix = sparse.csr_matrix(matrix)
        matrix.sort_indices()
        matrix.eliminate_zeros()
        return [tuple(self.classes_[row.indices]) for row in matrix]

    def check_known(self, words: Any) -> list[str]:
        """Clean words, and refuse those that are no tags of the vocabulary.

        Parameters
        ----------
        words : str or list of str
            A text or a list of words, as the tags of one clip.

        Returns
        -------
        known : list of str
            The tags, as they are in the vocabulary. Stop words are left out.
        """
        check_is_fitted(self)
        rule = self._rule(self.classes_)
        tags = rule.tags(words, 0)
        for tag in [*rule.dropped["token_pattern"], *tags]:
            if tag not in self.vocabulary_:
                raise ValueError(f"unknown tag {tag!r}; {self._alike(tag)}")
        if not tags:
            raise ValueError(f"{words!r} has no tag; {self._alike('')}")
        return tags

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns: the tags.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        names : ndarray of str
            One name per column.
        """
        check_is_fitted(self)
        return np.array(self.classes_, dtype=object)

    def _rule(self, known: Any) -> WordRule:
        return WordRule(
            self.token_pattern,
            self.stop_words,
            self.lowercase,
            self.singular,
            [str(tag) for tag in known],
        )

    def _choose(self, clips: list[list[str]]) -> dict[str, set[str]]:
        """Set the vocabulary; words left out, by parameter."""
        counts = Counter(tag for tags in clips for tag in tags)
        if self.vocabulary is not None:
            self._set_classes(self.vocabulary)
            return {"vocabulary": counts.keys() - self.vocabulary_.keys()}
        n_clips = len(clips)
        most = _number_of(self.max_df, n_clips)
        least = _number_of(self.min_df, n_clips)
        if most < least:
            raise ValueError(
                f"Of {n_clips} clips, max_df={self.max_df} is {most:g}, fewer than "
                f"min_df={self.min_df}, which is {least:g}. Raise one or lower the "
                "other."
            )
        dropped = {
            "max_df": {tag for tag, n in counts.items() if n > most},
            "min_df": {tag for tag, n in counts.items() if n < least},
        }
        kept = counts.keys() - dropped["max_df"] - dropped["min_df"]
        by_count = sorted(kept, key=lambda tag: (-counts[tag], tag))
        dropped["max_features"] = set(by_count[self.max_features or len(kept) :])
        self._set_classes(sorted(kept - dropped["max_features"]))
        return dropped

    def _set_classes(self, names: Any) -> None:
        classes = [str(name) for name in names]
        twice = [name for name, n in Counter(classes).items() if n > 1]
        if twice:
            raise ValueError(
                f"Names of tags must be unique; {shortened(twice)} come twice."
            )
        self.classes_ = np.array(classes, dtype=object)
        self.vocabulary_ = {name: column for column, name in enumerate(classes)}

    def _why_empty(self, n_clips: int, dropped: dict[str, set[str]]) -> str:
        if self.vocabulary is not None:
            return "vocabulary has no tag; at least one is needed."
        reasons = [
            f"{name}={getattr(self, name)!r} leaves out {shortened(sorted(words))}"
            for name, words in dropped.items()
            if words
        ]
        why = "; ".join(reasons) or "all of them are empty"
        return f"No tag is left of those of {n_clips} clips: {why}."

    def _names_of_columns(self, X: Any, n_tags: int) -> list[str]:
        """Names of the tags of an indicator matrix."""
        names = _column_names(X)
        if self.vocabulary is None:
            return names or [str(i) for i in range(n_tags)]
        known = [str(tag) for tag in self.vocabulary]
        if len(known) != n_tags:
            raise ValueError(
                f"The matrix has {n_tags} columns, but vocabulary has {len(known)} "
                "tags; one is needed for each column."
            )
        _check_order(names, known)
        return known

    def _check_columns(self, X: Any, n_tags: int) -> None:
        """Refuse an indicator matrix of other tags than those of `fit`."""
        if n_tags != len(self.classes_):
            raise ValueError(
                f"The matrix has {n_tags} columns, but there are {len(self.classes_)} "
                f"tags: {shortened(self.classes_)}."
            )
        _check_order(_column_names(X), list(self.classes_))

    def _mark(self, rows: list[Any]) -> sparse.csr_matrix:
        rule = self._rule(self.classes_)
        columns: list[int] = []
        ends = [0]
        for i, row in enumerate(rows):
            known = {self.vocabulary_.get(tag, -1) for tag in rule.tags(row, i)}
            columns += sorted(known - {-1})
            ends.append(len(columns))
        ones = np.ones(len(columns), dtype=np.int64)
        shape = len(rows), len(self.classes_)
        return sparse.csr_matrix((ones, columns, ends), shape=shape)

    def _alike(self, tag: str) -> str:
        """What is known of an unknown tag, for a message: most alike, or left out."""
        for parameter, words in self.dropped_.items():
            if tag in words:
                return f"{parameter} left it out in fit"
        alike = difflib.get_close_matches(tag, self.vocabulary_, n=3)
        if alike:
            return f"nearest known: {', '.join(map(repr, alike))}"
        return f"none is spelt alike; known are {shortened(self.classes_)}"

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.requires_fit = True
        return tags


def _number_of(frequency: Any, n_clips: int) -> float:
    """Clips that a frequency stands for: an integer as it is, a float as a share."""
    return float(frequency if isinstance(frequency, Integral) else frequency * n_clips)


def _column_names(X: Any) -> list[str]:
    """Names of the columns of a data frame; none if they are numbers."""
    names = list(getattr(X, "columns", ()))
    return names if all(isinstance(name, str) for name in names) else []


def _check_order(names: list[str], known: list[str]) -> None:
    for name, tag in zip(names, known, strict=bool(names)):
        if name != tag:
            raise ValueError(
                f"Columns must be the tags, in their order: got {name!r} where {tag!r} "
                "belongs."
            )
