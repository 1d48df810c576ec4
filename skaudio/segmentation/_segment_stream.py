"""`SegmentStream`: segments of sound while it comes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from skaudio._audio._arrays import as_samples
from skaudio._audio._checks import check_rate
from skaudio._audio._intake import Intake
from skaudio._utils._segment_table import Segment, table_of
from skaudio.segmentation._builder import SegmentBuilder
from skaudio.segmentation._stream import FrameStream, SoundError


class SegmentStream:
    """Segments of a recording that comes in blocks: from a microphone, say.

    Made by :meth:`FrameSegmenter.stream`. Blocks may have any sizes; what comes out is,
    put together, the table that `FrameSegmenter.predict` gives for the whole recording,
    to the bit.

    Parameters
    ----------
    frames : FrameStream
        What computes probabilities.
    builder : SegmentBuilder
        What makes segments of them.
    sr : float
        Sampling rate of the blocks in Hz.
    mono : {"average", "raise"}
        What to do with more than one channel.
    latency : float
        See `latency_`.

    Attributes
    ----------
    sr : float
        Sampling rate of the blocks in Hz.
    latency_ : float
        Most seconds of sound from the end of a segment until it is given out: see
        `FrameSegmenter`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.pipeline import make_pipeline
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.ensemble import FrameClassifier
    >>> from skaudio.segmentation import FrameSegmenter
    >>> from skaudio.views import MFCCView
    >>> X, y = make_sounds(n_clips=20, n_classes=2, sr=8000, random_state=0)
    >>> view = MFCCView(sr=8000, hop_length=80, top_db=None)
    >>> model = make_pipeline(view, FrameClassifier(GaussianNB())).fit(X, y)
    >>> stream = FrameSegmenter(FrozenEstimator(model), block=0.5).fit().stream()
    >>> for block in np.split(X[:4].ravel(), 100):
    ...     segments = stream.push(block)  # those that are finished, if any
    >>> last = stream.flush()
    >>> float(last["end"].iloc[-1])
    4.0
    """

    def __init__(
        self,
        frames: FrameStream,
        builder: SegmentBuilder,
        *,
        sr: float,
        mono: str,
        latency: float,
    ) -> None:
        check_rate(sr, "The stream")
        self.sr = sr
        self.latency_ = latency
        self._frames = frames
        self._builder = builder
        self._mono = mono
        to_rate = frames.sr if sr != frames.sr else None
        self._intake = Intake("The stream", mono, to_rate, frames.push)
        self._nothing = table_of([])
        self._dtype: np.dtype | None = None
        self._is_flushed = False

    def push(self, block: np.ndarray) -> Any:
        """Take the next samples.

        Parameters
        ----------
        block : ndarray of shape (n_samples,) or (n_channels, n_samples)
            Samples at `sr`: floats, or PCM of type int8, uint8, int16 or int32. All
            blocks have one dtype. There may be none in a block.

        Returns
        -------
        segments : DataFrame
            Segments that are finished, often none: see `FrameSegmenter.predict`.

        Raises
        ------
        TypeError
            If the block is no array of numbers, or its dtype differs from the last.
        ValueError
            If it has another shape, NaN or infinity; or after `flush`.
        """
        if self._is_flushed:
            raise ValueError("The stream was flushed. Make a new one: stream().")
        samples = self._checked(block)
        if len(samples):
            rows = samples.reshape(len(samples), -1)
            self._intake.expect(len(rows), self.sr)
            try:
                self._intake.add(rows)
            except SoundError as error:
                raise error.about("The stream") from error
        return self._taken()

    def flush(self) -> Any:
        """End the recording.

        Returns
        -------
        segments : DataFrame
            The rest of the segments: one at least.

        Raises
        ------
        ValueError
            If there were no samples, or it was flushed before.
        """
        if self._is_flushed:
            raise ValueError("The stream was flushed. Make a new one: stream().")
        if not self._intake.n_samples:
            raise ValueError("The stream has 0 samples. Push some before flush().")
        self._is_flushed = True
        try:
            self._intake.result()
            self._frames.finish()
        except SoundError as error:
            raise error.about("The stream") from error
        return self._taken()

    def segments(self, blocks: Iterable[np.ndarray]) -> Iterator[Segment]:
        """Take all blocks of an iterable and flush, segment by segment.

        Parameters
        ----------
        blocks : iterable of ndarray
            See `push`.

        Yields
        ------
        segment : tuple
            Named ``recording, start, end, label, probability``, as soon as it is known.
        """
        for block in blocks:
            yield from map(Segment._make, self.push(block).itertuples(index=False))
        yield from map(Segment._make, self.flush().itertuples(index=False))

    def _checked(self, block: Any) -> np.ndarray:
        """Samples, time first, as floats."""
        if not isinstance(block, np.ndarray):
            raise TypeError(
                f"A block is an array of samples; got {type(block).__name__}. Make it "
                "one: numpy.frombuffer(block, 'int16') of bytes, for example, or "
                "numpy.asarray(block)."
            )
        name = "A block of the stream"
        if block.shape == (0,):
            return block
        samples = as_samples(block, name)
        dtype = self._dtype or block.dtype
        if block.dtype != dtype:
            raise TypeError(
                f"{name} has dtype {block.dtype}, those before had {dtype}. Cast them "
                "to one; integers are PCM, and divided by their full scale."
            )
        self._dtype = dtype
        if self._mono == "raise" and samples.ndim == 2 and samples.shape[1] > 1:
            raise ValueError(
                f"{name} has {samples.shape[1]} channels and mono='raise' requires one."
            )
        return samples

    def _taken(self) -> Any:
        found, self._builder.segments = self._builder.segments, []
        return table_of(found) if found else self._nothing.copy()
