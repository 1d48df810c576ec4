"""Sound of what feature maps respond to in clips."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch import Tensor

from skaudio._utils._container import stack_or_object
from skaudio._utils._files import replacing
from skaudio._utils._text import shortened
from skaudio.inspection._networks import (
    Model,
    Sounding,
    check_features,
    check_numbers,
    highest,
    layers_of,
    record,
)
from skaudio.inspection._players import PlayerTable
from skaudio.nn.frontends import BandSpectrogram, SpectrumFrontEnd
from skaudio.nn.mfcc import MFCC
from skaudio.nn.resynthesis import (
    bins_of_bands,
    fourier_transform,
    inverse_fourier_transform,
)
from skaudio.views._base import BaseView

METHODS = ("mask", "phase")


@dataclass(frozen=True)
class Auralization:
    """Sounds of feature maps, with what they were made of.

    Made by :func:`auralize`. A notebook and the gallery of a manual show it as a table
    of players.

    Parameters
    ----------
    sounds : ndarray of shape (n_clips, n_features, n_samples)
        Sound of every feature in every clip; a 1-D object array of arrays (n_features,
        n_samples_i) if clips differ in length.
    maps : ndarray of shape (n_clips, n_features, n_bins, n_frames)
        What they were made of, see :func:`deconvolve`.
    sources : ndarray of shape (n_clips, n_samples)
        The clips as the view got them; a 1-D object array if they differ in length.
    features : list of int
        Numbers of the features.
    layer : str
        Name of their layer.
    view : view
        The view of the clips that the layer sees.
    method : {"mask", "phase"}, default="mask"
        How maps became sound.

    Attributes
    ----------
    sr : float
        Samples per second.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio.inspection import Auralization
    >>> from skaudio.views import RawView
    >>> noise = np.random.default_rng(0).uniform(-1, 1, (1, 2, 8000))
    >>> auralization = Auralization(
    ...     sounds=noise,
    ...     maps=noise[:, :, None],
    ...     sources=noise[:, 0],
    ...     features=[3, 5],
    ...     layer="blocks.1",
    ...     view=RawView(sr=8000),
    ... )
    >>> auralization.to_table()
    PlayerTable of 3 rows: clip, feature, sound
    """

    sounds: np.ndarray
    maps: np.ndarray
    sources: np.ndarray
    features: list[int]
    layer: str
    view: BaseView
    method: str = "mask"

    @property
    def sr(self) -> float:
        """Samples per second."""
        return self.view.sr

    def to_table(
        self,
        *,
        clips: int | Sequence[int] | None = None,
        max_duration: float | None = None,
    ) -> PlayerTable:
        """Make a table of players: of every clip its sound, and those of its features.

        Parameters
        ----------
        clips : int, sequence of int or None, default=None
            Which clips, from 0; None is all of them.
        max_duration : float or None, default=None
            Seconds that longer clips are cut off at; None plays all.

        Returns
        -------
        table : PlayerTable
            A row for each sound. Players scale it to a peak of 1.
        """
        what = f"there are {len(self.sources)} clips"
        clips = check_numbers("clips", clips, len(self.sources), what)
        rows = [
            (clip, name, sound)
            for clip in clips
            for name, sound in zip(
                ["source", *map(str, self.features)],
                [self.sources[clip], *self.sounds[clip]],
                strict=True,
            )
        ]
        of_clip, names, sounds = map(list, zip(*rows, strict=True))
        return PlayerTable(
            sounds,
            {"clip": of_clip, "feature": names},
            sr=_whole(self.sr),
            max_duration=max_duration,
            normalize=True,
            caption=f"Features of layer {self.layer}",
        )

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write WAV files of 16 bit, one for every clip and feature.

        Parameters
        ----------
        folder : str or path-like
            Where to, made if it is not there. Files are called
            ``clip0_source.wav``, ``clip0_feature3.wav`` and so on.

        Returns
        -------
        paths : list of Path
            The files, by clip and within clips the source first.

        Warns
        -----
        UserWarning
            If samples beyond -1 to 1 are clipped.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        named = {}
        for clip, source in enumerate(self.sources):
            named[f"clip{clip}_source.wav"] = source
            for feature, sound in zip(self.features, self.sounds[clip], strict=True):
                named[f"clip{clip}_feature{feature}.wav"] = sound
        loud = [name for name, sound in named.items() if np.abs(sound).max() > 1]
        if loud:
            warnings.warn(
                f"{len(loud)} of {len(named)} sounds go beyond -1 to 1 and are "
                f"clipped: {shortened(loud)}. normalize=True of auralize scales them.",
                UserWarning,
                stacklevel=2,
            )
        for name, sound in named.items():
            with replacing(folder / name) as part:
                options = {"format": "WAV", "subtype": "PCM_16"}
                soundfile.write(part, sound, _whole(self.sr), **options)
        return [folder / name for name in named]

    def _repr_html_(self) -> str:
        return self.to_table()._repr_html_()

    def __repr__(self) -> str:
        return (
            f"Auralization of {len(self.sources)} clips, features {self.features} of "
            f"layer {self.layer!r}"
        )


def _whole(sr: float) -> int:
    if not float(sr).is_integer():
        raise ValueError(
            f"WAV files have whole numbers of samples per second; got sr={sr!r}."
        )
    return int(sr)


def auralize(
    estimator: Any,
    X: Any,
    layer: int | str | None = None,
    feature: int | Sequence[int] | None = None,
    *,
    method: str = "mask",
    bias: bool = True,
    normalize: bool = True,
) -> Auralization:
    """Make feature maps of a layer audible, as sound of the clips that they are of.

    Maps are those of :func:`deconvolve`. They are put into the short-time Fourier
    transform of the clip, which is inverted with the window, hop and padding of the
    view.

    Of bands, Fourier bins get the mean of the bands that contain them, so that a mask
    of ones changes nothing between the lowest and the highest band; what the view does
    not see is silent. A network on waveforms has maps that are waveforms already.

    Parameters
    ----------
    estimator : classifier or Pipeline
        A fitted neural classifier that computes its view of sound itself (``views``, or
        a waveform network), or a pipeline in which a step does.
    X : array of shape (n_clips, n_samples), or list of waveforms or paths
        Clips, as the estimator takes them.
    layer : int, str or None, default=None
        Which layer; see :func:`deconvolve`. None is the highest that has maps.
    feature : int, list of int or None, default=None
        Which features of the layer, from 0. None is all of them.
    method : {"mask", "phase"}, default="mask"
        What is inverted: "mask" is the map times the transform of the clip, as the
        paper's code does it; "phase" the map with the phases of the clip, as the paper
        says. As a mask, a map lets through more of what is loud. Networks on waveforms
        have neither.
    bias : bool, default=True
        Whether convolutions add their biases in the forward pass; see
        :func:`deconvolve`.
    normalize : bool, default=True
        Scale every sound to a peak of 1, as the paper's code does.

    Returns
    -------
    auralization : Auralization
        Its ``sounds`` (n_clips, n_features, n_samples) are as long as the clips; ``sr``
        is the rate of the view; ``save`` writes WAV files, ``to_table`` makes players.

    Raises
    ------
    TypeError, ValueError
        As by :func:`deconvolve`; and if the estimator takes views instead of sound, or
        a view that cannot be inverted (cepstral coefficients, constant-Q).

    Warns
    -----
    UserWarning
        If clips are silent, with their rows; so are their sounds.

    See Also
    --------
    deconvolve : Maps only, of any view.
    DeconvolutionDisplay : Draws maps and sounds.

    Notes
    -----
    Values of maps are on the scale of the view, standardised where it is: the sound is
    a translation of the map, not what the network heard. Where views are compressed
    ("db", "log"), "mask" and "phase" use the map as it is. Pre-emphasis is undone.

    References
    ----------
    Choi, Kim, Fazekas and Sandler, "Auralisation of deep convolutional neural networks:
    listening to learned features", ISMIR 2015, late-breaking session.

    Examples
    --------
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.inspection import auralize
    >>> from skaudio.neural_network import SpectrogramCNNClassifier
    >>> from skaudio.views import STFTView
    >>> X, y = make_sounds(n_clips=8, n_classes=2, sr=8000, random_state=0)
    >>> view = STFTView(sr=8000, n_fft=256)
    >>> cnn = SpectrogramCNNClassifier(
    ...     views=view, width=0.1, max_epochs=1, random_state=0
    ... )
    >>> auralization = auralize(cnn.fit(X, y), X[:2], layer=2, feature=[0, 3])
    >>> auralization.sounds.shape
    (2, 2, 8000)
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}; got {method!r}.")
    model = Model.of(estimator)
    names = layers_of(model, layer)
    if len(names) > 1:
        raise ValueError(f"auralize takes one layer at a time; got layer={layer!r}.")
    sounding = Sounding.of(model, X)
    maps, sounds, silent = [], [], []
    for row, (clip, waveform) in enumerate(sounding):
        names = names or [highest(model, clip, bias)]
        recording = record(model, clip, row, names, bias)
        view = sounding.views[recording.check(names[0])]
        features = check_features(feature, recording.n_features(names[0]), names[0])
        found = recording.maps(names[0], features).cpu()
        maps.append(found.numpy())
        sound = _sound(view, found, waveform, method)
        if not waveform.any():
            silent.append(row)
            sound = np.zeros_like(sound)
        sounds.append(_at_peak(sound) if normalize else sound)
    if silent:
        warnings.warn(
            f"{len(silent)} of {len(maps)} clips are silent, and so are their sounds: "
            f"rows {shortened(silent)}.",
            UserWarning,
            stacklevel=2,
        )
    return Auralization(
        sounds=stack_or_object(sounds),
        maps=stack_or_object(maps),
        sources=stack_or_object(sounding.waveforms),
        features=features,
        layer=names[0],
        view=view,
        method=method,
    )


