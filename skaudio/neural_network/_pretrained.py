"""`PretrainedClassifier`: train on from published weights, for classes of your own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from numbers import Real
from typing import Any, ClassVar, NoReturn, Self

from sklearn.utils import Tags
from torch import nn

from skaudio._training._callbacks import Start
from skaudio._training._classifier import SegmentClassifier
from skaudio._training._constraints import SHARED_CONSTRAINTS, shared_constraints
from skaudio._training._fitted_network import FittedNetwork
from skaudio._training._options._augmentation import Augmentation
from skaudio._training._rates import AUTO, known_rates, segment_seconds
from skaudio._utils._constraints import RATE
from skaudio._utils._container import Views
from skaudio._utils._sklearn import Interval
from skaudio._weights._families import networks
from skaudio._weights._published import locate, published_of
from skaudio._weights._read import Pretrained, read_weights
from skaudio.cache._keys import file_of
from skaudio.neural_network._steps import frozen_layers
from skaudio.nn.blocks import OneBranch
from skaudio.nn.samplecnn import SampleCNN
from skaudio.nn.taggers import CRNNTagger, FCNTagger, MusiCNN
from skaudio.views._raw import RawView

SUPPORTED = (FCNTagger, CRNNTagger, MusiCNN, SampleCNN)
NAMES = "FCN", "CRNN", "MusiCNN", "SampleCNN"  # as their authors call them
N_LEAST = 1024  # samples of a segment, of which a spectrogram has a few frames


class PretrainedClassifier(SegmentClassifier):
    """Classify or tag clips by a published network that is trained further.

    The layers of FCN, CRNN, MusiCNN or SampleCNN start from published weights, the
    output layer from random ones; all of them are trained on X, or the upper ones only.
    X is sound: waveforms or paths, without a view before it. With hundreds of clips,
    `PretrainedEmbedder` and a classifier from scikit-learn take seconds and are what to
    try first.

    Parameters
    ----------
    weights : str or path-like
        A name of :func:`~skaudio.embedding.list_weights`, whose file is downloaded by
        `fit` where it is missing; or a file of weights that `PretrainedEmbedder` reads,
        of one of the four networks.
    freeze : float, or sequence of int or str, default=0.0
        What to leave as it is, statistics of normalisation included: a share of the
        network's stages, counted from the bottom (1 freezes all but the output layer),
        or layers by their place among ``hidden_layers`` of the network or by name.
    model_sr : float or None, default=None
        Rate in Hz that the network takes, where that of the published form is wrong
        for weights of your own.
    network_params : dict or None, default=None
        Arguments of SampleCNN's constructor that no tensor shows, as for
        `PretrainedEmbedder`.
    augmentation : Augmentation or None, default=None
        Random changes of training segments; None makes none.
    dropout : float or None, default=None
        Probability of dropping an input of the output layer; None is that of the
        network, a half.
    max_epochs : int, default=20
        Number of passes over the training clips.
    batch_size : int, default=16
        Segments per training step and per forward pass in prediction. Large
        batches make too few steps of a few hundred clips.
    lr : float, default=0.001
        Base learning rate, which ``lr_schedule`` scales over training.
    optimizer : Optimizer, or one of its names, default="adam"
        "adam", "adamw", "sgd" without momentum, or "nesterov", with Nesterov's of 0.9;
        an `Optimizer` also has weight decay and averages weights.
    lr_schedule : schedule or name, default="one-cycle"
        "one-cycle" rises for a quarter of training and then falls to zero, good for
        short budgets; "constant" leaves the rate alone; "reduce-on-plateau" is a
        `PlateauSchedule`, which lowers it whenever the validation loss stops falling;
        "warmup-decay" is a `WarmupDecay`, in the manner of the multi-view paper, for
        hundreds of epochs; `CosineRestarts` go by the number of the epoch as well.
    segment_length : "auto", int, float or None, default="auto"
        Length of a segment: an int is a number of samples, a float is seconds, None is
        the median length of the training clips. "auto" is the median length, but no
        more than the network was trained on: 29.1 s for FCN and CRNN, 3 s for MusiCNN.
        SampleCNN has a length of its own. Shorter clips are repeated to fill it.
    n_segments : int, default=10
        Evenly spaced segments per clip whose probabilities are averaged in prediction.
    validation_fraction : float, int, Validation or None, default=None
        Sources to hold out: a float is their share of every class, at least one where a
        class has two; an int is their number per class; a `Validation` also says how
        the model is chosen that is kept. The model with the best
        validation accuracy (of tags: mean average precision) is kept. None trains on
        all clips to the end.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss, as in scikit-learn. "balanced" weighs
        presence and absence of every tag alike if y is an indicator matrix.
    callbacks : list of skorch callbacks or None, default=None
        Called during training, after the built-in ones. They are used themselves, as in
        skorch; a clone of the estimator has copies.
    device : str, default="auto"
        "cpu", "cuda", "cuda:1" and so on; "auto" takes a GPU if there is one.
    mixed_precision : bool or "auto", default=False
        Whether convolutions and matrix products are computed in bfloat16, on a GPU
        with half the memory and more speed. Weights and losses keep the type of X.
        "auto": if the device has instructions for it, the network gains by them, and X
        is float32. `fit` decides, and predictions are computed alike on any machine.
    compile : bool, default=False
        Whether ``torch.compile`` translates the network for training. Takes a minute
        or so at the start, and a C++ compiler; worth it for long training on a GPU.
    random_state : int, RandomState instance or None, default=None
        Seed of initialisation, order, segments, dropout, validation split. An int gives
        the same model to the bit on one machine with as many threads, in any backend.
    verbose : bool or int, default=0
        Whether to show a progress bar: segments per second, and the time that is left.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; of tags, names of the columns of a data frame, or their numbers.
    net_ : skorch.NeuralNet
        The trained network; ``net_.module_`` is the torch module.
    history_ : list of dict
        Per epoch: ``epoch, step, train_loss, valid_loss, valid_score, test_loss,
        test_score, lr, seconds``; scores are accuracies, or mean average precisions of
        tags. Figures of validation are NaN without ``validation_fraction``, those of
        the test without ``X_test``.
    n_features_in_ : int
        Samples of each clip, if X is rectangular.
    view_names_in_ : ndarray of str
        Name of the view, when fitted on `Views`.

    See Also
    --------
    skaudio.embedding.PretrainedEmbedder : Features by the same networks.
    FineTunedClassifier : Trains this one further, such as after a first fit with
        ``freeze=1.0``.

    Notes
    -----
    Waveforms in arrays are taken to be at the rate of the network, files are resampled
    to it. What was trained is in the estimator: files of weights are needed by `fit`
    alone.

    References
    ----------
    Won et al., "Evaluation of CNN-based automatic music tagging models", SMC 2020. Lee
    et al., "SampleCNN", Applied Sciences 8(1):150, 2018.

    Examples
    --------
    >>> import os, tempfile
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.embedding import save_weights
    >>> from skaudio.neural_network import PretrainedClassifier
    >>> from skaudio.nn import FCNTagger
    >>> X, y = make_sounds(n_clips=20, n_classes=2, sr=16000, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "tiny.safetensors")
    ...     save_weights(FCNTagger(50, width=0.05), path, sr=16000)
    ...     clf = PretrainedClassifier(path, max_epochs=1, random_state=0).fit(X, y)
    >>> clf.predict_proba(X).shape
    (20, 2)
    """

    _standardises = False
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "weights": [str, os.PathLike],
        "freeze": [Interval(Real, 0, 1, closed="both"), "array-like"],
        "model_sr": [RATE, None],
        "network_params": [dict, None],
        **shared_constraints(without=("views", "width", "dropout")),
        "dropout": [*SHARED_CONSTRAINTS["dropout"], None],
    }

    def __init__(
        self,
        weights: str | os.PathLike[str],
        *,
        freeze: float | Sequence[int | str] = 0.0,
        model_sr: float | None = None,
        network_params: Mapping[str, Any] | None = None,
        augmentation: Augmentation | None = None,
        dropout: float | None = None,
        max_epochs: int = 20,
        batch_size: int = 16,
        lr: float = 0.001,
        optimizer: Any = "adam",
        lr_schedule: Any = "one-cycle",
        segment_length: int | float | str | None = AUTO,
        n_segments: int = 10,
        validation_fraction: Any = None,
        class_weight: dict[Any, float] | str | None = None,
        callbacks: list[Any] | None = None,
        device: str = "auto",
        mixed_precision: bool | str = False,
        compile: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.weights = weights
        self.freeze = freeze
        self.model_sr = model_sr
        self.network_params = network_params
        self.augmentation = augmentation
        self.dropout = dropout
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.optimizer = optimizer
        self.lr_schedule = lr_schedule
        self.segment_length = segment_length
        self.n_segments = n_segments
        self.validation_fraction = validation_fraction
        self.class_weight = class_weight
        self.callbacks = callbacks
        self.device = device
        self.mixed_precision = mixed_precision
        self.compile = compile
        self.random_state = random_state
        self.verbose = verbose

    def _snapshot(self) -> Self:
        """What the network is goes by the file, which prediction does without."""
        pretrained = self._pretrained()
        network: Any = pretrained.network
        snapshot = super()._snapshot()
        snapshot._network = {
            "class": type(network).__name__,
            "sr": float(self.model_sr or pretrained.sr),
            "n_samples": network.n_samples,
            "arguments": dict(network.config),
        }
        return snapshot

    def _pretrained(self) -> Pretrained:
        entry = published_of(self.weights)
        if entry is not None and not entry.network.startswith(NAMES):
            self._refuse(entry.network)  # before it is downloaded
        path, _ = locate(self.weights, None)
        params = dict(self.network_params or {})
        pretrained = read_weights(file_of(path)[0], network_params=params)
        if not isinstance(pretrained.network, SUPPORTED):
            self._refuse(type(pretrained.network).__name__)
        return pretrained

    def _refuse(self, network: str) -> NoReturn:
        raise ValueError(
            f"weights={os.fspath(self.weights)!r} holds a {network}; wanted one of "
            f"{', '.join(NAMES)}."
        )

    @property
    def _source(self) -> RawView:
        network = getattr(self, "_network", None)
        return RawView() if network is None else RawView(sr=network["sr"])

    def _segment_length(self, views: Views) -> int | float | None:
        network = self._trained._network
        n_seen: int = network["n_samples"]
        if network["class"] == SampleCNN.__name__:
            if self.segment_length != AUTO:
                raise ValueError(
                    f"A segment of this SampleCNN has {n_seen} samples: leave "
                    f"segment_length='auto'; got {self.segment_length!r}."
                )
            return n_seen
        is_auto = self.segment_length == AUTO
        length = None if is_auto else self.segment_length
        seconds = segment_seconds(length, views, known_rates(views))
        n_samples = round(seconds * network["sr"])
        if length is None:
            return max(N_LEAST, min(n_seen, n_samples) if is_auto else n_samples)
        if n_samples < N_LEAST:
            raise ValueError(
                f"segment_length={self.segment_length!r} are {n_samples} samples at "
                f"{network['sr']:g} Hz; a spectrogram needs {N_LEAST} or more."
            )
        return n_samples

    def _module(self) -> dict[str, Any]:
        network = self._network
        arguments = dict(network["arguments"])
        if self.dropout is not None:
            arguments["dropout"] = self.dropout
        made = partial(_network, name=network["class"], arguments=arguments)
        return {"module": OneBranch, "module__network": made}

    def _start(self, network: FittedNetwork | None) -> Start | None:
        if network is not None:
            return super()._start(network)
        module: Any = self._pretrained().network
        frozen = frozen_layers(module, self.freeze)
        tensors = module.state_dict()
        weights = {
            f"network.{name}": tensor.numpy()
            for name, tensor in tensors.items()
            if not name.startswith("output.")
        }
        return Start(weights, [f"network.{name}" for name in frozen])

    def __sklearn_tags__(self) -> Tags:
        """A table of features is no sound."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags


def _network(
    n_bins: int, n_outputs: int, *, name: str, arguments: dict[str, Any]
) -> nn.Module:
    return networks()[name](**arguments | {"n_outputs": n_outputs})
