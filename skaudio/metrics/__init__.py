"""Figures for tags, for segments, and for what an embedding holds."""

from skaudio.metrics._canonical_correlation import (
    canonical_correlation_similarity,
    canonical_correlation_table,
)
from skaudio.metrics._segments import (
    boundary_scores,
    frame_accuracy,
    frame_confusion,
    frame_report,
)
from skaudio.metrics._tags import (
    mean_tag_average_precision,
    mean_tag_roc_auc,
    tag_report,
    top_tags,
)

__all__ = [
    "boundary_scores",
    "canonical_correlation_similarity",
    "canonical_correlation_table",
    "frame_accuracy",
    "frame_confusion",
    "frame_report",
    "mean_tag_average_precision",
    "mean_tag_roc_auc",
    "tag_report",
    "top_tags",
]
