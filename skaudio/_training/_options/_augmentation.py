"""`Augmentation`: random changes of training segments."""

from __future__ import annotations

from numbers import Real
from typing import Any

from sklearn.base import BaseEstimator

from skaudio._training._random_draws import CONSECUTIVE
from skaudio._utils._constraints import NOT_NEGATIVE, POSITIVE
from skaudio._utils._sklearn import Interval, StrOptions

RANDOM = "random"  # values of segments, with CONSECUTIVE
BETWEEN_CLASS, MIXUP = "between-class", "mixup"  # values of mix


class Augmentation(BaseEstimator):
    """How training segments are changed at random, as a value of ``augmentation``.

    Everything but the random place of a segment is off by default. Every choice depends
    on the classifier's ``random_state``, the epoch and the number of the segment alone,
    so the same training repeats to the bit. Sound comes first: gain, mixing and noise
    change the waveform, so they need the classifier to compute ``views`` itself, all
    from the changed sound. Mixing and masks change the standardised views.

    Parameters
    ----------
    segments : {"random", "consecutive"}, default="random"
        Which segments of a clip an epoch has: one from a random place, or all that lie
        side by side from its beginning, without what is left at the end (one at least).
    gain : float, default=0.0
        Largest change of level in decibels, up or down. Acts on the waveform.
    shift : bool, default=False
        Whether clips shorter than a segment, which are repeated to fill it, start at a
        random place. Longer clips are cut at random in any case. Acts on the waveform.
    snr : tuple (low, high) or None, default=None
        Range in decibels of the signal-to-noise ratio at which white noise is added;
        None adds none. Acts on the waveform.
    mix : {"between-class", "mixup"} or None, default=None
        Mix every segment with one of another clip, and the targets with it.
        "between-class" mixes waveforms by perceived level (Tokozume et al.), "mixup"
        the views themselves (Zhang et al.), also those computed beforehand.
    mix_probability : float, default=1.0
        Share of the segments that are mixed.
    mix_alpha : float, default=1.0
        Shape of the symmetric beta distribution of the ratio: 1 is uniform, as
        Tokozume et al. have it; smaller values keep one of both clips dominant.
    freq_mask : float, default=0.0
        Largest share of neighbouring bins that is hidden in every view.
    time_mask : float, default=0.0
        Largest share of neighbouring frames that is hidden in every view.

    See Also
    --------
    MultiViewBlendingClassifier : Takes it as ``augmentation``.

    References
    ----------
    Y. Tokozume, Y. Ushiku and T. Harada, "Learning from between-class examples for deep
    sound recognition", ICLR 2018. H. Zhang et al., "mixup: Beyond empirical risk
    minimization", ICLR 2018. D. S. Park et al., "SpecAugment", Interspeech 2019, for
    the masks.

    Examples
    --------
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.neural_network import Augmentation, CRNNClassifier
    >>> from skaudio.views import MelView
    >>> X, y = make_sounds(n_clips=20, n_classes=2, sr=8000, random_state=0)
    >>> clf = CRNNClassifier(
    ...     views=MelView(sr=8000, n_mels=16),
    ...     augmentation=Augmentation(gain=6.0, mix="between-class"),
    ...     width=0.05,
    ...     max_epochs=1,
    ...     random_state=0,
    ... )
    >>> clf.fit(X, y).predict_proba(X).shape
    (20, 2)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "segments": [StrOptions({RANDOM, CONSECUTIVE})],
        "gain": [NOT_NEGATIVE],
        "shift": ["boolean"],
        "snr": [tuple, None],
        "mix": [StrOptions({BETWEEN_CLASS, MIXUP}), None],
        "mix_probability": [Interval(Real, 0, 1, closed="both")],
        "mix_alpha": [POSITIVE],
        "freq_mask": [Interval(Real, 0, 1, closed="both")],
        "time_mask": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self,
        *,
        segments: str = RANDOM,
        gain: float = 0.0,
        shift: bool = False,
        snr: tuple[float, float] | None = None,
        mix: str | None = None,
        mix_probability: float = 1.0,
        mix_alpha: float = 1.0,
        freq_mask: float = 0.0,
        time_mask: float = 0.0,
    ) -> None:
        self.segments = segments
        self.gain = gain
        self.shift = shift
        self.snr = snr
        self.mix = mix
        self.mix_probability = mix_probability
        self.mix_alpha = mix_alpha
        self.freq_mask = freq_mask
        self.time_mask = time_mask

    @property
    def _mixes_waveforms(self) -> bool:
        return self.mix == BETWEEN_CLASS

    def _check(self, on_waveforms: bool) -> None:
        """Refuse values that do not fit together, or that need waveforms."""
        self._validate_params()
        if self.snr is not None and (len(self.snr) != 2 or self.snr[0] > self.snr[1]):
            raise ValueError(
                f"snr must be None or (low, high) in decibels; got {self.snr!r}."
            )
        acting = {
            "gain": self.gain > 0,
            "shift": self.shift,
            "snr": self.snr is not None,
            "mix": self.mix == BETWEEN_CLASS,
        }
        for name in [
            name for name, acts in acting.items() if acts and not on_waveforms
        ]:
            raise ValueError(
                f"Augmentation({name}={getattr(self, name)!r}) acts on the waveform, "
                "but X holds views that were computed before. Pass waveforms or paths "
                "as X and what computes the views as views=, e.g. "
                "views=make_view_union('mel', 'cqt')."
            )