def _at_peak(sound: np.ndarray) -> np.ndarray:
    peak = np.abs(sound).max(axis=-1, keepdims=True)
    return sound / np.where(peak > 0, peak, 1)


def _sound(
    view: BaseView, maps: Tensor, waveform: np.ndarray, method: str
) -> np.ndarray:
    """Sounds (n_features, n_samples) of maps (n_features, n_bins, n_frames)."""
    dtype = str(maps.dtype).removeprefix("torch.")
    front_end = view._front_end(dtype, "cpu")
    if front_end is None:  # samples as they are
        return maps[:, 0].numpy()
    if not isinstance(front_end, SpectrumFrontEnd) or isinstance(front_end, MFCC):
        raise ValueError(
            f"Maps of {type(view).__name__} cannot be made sound: it has no Fourier "
            "bins to put them into. Use STFTView, MelView, GammatoneView or a network "
            "on waveforms, or deconvolve, which gives the maps."
        )
    spectrogram = front_end.spectrogram
    source = fourier_transform(spectrogram, torch.as_tensor(waveform).to(maps))
    if isinstance(front_end, BandSpectrogram):
        maps = bins_of_bands(front_end, maps)
    if maps.shape[1:] != source.shape:
        raise ValueError(
            f"Maps have {tuple(maps.shape[1:])} bins and frames, but the view of the "
            f"clip has {tuple(source.shape)}: a step after {type(view).__name__} "
            "changes its shape, so that they cannot be laid over it."
        )
    if method == "phase":
        source = torch.sgn(source)  # 0 where there is nothing
    sound = inverse_fourier_transform(spectrogram, source * maps, len(waveform))
    return sound.numpy()
