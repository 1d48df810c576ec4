"""`PretrainedEmbedder`: clips in, embeddings of a pretrained network out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Self

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    clone,
)
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skaudio._audio._report import Report
from skaudio._utils._constraints import (
    CACHE_CONSTRAINTS,
    CHANGING,
    COMPUTING_CONSTRAINTS,
    COUNT,
    LOADER_CONSTRAINTS,
    RATE,
)
from skaudio._utils._container import stack_or_object
from skaudio._utils._failed import FailedClips
from skaudio._utils._forks import Lock
from skaudio._utils._sklearn import HasMethods, StrOptions, _fit_context
from skaudio._utils._types import is_path
from skaudio._utils._validation import check_clips, check_tags
from skaudio._weights._onnx import UnfitGraph
from skaudio._weights._published import locate, published_of, tags_of
from skaudio._weights._read import Pretrained, read_weights
from skaudio.cache._clips import MEMORY, keys_of, store_of
from skaudio.cache._elsewhere import fill_by
from skaudio.cache._folder import folder_of, is_cache
from skaudio.cache._keys import digest_of, watched
from skaudio.cache._pack import Held
from skaudio.embedding._backends._coala import CoalaNetwork
from skaudio.embedding._backends._coala_tags import CoalaTagNetwork
from skaudio.embedding._backends._hear import HEARNetwork
from skaudio.embedding._backends._onnx import OnnxGraph, OnnxNetwork
from skaudio.embedding._backends._samplecnn import SampleCNNNetwork
from skaudio.embedding._backends._tagger import TaggerNetwork
from skaudio.embedding._base import Network
from skaudio.embedding._by_name import by_name
from skaudio.embedding._published import html_card
from skaudio.embedding._rows import embed_rows
from skaudio.embedding._source import Source, source_of
from skaudio.metrics._tags import top_tags
from skaudio.nn.devices import available_device
from skaudio.nn.folding import folded

OWN = {"layers": None, "n_segments": None, "output": "embedding"}  # of networks
# by the family of the weights; models of the HEAR protocol come without a file
BACKENDS: dict[str, Any] = {
    backend.kind: backend
    for backend in (
        TaggerNetwork,
        SampleCNNNetwork,
        CoalaNetwork,
        CoalaTagNetwork,
        OnnxNetwork,
    )
}


class PretrainedEmbedder(
    FailedClips, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Embeddings of clips by a pretrained network.

    Reads published weights of FCN, CRNN and MusiCNN, of SampleCNN (and of networks with
    the same layers, such as CLMR's) and of COALA, files of `save_weights`, any ONNX
    graph of a waveform, and takes any model that follows the protocol of the HEAR
    benchmark. Nothing is learned: the embedder needs no `fit`, and an embedding depends
    on its clip alone.

    Every clip is embedded once per process, however many folds, candidates and clones
    of a search need it.

    Parameters
    ----------
    weights : str, path-like, object, module or tuple
        A name of :func:`list_weights`, whose file is downloaded by `fit` or
        `transform` where it is missing; a file of weights; an object with
        ``sample_rate``, ``get_scene_embeddings`` and ``get_timestamp_embeddings``; a
        module of a HEAR package, with
        ``load_model`` and these functions; or ``(module, path)`` for the file that its
        ``load_model`` takes. Clones share an object instead of copying it. A string
        that is a name is never a file: write ``./`` before that, or pass a path object.
    scaler : str, path-like or None, default=None
        File of the scaling that COALA was trained with; None suffices for a name.
    layers : tuple of int or str, or None, default=None
        Hidden layers whose activations are concatenated in this order: -1 is the
        highest, -2 the one below, 0 the lowest; or names, such as "blocks.3". None is
        the last convolution of SampleCNN, the upper three blocks of FCN and CRNN, and
        all of MusiCNN below its dense layer, see Notes. Of an ONNX graph its outputs,
        by number or name; None if there is one. COALA and models of the HEAR protocol
        have one embedding.
    output : {"embedding", "tags"}, default="embedding"
        "tags" gives probabilities of the tags that SampleCNN, FCN, CRNN or MusiCNN was
        trained for. They are the names of the features: with
        ``set_output(transform="pandas")``, columns.
    n_segments : int or None, default=None
        Evenly spaced segments per clip that are averaged, each a whole number of steps
        after the one before, rounded down. None takes as many as cover the clip, and
        one more, as the authors did; of COALA's patches those that fit side by side.
    sr : float or None, default=None
        Sampling rate in Hz of the arrays in X, which are resampled to that of the
        network; None means that they are at that rate. Files state their rate.
    model_sr : float or None, default=None
        Rate in Hz that the network takes, where that of the published form is wrong
        for weights of your own. An ONNX graph does not state its rate.
    network_params : dict or None, default=None
        Arguments of the network's constructor that no tensor shows, where the code
        that trained it differs from the one its layout is from: of
        :class:`~skaudio.nn.SampleCNN`, "even_padding", "first_padding",
        "negative_slope" and "norm_eps".
    sha256 : str or None, default=None
        Checksum that the file of weights must have.
    cache : bool, str or path-like, default=True
        Whether to keep what is computed of a clip in memory, up to 512 MiB in all of a
        process (see :mod:`skaudio.cache`). A folder keeps it on disk instead, for other
        processes and days.
    cache_by : {"stat", "content"}, default="stat"
        How files are known again: by path, size and times of change, or by being read.
    batch_size : int, default=32
        Segments or clips computed together on a GPU. A CPU computes one segment at a
        time, which makes every row independent of the others to the last bit, and
        ONNX graphs always; a model of the HEAR protocol gets clips of one length
        together.
    device : str, default="auto"
        "cpu", "cuda", "cuda:1" and so on; "auto" takes a GPU if there is one. An
        object that follows the HEAR protocol stays where it is.
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
    sample_rate_ : float
        Rate in Hz that the network takes.
    layout_ : str
        Form of the weights that was recognised; "hear" for a model of the protocol,
        "ONNX graph" for one that is run as it is.
    n_features_out_ : int
        Length of an embedding, or number of tags.
    tags_ : ndarray of str
        Names of the tags, with ``output="tags"``: those of published weights, whatever
        the file is called; otherwise "tag0" and so on.
    fingerprint_ : str or None
        SHA-256 of the file of weights, with "+" and that of a scaler's; `transform`
        refuses another. None for a model of the HEAR protocol.
    errors_ : list of dict
        ``{"row", "path", "error"}`` of each clip that failed in the last `transform`.
    n_features_in_ : int
        Samples of each clip, if X is rectangular.

    See Also
    --------
    LayerEmbedder : Hidden layers of classifiers that were fitted with skaudio.
    save_weights : Write a network of your own to a file that this class reads.
    list_weights : Published weights that can be had by name.
    HEARModel : The other way: an embedder for code that expects the HEAR protocol.

    Notes
    -----
    SampleCNN: maxima over time of each layer inside a segment, means over segments, of
    which 30 s have 12. A clip shorter than a segment is repeated until it fills one;
    the authors' script repeats each sample ten times instead, which lowers the pitch by
    more than three octaves.

    What no tensor of a SampleCNN shows is assumed by its layout, unless the file or
    `network_params` states it: ReLU; an epsilon of 1e-5, of Keras 2 1e-3; the
    additional zero of even filters at the start, of TensorFlow and
    sampleCNN-configurable at the end; no zero before the first sample, of
    sota-music-tagging-models one.

    FCN, CRNN and MusiCNN: means and maxima of every map of each layer inside a segment,
    means over segments. FCN and CRNN see 29.1 s, MusiCNN 3 s. A clip shorter than that
    is repeated until it fills a segment; for FCN and CRNN, every time from a whole
    number of their steps of 1.024 or 1.536 s on, filled with its own beginning until
    then. So every map repeats itself as well, and of a short clip only one period is
    computed, with the result of the whole.

    COALA: a clip of at most 10 s is put in 10 s of faint noise, drawn once for all
    clips, as in the authors' code; the embeddings of patches side by side are averaged
    and what is left at the end is dropped. With the file of a tag encoder, X is an
    indicator matrix (n, n_tags); `CoalaEmbedder.from_weights` takes words.

    ONNX: a graph that is no SampleCNN runs as it is, by ONNX Runtime on the CPU, which
    is in the extra ``onnx``. It takes one waveform of floats, of shape (n,),
    (batch, n), (batch, 1, n) or (batch, n, 1), in one file; `model_sr` is required. If
    n is a number, segments are cut as for SampleCNN; if not, whole clips are taken, and
    a frame is one second. Outputs are averaged over all axes but the last.

    Embeddings are float32, and numbers whose squares are zero in it are zero. Clips
    that could not be loaded are not cached. A model of the HEAR protocol is identified
    by its pickle: one that cannot be pickled is not cached, and a warning says what to
    do; empty the folder of `cache` when the code of its package changes, or a file that
    it reads by itself. One without ``scene_embedding_size`` is tried with 1, 3, 10 and
    30 s of silence, until it takes one.

    References
    ----------
    .. [1] Lee et al., "SampleCNN: End-to-End Deep Convolutional Neural Networks Using
       Very Small Filters for Music Classification", Applied Sciences 8(1):150, 2018,
       Sections 4.2 and 5.6.
    .. [2] Favory et al., "COALA: Co-Aligned Autoencoders for Learning Semantically
       Enriched Audio Representations", ICML workshop SAS, 2020.
    .. [3] Turian et al., "HEAR: Holistic Evaluation of Audio Representations",
       NeurIPS 2021 competition track.
    .. [4] Won et al., "Evaluation of CNN-based automatic music tagging models", SMC
       2020.

    Examples
    --------
    >>> import os, tempfile
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.embedding import PretrainedEmbedder, save_weights
    >>> from skaudio.nn import SampleCNN
    >>> X, y = make_sounds(n_clips=8, sr=8000, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "tiny.safetensors")
    ...     save_weights(SampleCNN(4, sizes=(3,) * 6, width=0.1), path, sr=8000)
    ...     PretrainedEmbedder(path, layers=(-2, -1)).fit_transform(X).shape
    (8, 102)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **LOADER_CONSTRAINTS,
        "weights": [str, os.PathLike, HasMethods("get_scene_embeddings"), tuple],
        "scaler": [str, os.PathLike, None],
        "layers": [tuple, list, None],
        "output": [StrOptions({"embedding", "tags"})],
        "n_segments": [COUNT, None],
        "sr": [RATE, None],
        "model_sr": [RATE, None],
        "network_params": [dict, None],
        "sha256": [str, None],
        **CACHE_CONSTRAINTS,
        **COMPUTING_CONSTRAINTS,
    }

    def __init__(
        self,
        weights: Any,
        *,
        scaler: str | os.PathLike[str] | None = None,
        layers: Sequence[int | str] | None = None,
        output: str = "embedding",
        n_segments: int | None = None,
        sr: float | None = None,
        model_sr: float | None = None,
        network_params: Mapping[str, Any] | None = None,
        sha256: str | None = None,
        cache: bool | str | os.PathLike[str] = True,
        cache_by: str = "stat",
        batch_size: int = 32,
        device: str = "auto",
        mono: str = "average",
        trim_silence: bool = False,
        duration: float | None = None,
        on_error: str = "raise",
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.weights = weights
        self.scaler = scaler
        self.layers = layers
        self.output = output
        self.n_segments = n_segments
        self.sr = sr
        self.model_sr = model_sr
        self.network_params = network_params
        self.sha256 = sha256
        self.cache = cache
        self.cache_by = cache_by
        self.batch_size = batch_size
        self.device = device
        self.mono = mono
        self.trim_silence = trim_silence
        self.duration = duration
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Check parameters and clips and read the weights; nothing is learned.

        Parameters
        ----------
        X : array of shape (n_clips, n_samples), or list of waveforms or paths
            A rectangular array fixes `n_samples`; lists may have any lengths.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The embedder itself.
        """
        network = self._network()
        self._check(X, network, reset=True)
        self.sample_rate_ = network.sample_rate
        self.layout_ = network.layout
        self.n_features_out_ = network.n_features
        self.fingerprint_ = self._fingerprint()
        if self.output == "tags":
            self.tags_ = self._tag_names(network)
        self.errors_ = []
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Embed every clip.

        Parameters
        ----------
        X : array of shape (n_clips, n_samples), or list of waveforms or paths
            Arrays are taken to be at `sr`; files are resampled as well.

        Returns
        -------
        embeddings : ndarray of shape (n_clips, n_features)
            One row per clip, float32; NaN where a clip could not be loaded.
        """
        X, network = self._checked(X)
        report, is_as_before = Report(), watched(X)

        def compute(rows: Sequence[int]) -> Iterator[tuple[int, Held | None]]:
            embedded = self._embed(network.embed, X, rows, network, report)
            for row, array in zip(rows, embedded, strict=True):
                kept = row not in report.short and is_as_before(row)
                yield row, None if array is None else Held(array, kept=kept)

        keys, folder = self._keys(X, network), folder_of(self.cache)
        if folder is not None and any(keys):
            fill_by(self, X, MEMORY.peek(keys, folder))
        found = MEMORY.entries(keys, compute, folder)
        known = {keys[error["row"]]: error for error in report.errors}
        failed_rows = {error["row"] for error in report.errors}
        for row, entry in enumerate(found):  # one of equal clips was embedded
            if entry is None and row not in failed_rows:
                report.add(row, X[row], known[keys[row]]["error"])
        report.close(self, len(X), self.on_error)
        failed = np.full(network.n_features, np.nan, np.float32)
        return np.stack([failed if row is None else row.read() for row in found])

    def top_tags(self, X: Any, *, k: int = 5) -> list[list[tuple[str, float]]]:
        """Tags that fit each clip best, by a network that was trained for tags.

        Parameters
        ----------
        X : array of shape (n_clips, n_samples), or list of waveforms or paths
            As for `transform`.
        k : int, default=5
            Number of tags per clip.

        Returns
        -------
        tags : list of n_clips lists of k pairs (tag, probability)
            The best first; no pairs for a clip that could not be loaded.

        See Also
        --------
        skaudio.metrics.top_tags : The same for probabilities that are there already.
        """
        tagger = clone(self).set_params(output="tags", layers=None)
        tagger.set_output(transform="default")
        scores = tagger.transform(X)
        self.errors_ = tagger.errors_
        names = tagger._tag_names(tagger._network())
        failed = {error["row"] for error in self.errors_}
        good = [row for row in range(len(scores)) if row not in failed]
        best = dict(zip(good, top_tags(scores[good], names, k=k), strict=True))
        return [best.get(row, []) for row in range(len(scores))]

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the features.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Ignored: samples are no features.

        Returns
        -------
        names : ndarray of str
            The tags, with ``output="tags"``; otherwise the name of the class and a
            number, such as ``pretrainedembedder0``.
        """
        if self.output == "tags":
            check_is_fitted(self, "tags_")
            return self.tags_.astype(object)
        names: np.ndarray = super().get_feature_names_out(input_features)
        return names

    def transform_frames(
        self, X: Any, hop: float | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Embed every clip over time.

        A frame is what the network sees at once, of FCN and CRNN 3.072 s that are
        repeated as a clip of that length is. It is centred at its time. Times lie `hop`
        apart from half of it on, as many as end within the clip; a clip shorter than
        that has one frame, at its middle. What a frame covers outside of its clip is
        silent. Frames are not cached.

        Parameters
        ----------
        X : array of shape (n_clips, n_samples), or list of waveforms or paths
            Arrays are taken to be at `sr`; files are resampled as well.
        hop : float or None, default=None
            Seconds from one frame to the next; None sets them side by side. A model
            that follows the HEAR protocol decides by itself.

        Returns
        -------
        embeddings : ndarray of shape (n_clips, n_features, n_frames)
            Or, if clips differ in length, a 1-D object array of `n_clips` arrays
            (n_features, n_frames_i). A clip that failed has one frame of NaN.
        timestamps : ndarray of shape (n_clips, n_frames)
            Seconds from the start of a clip to the centres of its frames; a 1-D
            object array if clips differ in length.
        """
        if hop is not None and not hop > 0:
            raise ValueError(f"hop must be a number of seconds above 0; got {hop!r}.")
        X, network = self._checked(X)
        report = Report()
        embed = partial(network.embed_frames, hop=hop)
        frames = list(self._embed(embed, X, range(len(X)), network, report))
        report.close(self, len(X), self.on_error)
        sizes = [len(embedding) for embedding, _ in filter(None, frames)]
        n_features = sizes[0] if sizes else network.n_features
        failed = np.full((n_features, 1), np.nan, np.float32), np.zeros(1)
        embeddings, times = zip(*(frame or failed for frame in frames), strict=True)
        return stack_or_object(list(embeddings)), stack_or_object(list(times))

    def _network(self) -> Network:
        """What the parameters describe; a file is read once per process."""
        if not is_path(self.weights):
            self._refuse(*OWN, "network_params", which="that follows the HEAR protocol")
            return HEARNetwork(
                self.weights,
                sample_rate=self.model_sr,
                device=self.device,
                batch_size=self.batch_size,
            )
        device = available_device(self.device)
        source = self._source()
        with _READING:
            pretrained, network = _read(source), _ready(source, device)
        rate = self.model_sr or pretrained.sr
        if np.isnan(rate):
            raise ValueError(
                f"{os.fspath(self.weights)} is an {pretrained.layout}, which does not "
                "state its rate. Set model_sr=... to the rate in Hz that it takes."
            )
        options: dict[str, Any] = {
            "sample_rate": float(rate),
            "layout": pretrained.layout,
            "fingerprint": digest_of(pretrained.fingerprint, source.params),
            "device": device,
            "batch_size": self.batch_size,
        }
        backend = BACKENDS.get(pretrained.kind)
        if backend is None:
            raise ValueError(
                f"{os.fspath(self.weights)} holds a network of the form "
                f"{pretrained.layout}, which cannot embed clips. Expected one of the "
                f"kinds {sorted(BACKENDS)}."
            )
        if backend.has_layers:
            options |= {"layers": self.layers, "n_segments": self.n_segments}
            options |= {"output": self.output}
        else:
            self._refuse(*OWN, which=f"of the form {pretrained.layout}")
        made: Network = backend(network, **options)
        return made

    def _source(self) -> Source:
        """What is to be read; files with a name are downloaded where missing."""
        files = locate(self.weights, self.scaler)
        return source_of(*files, self.sha256, self.network_params or {})

    def _fingerprint(self) -> str | None:
        """SHA-256 of the files; None for a model of the HEAR protocol."""
        if not is_path(self.weights):
            return None
        source = self._source()
        with _READING:
            return _read(source).fingerprint

    def _refuse(self, *names: str, which: str) -> None:
        for name in names:
            default = OWN.get(name)
            if getattr(self, name) != default:
                others = "" if name == "network_params" else ", FCN, CRNN and MusiCNN"
                raise ValueError(
                    f"{name}={getattr(self, name)!r} is for SampleCNN{others}. A "
                    f"network {which} has one embedding: leave "
                    f"{name}={default!r}."
                )

    def _rate_of_arrays(self) -> float:
        return self.sr or self._network().sample_rate

    def _checked(self, X: Any) -> tuple[np.ndarray | list[Any], Network]:
        self._validate_params()
        network = self._network()
        self._refuse_others()
        return self._check(X, network, reset=False), network

    def _tag_names(self, network: Network) -> np.ndarray:
        names, n_tags = tags_of(self.weights, self._fingerprint()), network.n_features
        if names is None or len(names) != n_tags:
            names = tuple(f"tag{i}" for i in range(n_tags))
        return np.array(names)

    def _refuse_others(self) -> None:
        fitted, found = getattr(self, "fingerprint_", None), self._fingerprint()
        if found is not None and fitted not in (None, found):
            raise ValueError(
                f"weights={os.fspath(self.weights)!r} has SHA-256 {found}, but this "
                f"embedder was fitted with {fitted}. Get that file, or fit again, and "
                "all that was trained on its embeddings."
            )

    def _check(
        self, X: Any, network: Network, *, reset: bool
    ) -> np.ndarray | list[Any]:
        allow_nan = self.on_error != "raise"
        if network.takes_tags:  # integers are no samples of sound
            X = check_tags(self, X, X).astype(np.float32)
        return check_clips(self, X, reset=reset, allow_nan=allow_nan)

    def _keys(self, X: Any, network: Network) -> Sequence[str | None]:
        if is_cache(self.cache) and network.fingerprint is None:
            network.warn_of_no_cache()
        if not is_cache(self.cache) or network.fingerprint is None:
            return [None] * len(X)
        loading = [getattr(self, name) for name in CHANGING]
        rates = network.sample_rate, self.sr or network.sample_rate
        store = store_of(network.kind, network.fingerprint, rates, loading)
        return keys_of(X, store, by=self.cache_by, folder=folder_of(self.cache))

    def _embed(
        self,
        embed: Callable[[list[np.ndarray]], list[Any]],
        X: np.ndarray | list[Any],
        rows: Sequence[int],
        network: Network,
        report: Report,
    ) -> Iterator[Any]:
        """What `embed` makes of some rows of X; None for those that failed."""
        return embed_rows(
            *(embed, X, rows, report),
            sr=network.sample_rate,
            array_sr=self.sr,
            on_error=self.on_error,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
            **{name: getattr(self, name) for name in CHANGING},
        )

    @property
    def _n_features_out(self) -> int:
        return self.n_features_out_

    def __sklearn_clone__(self) -> Self:
        # an object that embeds is shared: copies of it would fill the memory
        parameters = {
            name: value if name == "weights" else clone(value, safe=False)
            for name, value in self.get_params(deep=False).items()
        }
        copy = type(self)(**parameters)
        for name in ("_sklearn_output_config", "_metadata_request"):
            if hasattr(self, name):
                setattr(copy, name, dict(getattr(self, name)))
        return copy

    def __reduce_ex__(self, protocol: Any) -> Any:
        make, arguments, state, *others = super().__reduce_ex__(protocol)
        if isinstance(state, dict):
            state = {**state, "weights": by_name(state["weights"])}
        return (make, arguments, state, *others)

    def _html_repr(self) -> str:
        html: str = super()._html_repr()
        entry = published_of(self.weights)
        return html if entry is None else html + html_card(entry)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


_READING = Lock()


@lru_cache(maxsize=4)
def _read(source: Source) -> Pretrained:
    path = source.weights[0]
    try:
        return read_weights(
            path,
            scaler=None if source.scaler is None else source.scaler[0],
            sha256=source.sha256,
            network_params=dict(source.params),
        )
    except UnfitGraph as unfit:
        if source.scaler is not None or source.params:
            raise ValueError(
                f"{unfit} To run it as it is, leave scaler=None and "
                "network_params=None."
            ) from unfit
        graph: Any = OnnxGraph(unfit.content, os.path.basename(path), str(unfit))
        layout = OnnxNetwork.layout
        return Pretrained(graph, OnnxNetwork.kind, layout, np.nan, unfit.fingerprint)


@lru_cache(maxsize=4)
def _ready(source: Source, device: str) -> Any:
    network = _read(source).network
    return folded(network).to(device) if isinstance(network, nn.Module) else network
