"""Views of one clip, as a model computes them, and what the model says of the clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skaudio._training._network_of import leaves_of, network_of
from skaudio._utils._decisions import proba_of_tags
from skaudio.inspection._view_axes import Picture
from skaudio.nn.devices import available_device
from skaudio.views._base import ViewSource

DECISION = "decision"


@dataclass(frozen=True)
class Chain:
    """Steps that X goes through, one after the other, and what comes last.

    Parameters
    ----------
    steps : list of transformer
        From the first on.
    last : estimator
        A classifier, or the last transformer.
    """

    steps: list[Any]
    last: Any

    @classmethod
    def of(cls, model: Any) -> Chain:
        """Take pipelines, searches and what is frozen apart."""
        steps: list[Any] = []
        while True:
            if isinstance(model, Pipeline):
                check_is_fitted(model)
                steps += leaves_of(Pipeline(model.steps[:-1])) if len(model) > 1 else []
                model = model[-1]
            elif isinstance(model, FrozenEstimator):
                model = model.estimator
            elif hasattr(model, "best_estimator_"):
                model = model.best_estimator_
            else:
                return cls(steps, model)

    def pictures(self, clip: Any) -> dict[str, Picture]:
        """Pictures of all views of a clip, by name, in units of the views."""
        every = [*self.steps, self.last]
        places = [i for i, step in enumerate(every) if isinstance(step, ViewSource)]
        if not places:
            return self._own_pictures(clip)
        source = every[places[-1]]
        X: Any = [clip]
        for step in every[: places[-1]]:
            X = step.transform(X)
        return _pictures(source._named_views(), source.transform(X)[0])

    def _own_pictures(self, clip: Any) -> dict[str, Picture]:
        """Pictures of views that a network computes itself."""
        try:
            inner, estimator = network_of(self.last)
        except TypeError:
            own = None
        else:
            own = estimator._own_views(available_device)
        if own is None:
            raise TypeError(
                f"Nothing in {type(self.last).__name__} computes views of sound. Pass "
                "a view, a ViewUnion, a Pipeline with one of these in it, or a "
                "classifier with views=; views that are computed go to from_views."
            )
        X: Any = [clip]
        for step in [*self.steps, *leaves_of(inner)]:
            X = step.transform(X)
        computed, _ = own.read(estimator, X, reset=False)
        return _pictures(own.views, computed[0])

    def opinions(self, clip: Any) -> tuple[dict[str, np.ndarray], list[Any]]:
        """Probabilities (n_classes,) by branch, the decision last; and the classes."""
        if not hasattr(self.last, "predict_proba"):
            return {}, []
        X: Any = [clip]
        for step in self.steps:
            X = step.transform(X)
        branches = {}
        if hasattr(self.last, "branch_proba"):
            branches = {name: p[0] for name, p in self.last.branch_proba(X).items()}
        proba = np.asarray(proba_of_tags(self.last, X))[0]
        classes = self.last.classes_  # or a list: those of each tag
        names = range(len(proba)) if isinstance(classes, list) else classes
        return branches | {DECISION: proba}, list(names)


def _pictures(views: dict[str, Any], values: Any) -> dict[str, Picture]:
    arrays = values if isinstance(values, dict) else dict.fromkeys(views, values)
    return {name: Picture.of(view, arrays[name]) for name, view in views.items()}
