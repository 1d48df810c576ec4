"""`PlateauSchedule`: stages of training, each at a lower rate than the last."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from sklearn.base import BaseEstimator

from skaudio._utils._constraints import COUNT
from skaudio._utils._sklearn import Interval


class PlateauSchedule(BaseEstimator):
    """Reduce the learning rate on plateaus of the validation loss.

    Training has stages. One ends when the validation loss has not improved for more
    than ``patience`` epochs. The next starts from the best weights of the last, with a
    fresh optimiser and the rate divided by ``factor``. After the last stage training
    ends, before ``max_epochs`` if that leaves time. A value of ``lr_schedule``.

    Parameters
    ----------
    n_stages : int, default=5
        Number of rates: 0.01, 0.002, 0.0004, 0.00008 and 0.000016 in the paper.
    factor : float, default=5.0
        What the rate is divided by from stage to stage.
    patience : int, default=3
        Epochs without a better validation loss that a stage tolerates.

    See Also
    --------
    CosineRestarts : Rates by the number of the epoch.
    SampleCNNClassifier : Takes it, like every network here, as ``lr_schedule``.

    Notes
    -----
    An epoch has one segment of every clip here, and all ten of a 29 s clip in the
    authors' code. Where clips are long, a larger ``patience`` makes up for that, or
    ``Augmentation(segments="consecutive")``. `skaudio.papers.lee2018` has it all.

    References
    ----------
    Lee et al., "SampleCNN", Applied Sciences 8(1):150, 2018, Section 5.2.

    Examples
    --------
    >>> from skaudio.neural_network import CRNNClassifier, PlateauSchedule
    >>> schedule = PlateauSchedule(patience=10)
    >>> clf = CRNNClassifier(lr_schedule=schedule, validation_fraction=0.1)
    >>> clf.set_params(lr_schedule__n_stages=3).lr_schedule.n_stages
    3
    """

    _watches_validation = True
    _parameter_constraints: dict[str, list[Any]] = {
        "n_stages": [COUNT],
        "factor": [Interval(Real, 1, None, closed="neither")],
        "patience": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(
        self, *, n_stages: int = 5, factor: float = 5.0, patience: int = 3
    ) -> None:
        self.n_stages = n_stages
        self.factor = factor
        self.patience = patience
