"""The only module that imports private or version-dependent scikit-learn names."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

from sklearn.base import _fit_context as _validating
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import _safe_indexing, check_array
from sklearn.utils._array_api import get_namespace
from sklearn.utils._param_validation import (
    HasMethods,
    Hidden,
    Interval,
    RealNotInt,
    StrOptions,
)
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.validation import (
    _check_feature_names,
    _check_feature_names_in,
    _check_sample_weight,
    _num_samples,
)

__all__ = [
    "BaseSearchCV",
    "HasMethods",
    "Hidden",
    "Interval",
    "RealNotInt",
    "StrOptions",
    "_BaseComposition",
    "_check_feature_names",
    "_check_feature_names_in",
    "_check_sample_weight",
    "_fit_context",
    "_get_output_config",
    "_num_samples",
    "_safe_indexing",
    "get_namespace",
]


def _fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Any], Any]:
    """scikit-learn's decorator of ``fit``; and a fit that fails changes nothing.

    Otherwise an old model would go on under the names of new classes.
    """
    validating = _validating(
        prefer_skip_nested_validation=prefer_skip_nested_validation
    )

    def decorate(fit: Any) -> Any:
        validated = validating(fit)

        @wraps(fit)
        def fit_or_restore(estimator: Any, *args: Any, **kwargs: Any) -> Any:
            before = dict(vars(estimator))
            try:
                return validated(estimator, *args, **kwargs)
            except BaseException:
                for name in vars(estimator).keys() - before.keys():
                    delattr(estimator, name)
                vars(estimator).update(before)
                raise

        return fit_or_restore

    return decorate


def is_validated_by_sklearn() -> bool:
    """Whether ``check_array`` is what asks for an array, as estimators of tables do."""
    frame = sys._getframe(1)
    for _ in range(4):
        if frame is None or frame.f_code is check_array.__code__:
            break
        frame = frame.f_back  # type: ignore[assignment]
    return frame is not None and frame.f_code is check_array.__code__
