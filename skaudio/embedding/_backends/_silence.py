"""Silence of several lengths, which shows how long the embedding of a model is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

SECONDS = 1, 3, 10, 30  # the shortest that a model takes is enough


def size_of(
    embed: Callable[[np.ndarray], np.ndarray], sample_rate: float, what: str
) -> int:
    """Length of the embeddings of a model that does not say it.

    Parameters
    ----------
    embed : callable
        Takes a waveform and returns its embedding, time or clips in any axis but the
        last.
    sample_rate : float
        In Hz.
    what : str
        The model, and what to do if it takes no silence, for the message.
    """
    for seconds in SECONDS:
        try:
            silence = np.zeros(int(seconds * sample_rate), np.float32)
            return int(np.asarray(embed(silence)).shape[-1])
        except Exception as error:  # whatever a foreign model raises
            reason = error
    tried = ", ".join(map(str, SECONDS))
    raise ValueError(
        f"The length of an embedding was looked for with {tried} s of silence at "
        f"{sample_rate:g} Hz, and none worked with {what}. The last one: "
        f"{type(reason).__name__}: {reason}"
    ) from reason
