"""COALA's networks to files of the authors' form, and from them."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from skaudio._training._alignment import TagAlignment
from skaudio._training._spec import SegmentSpec
from skaudio._utils._files import size_of_file
from skaudio._utils._text import shortened
from skaudio._weights._coala import scaler_pickle
from skaudio._weights._read import read_weights
from skaudio.nn.coala import N_FILTERS
from skaudio.nn.coala_autoencoders import N_HIDDEN, Coala
from skaudio.nn.coala_input import HOP_LENGTH, N_BANDS, N_FRAMES
from skaudio.nn.contrast import AUDIO, TAGS
from skaudio.nn.initialisation import seeded_initialisation
from skaudio.nn.layers import scaled
from skaudio.preprocessing._patch_scaler import PatchScaler
from skaudio.preprocessing._tag_binarizer import TagBinarizer
from skaudio.views._coala import CoalaView

PathLike = str | os.PathLike[str]
AUDIO_ENCODER, TAG_ENCODER = "audio_encoder", "tag_encoder"
DECODERS = {"audio_decoder": AUDIO, "tag_decoder": TAGS}
# in a folder, by what their names begin with
SCALER, VOCABULARY = "scaler", "id2token"
CHANGING = "window", "noise", "min_duration"  # parameters of the view


def networks_to_save(
    embedder: Any,
) -> tuple[dict[str, nn.Module], float, dict[str, bytes]]:
    """Networks of a fitted embedder, its sampling rate, and other files to write."""
    module = embedder.net_.module_
    trained = [
        name for name, term in DECODERS.items() if term in embedder._target.decodes
    ]
    names = (AUDIO_ENCODER, TAG_ENCODER, *trained)
    networks = {name: module.get_submodule(name) for name in names}
    scaler = embedder.scaler_
    vocabulary = {str(i): str(tag) for i, tag in enumerate(embedder.tags_)}
    files = {
        f"{SCALER}.pkl": scaler_pickle(scaler.scale_, scaler.min_),
        f"{VOCABULARY}.json": json.dumps(vocabulary).encode(),
    }
    _warn_of_other_views(embedder)
    (rate,) = embedder._spec.rates.values()
    return networks, rate * HOP_LENGTH, files


def _warn_of_other_views(embedder: Any) -> None:
    view, usual = embedder._trained._source, CoalaView()
    same = isinstance(view, CoalaView) and all(
        getattr(view, name) == getattr(usual, name) for name in CHANGING
    )
    if not same:
        warnings.warn(
            f"This embedder was fitted on {view!r}, but whoever reads the file "
            "computes CoalaView() of sound, so embeddings will differ. Keep the "
            "embedder by skaudio.persistence.save as well.",
            UserWarning,
            stacklevel=4,
        )


def files_in(folder: Path) -> dict[str, Path]:
    """Files of COALA in a folder, by what they are."""
    found = {}
    for name in (AUDIO_ENCODER, TAG_ENCODER, *DECODERS, SCALER, VOCABULARY):
        files = sorted(folder.glob(f"{name}*"))
        if len(files) > 1:
            raise ValueError(
                f"{folder} has several files {name}*: "
                f"{shortened(file.name for file in files)}. Pass their paths one by "
                "one."
            )
        if files:
            found[name] = files[0]
    return found


def fill(
    embedder: Any,
    files: Mapping[str, PathLike],
    tags: PathLike | Sequence[str] | None,
) -> None:
    """Give an embedder the networks of files, as if it were fitted."""
    audio = read_weights(files[AUDIO_ENCODER], scaler=files.get(SCALER))
    networks = {AUDIO_ENCODER: _checked(audio.network, AUDIO_ENCODER, files)}
    for name in (TAG_ENCODER, *DECODERS):
        if name in files:
            network = read_weights(files[name]).network
            networks[name] = _checked(network, name, files)
    encoder, of_tags = networks[AUDIO_ENCODER], networks[TAG_ENCODER]
    width = _width(encoder, of_tags)
    n_tags = of_tags.config["n_tags"]
    names = _vocabulary(files.get(VOCABULARY) if tags is None else tags, n_tags)
    has = tuple(term for name, term in DECODERS.items() if name in networks)
    weights = {AUDIO: 5.0, TAGS: 5.0}
    embedder.set_params(
        width=width,
        reconstruction=bool(has),
        loss_weights=(*(w if k in has else 0.0 for k, w in weights.items()), 10.0),
    )
    embedder.binarizer_ = TagBinarizer(vocabulary=names).fit([names])
    embedder.tags_ = embedder.binarizer_.classes_
    embedder.scaler_ = _scaler(encoder)
    embedder._trained = embedder._snapshot()
    rate = audio.sr / HOP_LENGTH
    embedder._spec = SegmentSpec(
        {"coala": rate}, {"coala": N_BANDS}, N_FRAMES / rate, "float32", 0
    )
    embedder._target = TagAlignment(n_tags, has)
    state = _complete({"coala": (N_BANDS, rate)}, n_tags, width, networks)
    embedder.net_ = embedder._inference_net(state)
    embedder.history_, embedder.loss_history_, embedder.errors_ = [], [], []


def _width(encoder: Any, of_tags: Any) -> float:
    """Width of a network with both encoders, whose sizes are rounded."""
    n_filters, n_hidden = encoder.config["n_filters"], of_tags.config["n_hidden"]
    n_features = of_tags.config["n_features"]
    if n_features != encoder.n_features:
        raise ValueError(
            f"The tag encoder has {n_features} features, the audio encoder has "
            f"{encoder.n_features}. Are both files of the same training?"
        )
    for width in (n_hidden / N_HIDDEN, n_filters / N_FILTERS):
        sizes = scaled(N_FILTERS, width), scaled(N_HIDDEN, width)
        if sizes == (n_filters, n_hidden):
            return float(width)
    raise ValueError(
        f"With an audio encoder of {n_filters} filters goes a tag encoder of about "
        f"{round(n_filters / N_FILTERS * N_HIDDEN)} hidden units; got {n_hidden}. Are "
        "both files of the same training?"
    )


def _checked(network: Any, name: str, files: Mapping[str, PathLike]) -> Any:
    wanted = {
        AUDIO_ENCODER: "CoalaAudioEncoder",
        TAG_ENCODER: "CoalaTagEncoder",
        "audio_decoder": "CoalaAudioDecoder",
        "tag_decoder": "CoalaTagDecoder",
    }[name]
    if type(network).__name__ != wanted:
        raise ValueError(
            f"{os.fspath(files[name])} holds a {type(network).__name__}; wanted a "
            f"{wanted} as {name}."
        )
    return network


def _vocabulary(tags: PathLike | Sequence[str] | None, n_tags: int) -> list[str]:
    """Tags in the order of the network's inputs."""
    if tags is None:
        raise ValueError(
            "The tags that the tag encoder takes are in a file of their own: pass "
            "tags=, the path of id2token_top_1000.json, or a list."
        )
    if isinstance(tags, (str, os.PathLike)):
        size_of_file(Path(tags))
        try:
            found = json.loads(Path(tags).read_text("utf-8"))
            names = [found[str(i)] for i in range(len(found))]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{os.fspath(tags)} is no vocabulary: wanted JSON with the tags by "
                f'their numbers, {{"0": "close", "1": "closing"}} ({error}).'
            ) from error
    else:
        names = list(tags)
    if len(names) != n_tags or not all(isinstance(name, str) for name in names):
        raise ValueError(
            f"The tag encoder takes {n_tags} tags; got {len(names)} names, which must "
            "be strings."
        )
    return names


def _scaler(encoder: Any) -> PatchScaler:
    """A scaler with the numbers that are in the encoder."""
    scale = encoder.scaling.scale.double().numpy()
    minimum = encoder.scaling.minimum.double().numpy()
    import numpy as np

    low = -minimum / scale
    patches = np.repeat(np.stack([low, low + 1 / scale])[:, None], N_BANDS, axis=1)
    scaler = PatchScaler().fit(patches)
    scaler.scale_, scaler.min_ = scale, minimum  # to the last bit
    return scaler


def _complete(
    views: dict[str, Any], n_tags: int, width: float, networks: dict[str, Any]
) -> dict[str, Any]:
    """Weights of the whole network; decoders that are not there are random."""
    with seeded_initialisation(0):
        state = Coala(views, n_tags, width).state_dict()
    for name, network in networks.items():
        state |= {f"{name}.{key}": t for key, t in network.state_dict().items()}
    return state
