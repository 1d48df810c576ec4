"""`TagSearch`: words for sounds, sounds for words, by embeddings of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from skaudio.metrics._tags import top_tags
from skaudio.nn.contrast import AUDIO, TAGS

OF_TERM = {AUDIO: "decodes_audio", TAGS: "decodes_tags"}


class TagSearch:
    """What an embedder of sounds and tags does with both.

    It has a trained `skaudio.nn.Coala` in ``net_``, ``binarizer_``, ``tags_`` and
    `_read`, as `PatchEstimator` has it.
    """

    net_: Any
    binarizer_: Any
    tags_: np.ndarray

    def embed_tags(self, tags, *, aligned=False):
        """Embed tags, each row by itself.

        Parameters
        ----------
        tags : str, list of str, list of lists of str, or matrix (n, n_tags)
            A text is one row, as is each text of a list and each list of words; or an
            indicator matrix.
        aligned : bool, default=False
            Whether embeddings are mapped to where those of sounds lie near them (phi in
            the paper), for comparison by cosines. Otherwise they are the codes of the
            tag autoencoder (z), which `decode_tags` takes.

        Returns
        -------
        embeddings : ndarray of shape (n, n_features)
            One row per text or list; not negative unless `aligned`.

        Raises
        ------
        ValueError
            If a word is not in the vocabulary; the message names the most similar one.
        """
        check_is_fitted(self)
        z = self.net_.computed(self._query(tags), "tag_encoder")
        return self._aligned("tag_encoder", z) if aligned else z

    def embed_aligned(self, X):
        """Embed clips where their tags are: phi of the patch of most energy.

        Parameters
        ----------
        X : as in `transform`
            Clips.

        Returns
        -------
        embeddings : ndarray of shape (n_clips, n_features)
            To be compared with ``embed_tags(tags, aligned=True)`` by cosines.
        """
        check_is_fitted(self)
        views, _ = self._read(X, reset=False)  # type: ignore[attr-defined]
        data = self._dataset(views)  # type: ignore[attr-defined]
        rows = np.arange(len(data))
        outputs = self.net_.outputs(data, rows, np.zeros(len(data)), ("aligned",))
        return outputs["aligned"].cpu().numpy()

    def nearest_tags(self, X, n=5, *, among=None):
        """Find the words that fit every clip best.

        Parameters
        ----------
        X : as in `transform`
            Clips.
        n : int, default=5
            Number of words per clip, at most as many as there are.
        among : list of str or None, default=None
            Words to choose from; None are all of ``tags_``. Entries of several words,
            such as "bass clarinet", are compared as a whole.

        Returns
        -------
        tags : list of n_clips lists of n pairs (word, similarity)
            The best first; similarities are cosines, from -1 to 1.

        Raises
        ------
        ValueError
            If a word is not in the vocabulary; the message names the most similar one.
        """
        check_is_fitted(self)
        names = list(self.tags_) if among is None else list(among)
        queries = np.eye(len(names), dtype=np.uint8) if among is None else names
        similarity = cosines(
            self.embed_aligned(X), self.embed_tags(queries, aligned=True)
        )
        return top_tags(similarity, names, k=min(n, len(names)))

    def nearest_clips(self, query, X, n=10):
        """Find the clips that fit a text best.

        Parameters
        ----------
        query : str or list of str
            A text such as "kick drum", or a list of words. All count together.
        X : as in `transform`
            Clips to search.
        n : int, default=10
            Number of clips, at most as many as there are.

        Returns
        -------
        clips : list of n pairs (row, similarity)
            Rows of X, the best first; similarities are cosines, from -1 to 1.

        Raises
        ------
        ValueError
            If a word is not in the vocabulary; the message names the most similar one.
        """
        check_is_fitted(self)
        words = [query] if isinstance(query, str) else [list(query)]
        of_query = self.embed_tags(words, aligned=True)
        (similarity,) = cosines(of_query, self.embed_aligned(X))
        best = np.argsort(-similarity, kind="stable")[:n]
        return [(int(row), float(similarity[row])) for row in best]

    def decode_tags(self, Z, n=5):
        """Decode embeddings of tags to words.

        Parameters
        ----------
        Z : array-like of shape (n_rows, n_features)
            Embeddings of `embed_tags`, not aligned.
        n : int, default=5
            Number of words per row, at most as many as there are.

        Returns
        -------
        tags : list of n_rows lists of n pairs (word, probability)
            The most probable first.
        """
        check_is_fitted(self)
        self._check_decodes(TAGS, "tags")
        logits = self.net_.computed(self._checked_embeddings(Z), "tag_decoder")
        n_tags = len(self.tags_)
        return top_tags(expit(logits), list(self.tags_), k=min(n, n_tags))

    # -- inside ---------------------------------------------------------------------
    def _query(self, tags: Any) -> np.ndarray:
        """Indicators (n, n_tags) of tags, all of which must be known."""
        if isinstance(tags, str):
            tags = [tags]
        if isinstance(tags, Sequence) or getattr(tags, "ndim", 2) == 1:
            rows = list(tags)
            if rows and all(isinstance(row, (str, list, tuple)) for row in rows):
                tags = [self.binarizer_.check_known(row) for row in rows]
        indicators: np.ndarray = self.binarizer_.transform(tags)
        if not indicators.any(axis=1).all():
            row = int(np.argmin(indicators.any(axis=1)))
            raise ValueError(f"Row {row} of tags has none of the vocabulary.")
        return indicators

    def _aligned(self, encoder: str, z: np.ndarray) -> np.ndarray:
        return self.net_.computed(z, encoder, "aligned")

    def _checked_embeddings(self, Z: Any) -> np.ndarray:
        Z = check_array(Z, dtype=["float64", "float32"], input_name="Z")
        wanted = self.net_.module_.audio_encoder.n_features
        if Z.shape[1] != wanted:
            raise ValueError(
                f"Z has {Z.shape[1]} features, but embeddings of this "
                f"{type(self).__name__} have {wanted}."
            )
        return Z

    def _check_decodes(self, term: str, what: str) -> None:
        if not getattr(self.net_.module_, OF_TERM[term]):
            raise ValueError(
                f"This {type(self).__name__} did not learn to reconstruct {what}: set "
                f"reconstruction=True and a weight for {term!r} in loss_weights, then "
                "fit."
            )


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosines (n, m) of the angles between rows; 0 for rows of zeros."""
    a, b = (
        x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), np.finfo(x.dtype).tiny)
        for x in (a, b)
    )
    result: np.ndarray = a @ b.T
    return result
