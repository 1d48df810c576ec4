"""Patches of spectrograms over what a decoder makes of their embeddings, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from skaudio._utils._optional import import_optional

METHODS = ("energy_patches", "transform", "inverse_transform")
MAX_COLUMNS = 8  # of a sheet; more patches make further bands


class ReconstructionDisplay:
    """Sheet of spectrograms, each over its reconstruction from an embedding.

    What is missing below is what the embedding does not hold, or the decoder cannot
    make of it. All panels share their colours; low frequencies are at the bottom.

    Use :meth:`from_estimator` to make one of a fitted embedder, or pass the arrays.

    Parameters
    ----------
    patches : ndarray of shape (n_clips, n_bins, n_frames)
        Parts of spectrograms.
    reconstructions : ndarray of shape (n_clips, n_bins, n_frames)
        What a decoder makes of their embeddings.
    captions : sequence or None, default=None
        What stands below each reconstruction: a text, a list of words, or a list of
        pairs of word and probability, one of these for each clip.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (2, n_clips)
        Axes of the patches, and of their reconstructions.
    figure_ : matplotlib Figure
        Figure that holds them.

    References
    ----------
    Favory et al., "COALA: Co-Aligned Autoencoders for Learning Semantically Enriched
    Audio Representations", ICML 2020 Workshop on Self-supervision in Audio and Speech.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from skaudio.inspection import ReconstructionDisplay
    >>> patches = np.random.default_rng(0).random((3, 96, 96))
    >>> display = ReconstructionDisplay(
    ...     patches=patches, reconstructions=patches.round(), captions=["a", "b", "c"]
    ... )
    >>> display.plot().axes_.shape
    (2, 3)
    >>> plt.show()
    """

    def __init__(
        self,
        *,
        patches: np.ndarray,
        reconstructions: np.ndarray,
        captions: Sequence[Any] | None = None,
    ) -> None:
        self.patches = patches
        self.reconstructions = reconstructions
        self.captions = captions

    @classmethod
    def from_estimator(
        cls,
        embedder: Any,
        X: Any,
        *,
        n_clips: int = 8,
        captions: Sequence[Any] | None = None,
        axes: Any = None,
    ) -> ReconstructionDisplay:
        """Embed the first clips, decode their embeddings and draw both.

        Parameters
        ----------
        embedder : transformer
            Fitted; its ``energy_patches(X)`` gives (n_clips, n_bins, n_frames), and
            ``inverse_transform(transform(patches))`` what it decodes of these patches,
            in the same units.
        X : array-like, list or Views
            Clips, as the embedder takes them.
        n_clips : int, default=8
            How many clips to draw, from the first on.
        captions : sequence or None, default=None
            What stands below each reconstruction, such as the tags that are decoded
            from it: a text, a list of words, or a list of pairs of word and
            probability, one of these for each clip of X.
        axes : sequence of matplotlib Axes, default=None
            Where to draw: one for each patch, then one for each reconstruction.
            ``None`` makes a figure.

        Returns
        -------
        ReconstructionDisplay
            The display, drawn.
        """
        missing = [name for name in METHODS if not hasattr(embedder, name)]
        if missing:
            raise TypeError(
                "ReconstructionDisplay.from_estimator needs an embedder with the "
                f"methods {', '.join(METHODS)}; {type(embedder).__name__} has no "
                f"{missing[0]}. Arrays that you have go to ReconstructionDisplay."
            )
        check_is_fitted(embedder)
        if n_clips < 1:
            raise ValueError(f"n_clips must be 1 or more; got {n_clips}.")
        X = X.iloc[:n_clips] if hasattr(X, "iloc") else X[:n_clips]
        patches = embedder.energy_patches(X)
        display = cls(
            patches=patches,
            reconstructions=embedder.inverse_transform(embedder.transform(patches)),
            captions=None if captions is None else list(captions)[:n_clips],
        )
        return display.plot(axes=axes)

    def plot(self, *, axes: Any = None, cmap: str = "magma") -> ReconstructionDisplay:
        """Draw patches, and their reconstructions below.

        Parameters
        ----------
        axes : sequence of matplotlib Axes, default=None
            Where to draw: one for each patch, then one for each reconstruction.
            ``None`` makes a figure.
        cmap : str, default="magma"
            Colours, by default from black to light in even steps of lightness. All
            panels have the same.

        Returns
        -------
        ReconstructionDisplay
            The display itself.
        """
        both = self._checked()
        own_figure = axes is None
        self._set_axes(axes, both.shape[1])
        options = {"origin": "lower", "aspect": "auto", "interpolation": "nearest"}
        limits = {"vmin": both.min(), "vmax": both.max(), "cmap": cmap}
        for ax, image in zip(self.axes_.flat, [*both[0], *both[1]], strict=True):
            drawn = ax.imshow(image, **options, **limits)
            ax.set_xticks([])
            ax.set_yticks([])
        if self.captions is not None:
            for ax, caption in zip(self.axes_[1], self.captions, strict=True):
                ax.set_xlabel(_text(caption), fontsize="small")
        for column in range(0, both.shape[1], MAX_COLUMNS):
            self.axes_[0, column].set_ylabel("patch\n(band)")
            self.axes_[1, column].set_ylabel("reconstruction\n(band)")
        if own_figure:
            bar = self.figure_.colorbar(drawn, ax=list(self.axes_.flat), aspect=30)
            bar.set_label("value, as in the patches")
        return self

    def _checked(self) -> np.ndarray:
        """Patches and reconstructions as one array (2, n_clips, n_bins, n_frames)."""
        options = {"allow_nd": True, "ensure_2d": False}
        patches = check_array(self.patches, input_name="patches", **options)
        decoded = check_array(
            self.reconstructions, input_name="reconstructions", **options
        )
        if patches.ndim != 3 or patches.shape != decoded.shape:
            raise ValueError(
                "patches and reconstructions must both be (n_clips, n_bins, n_frames); "
                f"got the shapes {patches.shape} and {decoded.shape}."
            )
        if self.captions is not None and len(self.captions) != len(patches):
            raise ValueError(
                f"captions must have one entry for each of {len(patches)} clips; got "
                f"{len(self.captions)}."
            )
        return np.stack([patches, decoded])

    def _set_axes(self, axes: Any, n_clips: int) -> None:
        pyplot = import_optional(
            "matplotlib.pyplot", extra="plot", purpose="ReconstructionDisplay"
        )
        if axes is None:
            n_columns = min(n_clips, MAX_COLUMNS)
            n_bands = -(-n_clips // n_columns)
            _, grid = pyplot.subplots(
                2 * n_bands,
                n_columns,
                figsize=(1.4 * n_columns + 1.6, 3.2 * n_bands),
                layout="constrained",
                squeeze=False,
            )
            rows = grid[::2].ravel(), grid[1::2].ravel()
            for unused in (*rows[0][n_clips:], *rows[1][n_clips:]):
                unused.remove()
            axes = [row[:n_clips] for row in rows]
        flat = np.asarray(axes, dtype=object).ravel()
        if len(flat) != 2 * n_clips:
            raise ValueError(
                f"axes must be {2 * n_clips} Axes, two for each clip; got {len(flat)}."
            )
        self.axes_ = flat.reshape(2, n_clips)
        self.figure_ = flat[0].figure


def _text(caption: Any) -> str:
    """A caption as text: lists one entry a line, probabilities in per cent."""
    if isinstance(caption, str):
        return caption
    return "\n".join(_line(entry) for entry in caption)


def _line(entry: Any) -> str:
    if not isinstance(entry, str) and len(entry) == 2 and isinstance(entry[1], Real):
        return f"{entry[0]} {entry[1]:.0%}"
    return str(entry)
