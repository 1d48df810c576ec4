"""The only module that imports private or version-dependent scikit-learn names."""

from sklearn.base import _fit_context
from sklearn.utils._param_validation import Hidden, Interval, StrOptions
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.validation import _check_feature_names, _num_samples

__all__ = [
    "Hidden",
    "Interval",
    "StrOptions",
    "_BaseComposition",
    "_check_feature_names",
    "_fit_context",
    "_num_samples",
]
