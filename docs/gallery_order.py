"""Examples of the gallery: from first steps to what few need."""

from __future__ import annotations

from pathlib import Path

from sphinx_gallery.sorting import FileNameSortKey

ORDER = (
    *("folder_to_classifier", "four_views", "late_fusion", "blending", "tags"),
    *("probes", "search", "coala", "long_recordings", "segmentation"),
    *("distillation", "auralization", "samplecnn", "softmax_autoencoder", "dask"),
)


class ByUse(FileNameSortKey):
    """Place of an example in `ORDER`; a new one has to get one."""

    def __call__(self, filename: str) -> int:
        """Return the place."""
        return ORDER.index(Path(filename).stem.removeprefix("plot_"))
