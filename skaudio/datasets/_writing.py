"""`write_audio_files`: waveforms to a folder per class."""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length

from skaudio._utils._files import replacing
from skaudio._utils._validation import check_clips

# of devices, on some systems
RESERVED = {"con", "prn", "aux", "nul"} | {
    f"{p}{i}" for p in ("com", "lpt") for i in range(10)
}
FORMATS = {"wav": "PCM_16", "flac": "PCM_16", "ogg": "VORBIS"}


class _Clips(BaseEstimator):
    """Named in messages about clips that cannot be written."""


def write_audio_files(
    folder: str | os.PathLike[str],
    X: Any,
    y: Any,
    *,
    sr: int,
    groups: Any = None,
    format: str = "wav",
) -> np.ndarray:
    """Write waveforms to a folder with a sub-folder per class.

    :func:`load_audio_files` reads such a folder. With `groups`, it does not say which
    clips were cut from one recording: that is in a table ``clips.csv`` beside the
    sub-folders, with the columns ``path``, ``label`` and ``source``, to give to
    :func:`load_audio_files` in place of the folder.

    Parameters
    ----------
    folder : str or path-like
        Where to; made if it is not there. Files of the same names are replaced, all
        others stay.
    X : array of shape (n_clips, n_samples), or list of ndarray
        Waveforms in [-1, 1].
    y : array-like of shape (n_clips,)
        Class of each clip: the name of its sub-folder.
    sr : int
        Sampling rate in Hz.
    groups : array-like of shape (n_clips,) or None, default=None
        Recording that each clip was cut from.
    format : {"wav", "flac", "ogg"}, default="wav"
        WAV and FLAC of 16 bits, or Ogg Vorbis, which is lossy and smallest.

    Returns
    -------
    paths : ndarray of shape (n_clips,), dtype str
        File of each clip, in order of X.

    Raises
    ------
    ValueError
        If samples are not in [-1, 1], which would be clipped; if `sr` is no whole
        number, which a file cannot hold; if a class is no name of a folder; or if `y`
        or `groups` has another length than X.

    Examples
    --------
    >>> import tempfile
    >>> from skaudio.datasets import load_audio_files, make_sounds, write_audio_files
    >>> X, y = make_sounds(n_clips=6, n_classes=2, sr=8000, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = write_audio_files(folder, X, y, sr=8000)
    ...     sounds = load_audio_files(folder)
    >>> len(sounds.paths), sounds.target_names.tolist()
    (6, ['harmonic', 'percussive'])
    """
    if format not in FORMATS:
        raise ValueError(f"format must be one of {sorted(FORMATS)}; got {format!r}.")
    rate: Any = sr
    if not isinstance(rate, Real) or not float(rate) > 0 or float(rate) % 1:
        raise ValueError(f"sr must be a whole number of Hz above 0; got {sr!r}.")
    waveforms = list(check_clips(_Clips(), X, reset=True))
    labels = [_folder_name(label) for label in y]
    check_consistent_length(waveforms, labels, groups)
    loud = [i for i, wave in enumerate(waveforms) if np.abs(wave).max(initial=0) > 1]
    if loud:
        raise ValueError(
            f"Samples must be from -1 to 1; those of clip {loud[0]} go up to "
            f"{np.abs(waveforms[loud[0]]).max():.3g}. Scale the clips."
        )
    names = _names(len(waveforms), groups)
    folder = Path(folder)
    paths = []
    for name, label, waveform in zip(names, labels, waveforms, strict=True):
        path = folder / label / f"{name}.{format}"
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            soundfile.write(
                part, waveform, int(sr), format=format.upper(), subtype=FORMATS[format]
            )
        paths.append(path)
    if groups is not None:
        _write_table(folder / "clips.csv", paths, labels, groups)
    return np.array([str(path) for path in paths])


def _folder_name(label: Any) -> str:
    name = str(label)
    strange = set('/\\:*?"<>|').intersection(name) or min(name, default="a") < " "
    ends = not name or name[0] in " ." or name[-1] in " ."
    is_missing = label is None or label != label
    if strange or ends or is_missing or name.partition(".")[0].lower() in RESERVED:
        raise ValueError(
            f"The class {name!r} is no name of a folder on all systems. Rename it."
        )
    return name


def _names(n_clips: int, groups: Any) -> list[str]:
    """Numbers of clips, behind those of their sources, or their order if of text."""
    width = len(str(n_clips - 1))
    numbers = [f"{i:0{width}d}" for i in range(n_clips)]
    if groups is None:
        return numbers
    plain = _plain(groups)
    if all(isinstance(group, int) and group >= 0 for group in plain):
        sources = plain
    else:
        known = {group: i for i, group in enumerate(dict.fromkeys(plain))}
        sources = [known[group] for group in plain]
    digits = len(str(max(sources)))
    return [
        f"source{source:0{digits}d}-{number}"
        for source, number in zip(sources, numbers, strict=True)
    ]


def _plain(groups: Any) -> list[Any]:
    plain: list[Any] = np.asarray(groups).tolist()
    return plain


def _write_table(
    file: Path, paths: Sequence[Path], labels: Sequence[str], groups: Any
) -> None:
    import pandas as pd

    names = [path.relative_to(file.parent).as_posix() for path in paths]
    table = pd.DataFrame({"path": names, "label": labels, "source": _plain(groups)})
    with replacing(file) as part:
        table.to_csv(part, index=False)
