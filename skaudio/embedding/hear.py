"""skaudio for tools of the HEAR benchmark, which import a module by its name.

Save an embedder, or a Pipeline that gives one row per clip, with
`skaudio.persistence.save`; name this module and that file. Files of weights that
`PretrainedEmbedder` reads by themselves do as well::

    python -m heareval.embeddings.runner skaudio.embedding.hear --model FILE

Sound is resampled where an embedder takes none of the benchmark's rates.
"""

from __future__ import annotations

from torch import Tensor

from skaudio._weights._published import published_of
from skaudio.embedding._hear_model import HEARModel, rate_of
from skaudio.embedding._pretrained import PretrainedEmbedder
from skaudio.persistence._safetensors import holds_estimator, load

RATES = (16_000, 22_050, 32_000, 44_100, 48_000)  # that the benchmark's sound has

__all__ = ["get_scene_embeddings", "get_timestamp_embeddings", "load_model"]


def load_model(
    model_file_path: str = "", embedder_sr: float | None = None
) -> HEARModel:
    """Make a model of a file.

    Parameters
    ----------
    model_file_path : str
        File of `skaudio.persistence.save`, or weights for `PretrainedEmbedder`: a file
        or a name of `list_weights`.
    embedder_sr : float or None, default=None
        Rate in Hz of the arrays that the embedder takes, where no part of it has one.

    Returns
    -------
    model : HEARModel
        At the embedder's rate, or the next higher one that the benchmark offers.
    """
    if not model_file_path:
        raise ValueError(
            "skaudio comes without weights: pass the path of a file written by "
            "skaudio.persistence.save, or of weights that PretrainedEmbedder reads, or "
            "a name of skaudio.embedding.list_weights."
        )
    if published_of(model_file_path) is None and holds_estimator(model_file_path):
        embedder = load(model_file_path)
    else:
        embedder = PretrainedEmbedder(model_file_path)
    rate = rate_of(embedder, embedder_sr)
    offered = min((r for r in RATES if r >= rate), default=RATES[-1])
    return HEARModel(embedder, sr=offered, embedder_sr=embedder_sr)


def get_scene_embeddings(audio: Tensor, model: HEARModel) -> Tensor:
    """One embedding per sound, (n_sounds, model.scene_embedding_size)."""
    return model.get_scene_embeddings(audio)


def get_timestamp_embeddings(audio: Tensor, model: HEARModel) -> tuple[Tensor, Tensor]:
    """Embeddings over time and their timestamps in milliseconds."""
    return model.get_timestamp_embeddings(audio)
