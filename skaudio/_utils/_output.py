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


class FailedClips:
    """A transformer without state that says which clips failed in its last transform.

    It stays as it is while none fails: the list is then made when it is asked for.
    """

    @property
    def errors_(self) -> list[dict[str, Any]]:
        """Clips that failed in the last `transform`; none before it."""
        errors: list[dict[str, Any]] = self.__dict__.get("errors_", [])
        return errors

    @errors_.setter
    def errors_(self, errors: list[dict[str, Any]]) -> None:
        self.__dict__["errors_"] = errors


def note_errors(estimator: Any, errors: list[dict[str, Any]]) -> None:
    """Set ``errors_`` to the clips that failed, if they changed.

    What only transforms stays as it is when nothing fails: see `FailedClips`.
    """
    if errors != getattr(estimator, "errors_", []):
        estimator.errors_ = errors
