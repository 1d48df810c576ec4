"""Output of transformers of sound: ``set_output``, and clips that failed."""

from __future__ import annotations

from typing import Any, Self


class ArrayOutput:
    """A transformer whose output is no table. Put it before `TransformerMixin`."""

    def set_output(self, *, transform: str | None = None) -> Self:
        """Do nothing: waveforms and views fit no data frame.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            Accepted, so that ``Pipeline.set_output`` works, and ignored.

        Returns
        -------
        self : object
            The transformer itself.
        """
        return self


def note_errors(estimator: Any, errors: list[dict[str, Any]]) -> None:
    """Set ``errors_`` to the clips that failed, if they changed.

    An estimator that only transforms stays as it is when nothing fails.
    """
    if errors != getattr(estimator, "errors_", []):
        estimator.errors_ = errors
