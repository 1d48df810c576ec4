"""Run exported models with ONNX Runtime and NumPy."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from skaudio._utils._files import size_of_file
from skaudio._utils._optional import import_optional
from skaudio.export._metadata import EMBEDDING, OUTPUTS, TAGS, Metadata

INPUT = "waveform"


def _is_count(value: Any) -> bool:
    is_whole = isinstance(value, (int, np.integer)) and value is not True
    return is_whole and bool(value > 0)


class OnnxModel:
    """A file of `to_onnx`, checked and ready to run.

    Parameters
    ----------
    path : str or path-like
        File to read.
    n_threads : int or None, default=None
        Threads of ONNX Runtime; None leaves the number to it.
    """

    _gives: tuple[str, ...] = OUTPUTS
    _other = ""

    def __init__(
        self, path: str | os.PathLike[str], *, n_threads: int | None = None
    ) -> None:
        if n_threads is not None and not _is_count(n_threads):
            raise ValueError(
                f"n_threads must be a whole number above 0, or None; got {n_threads!r}."
            )
        ort: Any = import_optional(
            "onnxruntime", extra="onnx", purpose="Running an ONNX file"
        )
        name = os.fspath(path)
        size_of_file(path)
        options = ort.SessionOptions()
        options.log_severity_level = 3  # errors, which are raised as well
        if n_threads is not None:
            options.intra_op_num_threads = options.inter_op_num_threads = n_threads
        try:
            session = ort.InferenceSession(
                name, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # those of ONNX Runtime have no common class
            raise ValueError(
                f"{name} is no ONNX file that can be run: {error}"
            ) from error
        self._session = session
        try:
            self.metadata = Metadata.of(session.get_modelmeta().custom_metadata_map)
            self._check_shapes()
        except ValueError as error:
            raise ValueError(f"{name} cannot be used: {error}") from error

    def _check_shapes(self) -> None:
        if self.metadata.output not in self._gives:
            raise ValueError(f"it gives {self.metadata.output}: use {self._other}.")
        inputs = [(i.name, i.type, len(i.shape)) for i in self._session.get_inputs()]
        (output, *others) = self._session.get_outputs()
        width = output.shape[-1]
        classes = self.metadata.classes
        fits = classes is None or width == len(classes)
        if inputs != [(INPUT, "tensor(float)", 2)] or others or not fits:
            raise ValueError(
                f"its input {inputs} and output {output.name} {output.shape} are not "
                "those of skaudio.export.to_onnx with its metadata."
            )

    @property
    def sr(self) -> float:
        """Rate in Hz of the waveforms."""
        return self.metadata.sr

    def run(self, waveforms: Any, sr: float) -> np.ndarray:
        """Answers (n_clips, n_features) for waveforms (n_clips, n_samples)."""
        waveforms = self._checked(waveforms, sr)
        (output,) = self._session.run(None, {INPUT: waveforms})
        if not np.isfinite(output).all():
            row = int(np.argmin(np.isfinite(output).all(axis=1)))
            raise ValueError(
                f"The answer for clip {row} is not a finite number. Are its samples "
                "between -1 and 1?"
            )
        values: np.ndarray = output
        return values

    def _checked(self, waveforms: Any, sr: float) -> np.ndarray:
        if sr != self.sr:
            raise ValueError(
                f"The model takes sound at sr={self.sr:g} Hz; got sr={sr!r}. Resample "
                "the waveforms before."
            )
        try:
            x = np.asarray(waveforms)
        except ValueError as error:
            raise ValueError(
                "waveforms must be clips of one length. Run those of other lengths by "
                "themselves: waveform[None]."
            ) from error
        if x.dtype.kind != "f":
            raise ValueError(
                "waveforms must be floats, from -1 to 1; got the type "
                f"{x.dtype}. Divide integers by their full scale, such as 32768."
            )
        if x.ndim != 2:
            raise ValueError(
                "waveforms must have the shape (n_clips, n_samples), clips of one "
                f"length; got {x.shape}. A single clip is waveform[None]."
            )
        if not len(x):
            raise ValueError(f"waveforms holds no clip; got the shape {x.shape}.")
        if x.shape[1] < self.metadata.shortest:
            raise ValueError(
                f"Wanted clips of {self.metadata.shortest} samples or more; got "
                f"the shape {x.shape}."
            )
        with np.errstate(over="ignore"):  # to infinity
            x = x.astype(np.float32, copy=False)
        finite = np.isfinite(x).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"Clip {int(np.argmin(finite))} has samples that are NaN or infinite."
            )
        return x


class OnnxClassifier(OnnxModel):
    """A classifier in a file of `to_onnx`, run by ONNX Runtime and NumPy.

    Parameters
    ----------
    path : str or path-like
        File to read.
    n_threads : int or None, default=None
        Threads of ONNX Runtime; None leaves the number to it.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, or names or numbers of tags.
    sr : float
        Rate in Hz of the waveforms.
    metadata : Metadata
        What else the file says, see `to_onnx`.

    Raises
    ------
    ValueError
        If the file is no model of `to_onnx`, or no classifier.
    OSError
        If there is no file.

    See Also
    --------
    to_onnx : Write the file.
    OnnxEmbedder : For a file of an embedder.

    Examples
    --------
    >>> from skaudio.export import OnnxClassifier
    >>> clf = OnnxClassifier("sounds.onnx")  # doctest: +SKIP
    >>> clf.predict_proba(waveforms, sr=22050).shape  # doctest: +SKIP
    (3, 10)
    """

    _gives = ("probabilities", TAGS)
    _other = "OnnxEmbedder"

    @property
    def classes_(self) -> np.ndarray:
        """Class labels, or names or numbers of tags."""
        return np.array(self.metadata.classes)

    def predict_proba(self, waveforms: Any, *, sr: float) -> np.ndarray:
        """Predict class probabilities.

        Parameters
        ----------
        waveforms : array of shape (n_clips, n_samples)
            Floats from -1 to 1, mono.
        sr : float
            Their rate in Hz, which must be that of the model.

        Returns
        -------
        proba : ndarray of shape (n_clips, n_classes)
            Probabilities in the order of ``classes_``, float32. They sum to one, but
            for tags each is a probability of its own.
        """
        return self.run(waveforms, sr)

    def predict(self, waveforms: Any, *, sr: float) -> np.ndarray:
        """Predict the most probable class of every clip, or its tags.

        Parameters
        ----------
        waveforms : array of shape (n_clips, n_samples)
            Floats from -1 to 1, mono.
        sr : float
            Their rate in Hz, which must be that of the model.

        Returns
        -------
        y : ndarray of shape (n_clips,) or (n_clips, n_tags)
            Labels; of tags, a one where the probability exceeds 0.5.
        """
        proba = self.run(waveforms, sr)
        if self.metadata.output == TAGS:
            return (proba > 0.5).astype(np.int64)
        labels: np.ndarray = self.classes_[proba.argmax(axis=1)]
        return labels


class OnnxEmbedder(OnnxModel):
    """An embedder in a file of `to_onnx`, run by ONNX Runtime and NumPy.

    Parameters
    ----------
    path : str or path-like
        File to read.
    n_threads : int or None, default=None
        Threads of ONNX Runtime; None leaves the number to it.

    Attributes
    ----------
    sr : float
        Rate in Hz of the waveforms.
    metadata : Metadata
        What else the file says, see `to_onnx`.

    Raises
    ------
    ValueError
        If the file is no model of `to_onnx`, or no embedder.
    OSError
        If there is no file.

    See Also
    --------
    to_onnx : Write the file.
    OnnxClassifier : For a file of a classifier.

    Examples
    --------
    >>> from skaudio.export import OnnxEmbedder
    >>> embedder = OnnxEmbedder("embedder.onnx")  # doctest: +SKIP
    >>> embedder.transform(waveforms, sr=22050).shape  # doctest: +SKIP
    (3, 512)
    """

    _gives = (EMBEDDING,)
    _other = "OnnxClassifier"

    def transform(self, waveforms: Any, *, sr: float) -> np.ndarray:
        """Embed every clip.

        Parameters
        ----------
        waveforms : array of shape (n_clips, n_samples)
            Floats from -1 to 1, mono.
        sr : float
            Their rate in Hz, which must be that of the model.

        Returns
        -------
        embeddings : ndarray of shape (n_clips, n_features)
            A row per clip, float32.
        """
        return self.run(waveforms, sr)
