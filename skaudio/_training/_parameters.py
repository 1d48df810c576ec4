"""Parameters that take objects with parameters of their own, or names for them."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from sklearn.base import BaseEstimator

from skaudio._training._options._augmentation import Augmentation
from skaudio._training._options._blending import NAMED, as_blending
from skaudio._training._options._optimizer import OPTIMIZERS, Optimizer
from skaudio._training._options._plateau import PlateauSchedule
from skaudio._training._options._validation import Validation
from skaudio._training._options._warmup import WarmupDecay

# schedules that are objects with parameters
SCHEDULE_OBJECTS: dict[str, Any] = {
    "reduce-on-plateau": PlateauSchedule,
    "warmup-decay": WarmupDecay,
}
# parameters whose values may be names of objects: the names, and what makes one
_NAMED: dict[str, tuple[Any, Any]] = {
    "blending": (NAMED, as_blending),
    "lr_schedule": (SCHEDULE_OBJECTS, lambda name: SCHEDULE_OBJECTS[name]()),
    "optimizer": (OPTIMIZERS, Optimizer),
}


def object_of(parameter: str, value: Any) -> Any:
    """The object that a value of a parameter stands for, or None.

    Parameters
    ----------
    parameter : str
        Its name.
    value : object
        A name, a number or None.
    """
    if parameter == "augmentation" and value is None:
        return Augmentation()
    if parameter == "validation_fraction" and not hasattr(value, "get_params"):
        return Validation(value)
    for name, (known, made) in _NAMED.items():
        if parameter == name and isinstance(value, str) and value in known:
            return made(value)
    return None


class ObjectParameters:
    """An estimator, of whose parameters some are objects. Put it before BaseEstimator.

    ``set_params(lr_schedule__patience=5)`` also works where ``lr_schedule`` is a name
    that stands for an object with this parameter, as in a search.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]]

    def _value(self, name: str) -> Any:
        """Value of a parameter: the object, where a name stands for one."""
        value = getattr(self, name)
        found = object_of(name, value)
        return value if found is None else found

    def set_params(self, **params: Any) -> Self:
        """Set parameters, also of objects that are parameters.

        Parameters
        ----------
        **params : dict
            Values by name; ``lr_schedule__patience`` is that of the schedule.

        Returns
        -------
        self : object
            The estimator itself.
        """
        objects = {}
        for key in params:
            name, _, inner = key.partition("__")
            value = params.get(name, getattr(self, name, None))
            if inner and hasattr(self, name) and not hasattr(value, "set_params"):
                objects[name] = object_of(name, value)
                if objects[name] is None:
                    raise ValueError(self._has_no(name, value, inner))
        done: Self = super().set_params(**{**params, **objects})  # type: ignore[misc]
        return done

    def _has_no(self, name: str, value: Any, inner: str) -> str:
        kinds = [
            kind.__name__
            for kind in self._parameter_constraints.get(name, ())
            if isinstance(kind, type) and issubclass(kind, BaseEstimator)
        ]
        known = " or ".join(f"{kind}()" for kind in kinds)
        such_as = f", such as {known}" if kinds else ""
        return (
            f"{name}={value!r} has no parameter {inner!r}. First set {name} to an "
            f"object that has it{such_as}."
        )
