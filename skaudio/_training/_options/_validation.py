"""`Validation`: which clips a training is judged by, how, and what is kept of it."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from sklearn.base import BaseEstimator

from skaudio._utils._constraints import COUNT
from skaudio._utils._sklearn import Interval, RealNotInt, StrOptions

SCORE, LOSS = "score", "loss"  # values of monitor
BEST, LAST_STAGE, LAST = "best", "last-stage", "last"  # values of keep
ALL = "all"  # value of n_segments

FRACTION: list[Any] = [None, COUNT, Interval(RealNotInt, 0, 1, closed="neither")]


class Validation(BaseEstimator):
    """How a training is validated, as a value of ``validation_fraction``.

    Parameters
    ----------
    fraction : float, int or None, default=0.1
        Sources to hold out: a float is their share of every class, an int their number
        per class, None holds out nothing. Clips that are passed to ``fit`` as
        ``X_valid`` take their place.
    n_segments : int or "all", default=1
        Segments per clip that are evaluated: that many even ones (the middle one, for
        1), or "all" that lie side by side. An evaluation takes that many times as long.
    monitor : {"score", "loss"}, default="score"
        What the best network has: the highest accuracy (of tags: mean average
        precision), or the lowest loss of the output that decides.
    keep : {"best", "last-stage", "last"}, default="best"
        Which network is kept: the best of all evaluations; the best of the last stage
        of a `PlateauSchedule`, as the authors of SampleCNN do; or the last one, so that
        validation only steers the schedule and the weights of branches.

    See Also
    --------
    CRNNClassifier : Takes it, like every network here, as ``validation_fraction``.
    Optimizer : Can average the weights that are evaluated and kept.

    Examples
    --------
    >>> from skaudio.neural_network import CRNNClassifier, Validation
    >>> clf = CRNNClassifier(validation_fraction=Validation(2, monitor="loss"))
    >>> clf.set_params(validation_fraction__n_segments=5).validation_fraction
    Validation(fraction=2, monitor='loss', n_segments=5)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "fraction": FRACTION,
        "n_segments": [COUNT, StrOptions({ALL})],
        "monitor": [StrOptions({SCORE, LOSS})],
        "keep": [StrOptions({BEST, LAST_STAGE, LAST})],
    }

    def __init__(
        self,
        fraction: float | int | None = 0.1,
        *,
        n_segments: int | str = 1,
        monitor: str = SCORE,
        keep: str = BEST,
    ) -> None:
        self.fraction = fraction
        self.n_segments = n_segments
        self.monitor = monitor
        self.keep = keep

    def _splitter_options(self) -> dict[str, Any]:
        """Parameters of the `StratifiedGroupShuffleSplit` that holds sources out."""
        whole = isinstance(self.fraction, Integral)
        return {"groups_per_class" if whole else "test_size": self.fraction}
