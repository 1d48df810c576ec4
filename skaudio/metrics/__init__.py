"""Figures for clips with any number of tags, and for what an embedding holds."""

from skaudio.metrics._canonical_correlation import (
    canonical_correlation_similarity,
    canonical_correlation_table,
)
from skaudio.metrics._tags import (
    mean_tag_average_precision,
    mean_tag_roc_auc,
    tag_report,
    top_tags,
)

__all__ = [
    "canonical_correlation_similarity",
    "canonical_correlation_table",
    "mean_tag_average_precision",
    "mean_tag_roc_auc",
    "tag_report",
    "top_tags",
]
