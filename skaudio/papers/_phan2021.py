"""The recipe of the multi-view paper."""

from __future__ import annotations

from typing import Any

from skaudio._training._options._blending import Blending
from skaudio._training._options._warmup import WarmupDecay

SR = {"esc50": 44100, "dcase2016": 44100, "gtzan": 22050}
N_SAMPLES = {44100: 66650, 22050: 33330}  # of a training segment
HELD_OUT: dict[str, int | float] = {"esc50": 2, "dcase2016": 0.1, "gtzan": 0.1}


def phan2021(data: str = "esc50") -> dict[str, Any]:
    """Training of "Multi-view Audio and Music Classification", as parameters.

    A full training of the full network takes a GPU. No code of the paper is public, and
    the text that we have lacks many numbers; those are chosen, as listed below.

    Parameters
    ----------
    data : {"esc50", "dcase2016", "gtzan"}, default="esc50"
        Data set, which says the sampling rate, and the clips to hold out: two sources
        per class, a tenth of the sources per class, or a tenth of the clips. Pass
        ``groups`` to ``fit`` for sources, none for GTZAN.

    Returns
    -------
    parameters : dict
        Of `MultiViewBlendingClassifier`, to be changed like any other dictionary.

    See Also
    --------
    skaudio.views.make_view_union : The four views, e.g. ``make_view_union("mel",
        "gammatone", "cqt", "raw", sr=44100)``.

    Notes
    -----
    The paper's: Adam, batches of 64, ten epochs of warm-up at a low constant rate, a
    rate that is multiplied by 0.8 at three epochs, segments of 66,650 samples (33,330
    at 22,050 Hz), validation clips, the best validation accuracy, no mixing.

    Chosen, after other networks of the authors where they have such a number: the rate
    of 2e-4 and a tenth of it in the warm-up, decays after 200, 600 and 1000 epochs,
    2000 epochs in all, evaluations every 100 steps and a window of 20 of them, ten
    segments per clip in prediction, a dropout of 0.25; and the sizes of the network,
    see `skaudio.nn.MultiViewCRNN`.

    References
    ----------
    Phan et al., "Multi-view Audio and Music Classification", ICASSP 2021,
    Section 3.1.3.

    Examples
    --------
    >>> from skaudio.neural_network import MultiViewBlendingClassifier
    >>> from skaudio.papers import phan2021
    >>> clf = MultiViewBlendingClassifier(**phan2021())
    >>> clf.batch_size, clf.lr_schedule
    (64, WarmupDecay())
    >>> small = MultiViewBlendingClassifier(**phan2021() | {"width": 0.25})
    """
    if data not in SR:
        raise ValueError(f"data must be one of {list(SR)}; got {data!r}.")
    sr = SR[data]
    return {
        "blending": Blending(period=100, window=20, momentum=0.0, min_weight=0.0),
        "augmentation": None,
        "width": 1.0,
        "attention": "spatio-temporal",
        "dropout": 0.25,
        "max_epochs": 2000,
        "batch_size": 64,
        "lr": 2e-4,
        "optimizer": "adam",
        "lr_schedule": WarmupDecay(),
        "segment_length": N_SAMPLES[sr] / sr,
        "n_segments": 10,
        "validation_fraction": HELD_OUT[data],
    }
