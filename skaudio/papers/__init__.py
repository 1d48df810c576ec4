"""Whole training recipes of papers, as parameters of the estimators."""

from skaudio.papers._lee2018 import lee2018
from skaudio.papers._phan2021 import phan2021

__all__ = ["lee2018", "phan2021"]
