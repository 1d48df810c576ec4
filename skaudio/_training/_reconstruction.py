"""Autoencoders: their losses next to others, and what they make of clips."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted
from torch import Tensor, nn

from skaudio._segments import clip_means
from skaudio._training._datasets import SegmentDataset
from skaudio._training._estimator import SegmentEstimator
from skaudio._training._targets import Arrays, Target
from skaudio._utils._sklearn import StrOptions
from skaudio._utils._validation import is_table
from skaudio.nn.softmax_autoencoder import (
    ACTIVATIONS,
    CODES,
    RECONSTRUCTION,
    SquaredError,
)

BLOCK = 4096  # segments whose errors are computed at a time

CODING_CONSTRAINTS: dict[str, list[Any]] = {
    "encoder_sizes": ["array-like"],
    "output_activation": [StrOptions({*ACTIVATIONS})],
}


class WithReconstruction(Target):
    """A target, and that the network's reconstruction is like its input.

    Parameters
    ----------
    target : Target
        What else there is to learn, such as classes.
    reduction : {"mean", "sum"}
        See `SquaredError`.
    """

    def __init__(self, target: Target, reduction: str) -> None:
        self._target = target
        self._reduction = reduction
        # a criterion that compares outputs with inputs sees them batch by batch
        vars(self).update(batchwise=True, decides=target.decides, inputs=target.inputs)

    @property
    def sizes(self) -> dict[str, int]:
        """Those of the target."""
        return self._target.sizes

    def check(self, module: Any) -> None:
        """Refuse networks that do not go with the target."""
        self._target.check(module)

    def terms(self, module: Any) -> tuple[str, ...]:
        """Terms of the target, and the reconstruction."""
        return (*self._target.terms(module), RECONSTRUCTION)

    def criterion(self, arrays: Arrays, dtype: str) -> nn.Module:
        """Both losses."""
        own = self._target.criterion(arrays, dtype)
        return _Both(own, SquaredError(self._reduction))

    def strata(self, arrays: Arrays, n_clips: int) -> np.ndarray:
        """Those of the target."""
        return self._target.strata(arrays, n_clips)

    def mix(
        self, name: str, own: np.ndarray, partner: np.ndarray, ratio: np.ndarray
    ) -> np.ndarray:
        """Targets of mixed clips; what is reconstructed is the mixture."""
        return self._target.mix(name, own, partner, ratio)

    def activate(self, output: Tensor) -> np.ndarray:
        """Predictions of the target."""
        return self._target.activate(output)

    def score(self, predictions: np.ndarray, arrays: Arrays) -> float:
        """Score of the target."""
        return self._target.score(predictions, arrays)

    def identity(self) -> dict[str, Any]:
        """What the target depends on."""
        return self._target.identity()


class _Both(nn.Module):
    """Losses of a target on its own outputs, and of the reconstruction."""

    def __init__(self, own: nn.Module, reconstruction: SquaredError) -> None:
        super().__init__()
        self.own, self.reconstruction = own, reconstruction

    def forward(self, outputs: Any, targets: Any, inputs: Any) -> dict[str, Tensor]:
        ours = CODES, RECONSTRUCTION
        others = {name: x for name, x in outputs.items() if name not in ours}
        own: dict[str, Tensor] = self.own(others, targets, inputs)
        return own | self.reconstruction(outputs, targets, inputs)


class CodeOutputs(ClassNamePrefixFeaturesOutMixin, TransformerMixin, SegmentEstimator):
    """A `SegmentEstimator` whose network is an autoencoder on one view."""

    _standardises = False  # what is reconstructed are the values as they are
    mixed_precision = compile = False  # no parameters of these estimators

    def _read(
        self, X: Any, reset: bool, network: Any = None, sample_weight: Any = None
    ) -> Any:
        if reset:
            self._from_table = self._trained._source is None and is_table(X)
        return super()._read(X, reset, network, sample_weight)

    def transform(self, X):
        """Encode clips.

        Parameters
        ----------
        X : Views, or array-like of shape (n_clips, n_bins, n_frames)
            Clips, as in `fit`.

        Returns
        -------
        codes : ndarray of shape (n_clips, n_features)
            Codes, 64 by default; of clips that are longer than the segments of the
            network, means over ``n_segments`` even ones.
        """
        check_is_fitted(self)
        return self._outputs(X, as_it_is, (CODES,))[CODES]

    def inverse_transform(self, Z):
        """Decode codes to segments.

        Parameters
        ----------
        Z : array-like of shape (n_clips, n_features)
            Codes of `transform`.

        Returns
        -------
        X : ndarray of shape (n_clips, n_bins, n_frames)
            Segments in the unit of the view; (n_clips, n_bins) if the network was
            fitted on a table.
        """
        check_is_fitted(self)
        wanted = self._n_features_out
        Z = check_array(Z, input_name="Z", dtype=self._spec.dtype)
        if Z.shape[1] != wanted:
            raise ValueError(
                f"Z has {Z.shape[1]} features, but codes of this network have "
                f"{wanted}. Pass what transform returns."
            )
        segments = self.net_.computed(Z, "network", "decode")
        return segments[:, :, 0] if self._from_table else segments

    def score_samples(self, X):
        """Score every clip by how well it is reconstructed.

        Parameters
        ----------
        X : Views, or array-like of shape (n_clips, n_bins, n_frames)
            Clips, as in `fit`.

        Returns
        -------
        scores : ndarray of shape (n_clips,)
            Negative mean squared errors over the values of a clip's segments, as in
            `transform`: the lower, the less a clip is like those of the training.
        """
        check_is_fitted(self)
        return np.concatenate([self._scores(data) for data in self._datasets(X)])

    @property
    def _n_features_out(self) -> int:
        return int(self.net_.module_.network.n_features)

    def _scores(self, data: SegmentDataset) -> np.ndarray:
        rows, starts = data.even_segments(self.n_segments)
        errors = []
        for first in range(0, len(rows), BLOCK):
            part = slice(first, first + BLOCK)
            places = rows[part], starts[part]
            (x,) = data.inputs(*places, np.zeros(len(rows[part]), bool)).values()
            made = self.net_.outputs(data, *places, (RECONSTRUCTION,))[RECONSTRUCTION]
            errors.append((made.cpu() - x).square().mean((1, 2)).numpy())
        return -clip_means(np.concatenate(errors), rows, len(data))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def as_it_is(output: Tensor) -> np.ndarray:
    """Outputs of segments as an array, to be averaged."""
    values: np.ndarray = output.cpu().numpy()
    return values
