"""Options of spectrograms, for front ends and for views, which import no torch."""

from __future__ import annotations

SCALES = ("db", "log", "log1p", "linear")
PAD_MODES = ("constant", "reflect", "symmetric", "edge", "wrap")  # numpy.pad's names
