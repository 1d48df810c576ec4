"""Output of transformers of sound: names of bins, and the index of data frames."""

from __future__ import annotations

import sys
from functools import wraps
from typing import Any, Self

import numpy as np

from skaudio._utils._container import Views
from skaudio._utils._sklearn import _check_feature_names_in, _get_output_config


class ArrayOutput:
    """A transformer whose output is no table. Put it before `TransformerMixin`.

    With ``set_output(transform="pandas")``, ``transform`` gives rows the index of X.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        options = {"auto_wrap_output_keys": None}  # scikit-learn makes tables only
        super().__init_subclass__(**options, **kwargs)
        if "transform" in vars(cls):
            cls.transform = _keeping_index(vars(cls)["transform"])  # type: ignore[attr-defined]

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose whether rows keep the index of X.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            "pandas" makes a Series of arrays of what is computed from a Series or a
            DataFrame, with its index (a DataFrame if it is a table, `Views` with an
            index if there are several views). All else gives arrays; None changes
            nothing.

        Returns
        -------
        self : object
            The transformer itself.
        """
        if transform is not None:
            self._sklearn_output_config = {"transform": transform}
        return self


def _keeping_index(transform: Any) -> Any:
    @wraps(transform)
    def transform_and_index(self: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        return with_index(self, transform(self, X, *args, **kwargs), X)

    return transform_and_index


def with_index(transformer: Any, out: Any, X: Any) -> Any:
    """Output of a transformer with the index of its X, if data frames are wanted."""
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return out
    frames = pandas.Series, pandas.DataFrame
    named: tuple[Any, ...] = (Views, *frames)
    index: Any = X.index if isinstance(X, named) else None
    if index is None or isinstance(out, frames):
        return out
    if _get_output_config("transform", transformer)["dense"] != "pandas":
        return out
    if isinstance(out, Views):
        return out.with_index(index)
    if out.ndim == 2:
        columns = getattr(X, "columns", ())
        known = columns if len(columns) == out.shape[1] else None
        return pandas.DataFrame(out, index=index, columns=known, copy=False)
    return pandas.Series(list(out), index=index, dtype=object)


def names_of_bins(estimator: Any, names: Any = None) -> np.ndarray:
    """Names of the bins of what `check_views` saw in ``fit``, view by view."""
    if not hasattr(estimator, "view_names_in_"):
        return _check_feature_names_in(estimator, names)
    bins = estimator.view_bins_in_
    known = [f"{v}__x{i}" for v in estimator.view_names_in_ for i in range(bins[v])]
    if names is not None and len(names) != len(known):
        raise ValueError(
            f"input_features should have length equal to the number of bins "
            f"({len(known)}), got {len(names)}"
        )
    return np.array(known if names is None else names, dtype=object)
