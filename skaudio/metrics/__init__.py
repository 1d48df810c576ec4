"""Figures for clips with any number of tags."""

from skaudio.metrics._tags import (
    mean_tag_average_precision,
    mean_tag_roc_auc,
    tag_report,
    top_tags,
)

__all__ = [
    "mean_tag_average_precision",
    "mean_tag_roc_auc",
    "tag_report",
    "top_tags",
]
