"""Classical descriptors of sound, summarised over time: one row of numbers per clip."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags

from skaudio._audio._checks import all_finite, overflow
from skaudio._audio._load import load_parts
from skaudio._audio._report import Report
from skaudio._utils._constraints import (
    COUNT,
    LOADER_CONSTRAINTS,
    LOADING,
    N_SAMPLES,
)
from skaudio._utils._failed import FailedClips
from skaudio._utils._sklearn import Interval, StrOptions, _fit_context
from skaudio._utils._spectra import PAD_MODES
from skaudio._utils._types import is_path, shown
from skaudio._utils._validation import check_clips
from skaudio.preprocessing._energy_patches import loudest_start
from skaudio.preprocessing._frame_statistics import STATISTICS, check_statistics

N_MELS = 128
N_CHROMA = 12


class AcousticDescriptors(FailedClips, TransformerMixin, BaseEstimator):
    """Timbre, harmony and brightness of clips, as a table with named columns.

    Four descriptors are computed by librosa: mel-frequency cepstral coefficients of 128
    bands in decibels (:func:`librosa.feature.mfcc`), chroma of 12 pitch classes
    (:func:`librosa.feature.chroma_stft`, of magnitudes), and centroid and bandwidth of
    the spectrum in Hz (:func:`librosa.feature.spectral_centroid`,
    :func:`librosa.feature.spectral_bandwidth`). Statistics over frames make one row per
    clip, with which embeddings are compared in the COALA paper [1]_: see
    :func:`~skaudio.metrics.canonical_correlation_table`.

    Parameters
    ----------
    sr : float, default=22000
        Sampling rate in Hz. Files are resampled to it; arrays are taken to be at it.
    n_mfcc : int, default=20
        Number of coefficients.
    statistics : tuple of {"mean", "std", "var", "min", "max", "median", "skew"}, \
            default=("mean", "var", "skew")
        What to compute over the frames of a clip, in this order. Standard deviation,
        variance and skewness are those of the frames at hand, not corrected for bias;
        the skewness of what never changes is 0.
    n_frames : int or None, default=None
        Frames to describe of each clip: those of the window with the largest sum of
        magnitudes, or all if there are fewer. None takes the whole clip. COALA's
        authors take 96.
    step : int, default=12
        Frames from the start of one candidate to that of the next.
    n_fft : int, default=1024
        Samples of the Fourier transform and of its Hann window.
    hop_length : int, default=512
        Samples from frame to frame.
    pad_mode : {"constant", "reflect", "symmetric", "edge", "wrap"}, default="constant"
        What is before and after a clip, as in :func:`numpy.pad`: zeros by default.
    mono : {"average", "raise"}, default="average"
        Average the channels of a clip, or refuse clips with more than one.
    trim_silence : bool, default=False
        Drop exact zeros at both ends of a clip, as many data sets pad with them.
    duration : float or None, default=None
        Seconds to crop or zero-pad every clip to; None keeps its length.
    on_error : {"raise", "warn", "nan"}, default="raise"
        Raise when a clip cannot be loaded, or keep its row as NaN, with or without a
        warning; `errors_` lists such rows.
    n_jobs : int or None, default=None
        Threads that decode files; the result does not depend on it. ``None`` means 1
        unless a threading :obj:`joblib.parallel_config` says otherwise.
    verbose : int, default=0
        Show a progress bar while loading if positive.

    Attributes
    ----------
    errors_ : list of dict
        ``{"row", "path", "error"}`` of each clip that failed in the last `transform`.
    n_features_in_ : int
        Samples of each clip, if X is rectangular.

    Notes
    -----
    Silence has a centroid, a bandwidth and chroma of 0. COALA's authors used a version
    of librosa that continues clips by their mirror image (``pad_mode="reflect"``), took
    ``n_frames=96``, and padded clips to 10 s with faint noise.

    References
    ----------
    .. [1] X. Favory, K. Drossos, T. Virtanen and X. Serra, "COALA: Co-Aligned
       Autoencoders for Learning Semantically Enriched Audio Representations", ICML 2020
       Workshop on Self-supervision in Audio and Speech, Section 3.3.

    Examples
    --------
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.preprocessing import AcousticDescriptors
    >>> X, y = make_sounds(n_clips=8, duration=0.5, sr=22000, random_state=0)
    >>> descriptors = AcousticDescriptors(statistics=("mean",)).fit(X)
    >>> descriptors.transform(X).shape
    (8, 34)
    >>> list(descriptors.get_feature_names_out()[-2:])
    ['spectral_centroid_mean', 'spectral_bandwidth_mean']
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **LOADER_CONSTRAINTS,
        "n_mfcc": [Interval(Integral, 1, N_MELS, closed="both")],
        "statistics": [tuple, list],
        "n_frames": [COUNT, None],
        "step": [COUNT],
        "n_fft": [N_SAMPLES],
        "hop_length": [N_SAMPLES],
        "pad_mode": [StrOptions(set(PAD_MODES))],
    }

    def __init__(
        self,
        *,
        sr: float = 22000,
        n_mfcc: int = 20,
        statistics: tuple[str, ...] = ("mean", "var", "skew"),
        n_frames: int | None = None,
        step: int = 12,
        n_fft: int = 1024,
        hop_length: int = 512,
        pad_mode: str = "constant",
        mono: str = "average",
        trim_silence: bool = False,
        duration: float | None = None,
        on_error: str = "raise",
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.sr = sr
        self.n_mfcc = n_mfcc
        self.statistics = statistics
        self.n_frames = n_frames
        self.step = step
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.pad_mode = pad_mode
        self.mono = mono
        self.trim_silence = trim_silence
        self.duration = duration
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> AcousticDescriptors:
        """Check parameters and clips; nothing is learned.

        Parameters
        ----------
        X : array of shape (n_clips, n_samples), or list of waveforms or paths
            A rectangular array fixes `n_samples`; lists may have any lengths.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The transformer itself.
        """
        check_statistics(self.statistics)
        check_clips(self, X, reset=True, allow_nan=self.on_error != "raise")
        self.errors_ = []
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Describe every clip.

        Parameters
        ----------
        X : array of shape (n_clips, n_samples), or list of waveforms or paths
            Arrays are taken to be at `sr`; files are resampled to it.

        Returns
        -------
        table : ndarray of shape (n_clips, n_features)
            One row per clip; NaN where a clip could not be loaded.
        """
        self._validate_params()
        check_statistics(self.statistics)
        X = check_clips(self, X, reset=False, allow_nan=self.on_error != "raise")
        report = Report()
        options = {name: getattr(self, name) for name in LOADING}
        options |= {"n_jobs": self.n_jobs, "verbose": self.verbose}
        rows: list[np.ndarray] = []
        for part in load_parts(X, report, **options):
            for row, item, waveform in zip(
                part.rows, part.clips, part.waveforms, strict=True
            ):
                rows.append(self._row(waveform, row, item, report))
        report.close(self, len(X), self.on_error)
        return np.stack(rows)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns: descriptor, number and statistic.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Ignored: descriptors are not columns of X.

        Returns
        -------
        names : ndarray of str
            Such as ``mfcc3_mean``, ``chroma11_var`` and ``spectral_centroid_skew``.
        """
        descriptors = [
            [f"mfcc{i}" for i in range(self.n_mfcc)],
            [f"chroma{i}" for i in range(N_CHROMA)],
            ["spectral_centroid"],
            ["spectral_bandwidth"],
        ]
        names = [
            f"{name}_{statistic}"
            for descriptor in descriptors
            for statistic in self.statistics
            for name in descriptor
        ]
        return np.array(names, dtype=object)

    def _row(
        self, waveform: np.ndarray, row: int, item: Any, report: Report
    ) -> np.ndarray:
        """Statistics of one clip; NaN if it failed."""
        if not all_finite(waveform):  # a failed clip, which is in the report
            n_features = len(self.get_feature_names_out())
            return np.full(n_features, np.nan, waveform.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.concatenate(
                [
                    STATISTICS[statistic](descriptor, axis=1)
                    for descriptor in self._describe(waveform)
                    for statistic in self.statistics
                ]
            ).astype(waveform.dtype)
        if all_finite(values):
            return values
        name = shown(item) if is_path(item) else f"Clip {row} of X"
        message = overflow(name, waveform, waveform.dtype)
        if self.on_error == "raise":
            raise ValueError(message)
        report.add(row, item, message)
        return np.full_like(values, np.nan)

    def _describe(self, waveform: np.ndarray) -> list[np.ndarray]:
        """Descriptors of one clip, (n_dimensions, n_frames) each."""
        from librosa import power_to_db, stft
        from librosa.feature import (
            chroma_stft,
            melspectrogram,
            mfcc,
            spectral_bandwidth,
            spectral_centroid,
        )

        mode: Any = self.pad_mode
        padded = np.pad(waveform, self.n_fft // 2, mode=mode)
        sizes: dict[str, Any] = {"n_fft": self.n_fft, "hop_length": self.hop_length}
        magnitudes = np.abs(stft(padded, center=False, **sizes))
        sizes |= {"sr": self.sr}
        with warnings.catch_warnings():  # of silence, and of bands narrower than bins
            warnings.simplefilter("ignore", UserWarning)
            mel = melspectrogram(S=magnitudes**2, n_mels=N_MELS, **sizes)
            decibels = power_to_db(mel)  # before the window: 80 dB below the whole clip
            if self.n_frames is not None:
                start = loudest_start(magnitudes, self.n_frames, self.step)
                window = slice(start, start + self.n_frames)
                magnitudes, decibels = magnitudes[:, window], decibels[:, window]
            return [
                mfcc(S=decibels, sr=self.sr, n_mfcc=self.n_mfcc),
                chroma_stft(S=magnitudes, n_chroma=N_CHROMA, **sizes),
                spectral_centroid(S=magnitudes, **sizes),
                spectral_bandwidth(S=magnitudes, **sizes),
            ]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
