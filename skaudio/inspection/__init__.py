"""Look inside fitted estimators."""

from skaudio.inspection._activation_maximization import activation_maximization
from skaudio.inspection._blending_display import BlendingDisplay

__all__ = ["BlendingDisplay", "activation_maximization"]
