"""Look inside fitted estimators."""

from skaudio.inspection._blending_display import BlendingDisplay

__all__ = ["BlendingDisplay"]
