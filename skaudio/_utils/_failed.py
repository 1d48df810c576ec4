"""Clips that failed in the last call of a transformer."""

from __future__ import annotations

from typing import Any


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
