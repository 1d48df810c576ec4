"""Colours that displays share."""

from __future__ import annotations

# Okabe and Ito's colours, distinct with any colour vision
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
DARK = "#3B3B3B"  # what stands out from them, or has no class
