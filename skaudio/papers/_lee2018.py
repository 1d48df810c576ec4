"""The recipe of SampleCNN."""

from __future__ import annotations

from typing import Any

from skaudio._training._options._augmentation import Augmentation
from skaudio._training._options._plateau import PlateauSchedule
from skaudio._training._options._validation import Validation

BATCH_SIZES = {"magnatagatune": 23, "msd": 50}


def lee2018(data: str = "magnatagatune") -> dict[str, Any]:
    """Training of "SampleCNN", as parameters.

    For tens of thousands of clips and a GPU. The paper takes 29.1 seconds of each clip
    (640,512 samples in the authors' code): load them with
    ``AudioLoader(sr=22050, duration=640512 / 22050)``.

    Parameters
    ----------
    data : {"magnatagatune", "msd"}, default="magnatagatune"
        Data set, which says the size of a batch: 23 or 50.

    Returns
    -------
    parameters : dict
        Of `SampleCNNClassifier`, to be changed like any other dictionary. Pass the
        published validation clips to ``fit`` as ``X_valid`` and ``y_valid``.

    Notes
    -----
    The paper's: the 3^9 network at 22,050 Hz, SGD with Nesterov's momentum of 0.9, a
    rate of 0.01 that is divided by five when the validation loss has not improved for
    more than three epochs, four times, dropout of 0.5.

    The authors' code: an epoch has all consecutive segments of every clip, as has
    validation; every rate starts from the best weights of the last one, with a fresh
    optimiser, for up to 1000 epochs; the best network of the last rate is kept.

    Chosen: a tenth of the clips is held out where no validation clips are passed, and
    predictions average ten even segments, where the authors' are consecutive. A slight
    decay of the rate from update to update in their code is left out.

    References
    ----------
    Lee et al., "SampleCNN: End-to-End Deep Convolutional Neural Networks Using Very
    Small Filters for Music Classification", Applied Sciences 8(1):150, 2018.

    Examples
    --------
    >>> from skaudio.neural_network import SampleCNNClassifier
    >>> from skaudio.papers import lee2018
    >>> clf = SampleCNNClassifier(**lee2018("msd"))
    >>> clf.batch_size, clf.lr_schedule.n_stages
    (50, 5)
    """
    if data not in BATCH_SIZES:
        raise ValueError(f"data must be one of {list(BATCH_SIZES)}; got {data!r}.")
    return {
        "sr": 22050,
        "sizes": (3,) * 10,
        "filters": "paper",
        "width": 1.0,
        "augmentation": Augmentation(segments="consecutive"),
        "dropout": 0.5,
        "max_epochs": 5000,
        "batch_size": BATCH_SIZES[data],
        "lr": 0.01,
        "optimizer": "nesterov",
        "lr_schedule": PlateauSchedule(n_stages=5, factor=5.0, patience=3),
        "n_segments": 10,
        "validation_fraction": Validation(
            0.1, n_segments="all", monitor="loss", keep="last-stage"
        ),
    }
