"""`CoalaTagClassifier`: COALA's convolutional network, trained on tags alone."""

from __future__ import annotations

from typing import Any, ClassVar

from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skaudio._training._classifier import SegmentClassifier
from skaudio._training._constraints import shared_constraints
from skaudio._training._patches import ENERGY, RANDOM, PatchEstimator
from skaudio._utils._sklearn import StrOptions
from skaudio.nn.coala import CoalaTagger


class CoalaTagClassifier(
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    PatchEstimator,
    SegmentClassifier,
):
    """Tag or classify clips by the convolutional network that COALA is compared with.

    The audio encoder of COALA with two fully connected layers above it, trained to
    predict tags directly (the paper's row CNN). Training sees the patch of most energy
    of a clip; predictions are means over even patches. `transform` gives the embeddings
    below the fully connected layers, as `CoalaEmbedder` does.

    Parameters
    ----------
    views : view or None, default=None
        What computes the spectrogram of 96 bands of sound: None is `CoalaView`, the
        authors' own. A `MelView` with ``n_mels=96`` will do as well.
    patches : {"energy", "random"}, default="energy"
        Which 96 frames of a clip training sees: those of most energy, as in the paper,
        or others in every epoch.
    width : float, default=1.0
        Factor on the number of filters (128) and on features (1152, nine times as
        many). 0.25 trains on a CPU.
    dropout : float, default=0.25
        Probability of dropping an output of a convolution block. 0 switches it off.
    max_epochs : int, default=20
        Number of passes over the training clips.
    batch_size : int, default=128
        Patches per training step and per forward pass in prediction.
    lr : float, default=0.005
        Base learning rate, which ``lr_schedule`` scales over training.
    optimizer : Optimizer, or one of its names, default="sgd"
        "adam", "adamw", "sgd" without momentum, or "nesterov", with Nesterov's of 0.9;
        an `Optimizer` also has weight decay and averages weights.
    lr_schedule : schedule or name, default="constant"
        "one-cycle" rises for a quarter of training and then falls to zero, good for
        short budgets; "constant" leaves the rate alone; "reduce-on-plateau" is a
        `PlateauSchedule`, which lowers it whenever the validation loss stops falling;
        "warmup-decay" is a `WarmupDecay`, in the manner of the multi-view paper, for
        hundreds of epochs; `CosineRestarts` go by the number of the epoch as well.
    n_segments : int, default=10
        Evenly spaced segments per clip whose probabilities are averaged in prediction.
    validation_fraction : float, int, Validation or None, default=None
        Sources to hold out: a float is their share of every class, at least one where a
        class has two; an int is their number per class; a `Validation` also says how
        the model is chosen that is kept. The model with the best
        validation accuracy (of tags: mean average precision) is kept. None trains on
        all clips to the end, as in the paper.
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
    scaler_ : PatchScaler
        What scales patches to [0, 1], by the time within a patch. It is in the network
        as well.
    net_ : skorch.NeuralNet
        The trained network; ``net_.module_.network`` is a `skaudio.nn.CoalaCNN`.
    history_ : list of dict
        Per epoch: ``epoch, step, train_loss, valid_loss, valid_score, test_loss,
        test_score, lr, seconds``; scores are accuracies, or mean average precisions of
        tags. Figures of validation are NaN without ``validation_fraction``, those of
        the test without ``X_test``.
    n_features_in_ : int
        Samples of each clip, if X is rectangular; bands, if X is an array of
        spectrograms.
    view_names_in_ : ndarray of str
        Name of the view, when fitted on `Views`.

    See Also
    --------
    skaudio.embedding.CoalaEmbedder : The same encoder, aligned with tags.
    skaudio.preprocessing.TagBinarizer : Indicator matrix of tags that are texts.

    Notes
    -----
    The defaults are the published recipe for 170,000 patches. The loss of tags is a
    mean over them, so that the rate hardly moves a network that trains on a few
    thousand: in our benchmarks it stayed as good as an untrained one, and came close to
    `CoalaEmbedder` with ``max_epochs=30, optimizer="nesterov", lr=0.2,
    lr_schedule="one-cycle"``.

    References
    ----------
    Favory et al., "COALA: Co-Aligned Autoencoders for Learning Semantically Enriched
    Audio Representations", ICML 2020 workshop on self-supervision in audio and speech,
    Section 3.1.

    Examples
    --------
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.neural_network import CoalaTagClassifier
    >>> from skaudio.views import CoalaView
    >>> X, y = make_sounds(n_clips=20, n_classes=2, sr=22000, random_state=0)
    >>> clf = CoalaTagClassifier(
    ...     views=CoalaView(min_duration=2.3), width=0.05, max_epochs=1, random_state=0
    ... )
    >>> clf.fit(X, y).predict_proba(X).shape
    (20, 2)
    >>> clf.transform(X).shape
    (20, 54)
    """

    _encoder = "network"
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "patches": [StrOptions({ENERGY, RANDOM})],
        **shared_constraints(without=("augmentation", "segment_length")),
    }

    def __init__(
        self,
        *,
        views: Any = None,
        patches: str = "energy",
        width: float = 1.0,
        dropout: float = 0.25,
        max_epochs: int = 20,
        batch_size: int = 128,
        lr: float = 0.005,
        optimizer: Any = "sgd",
        lr_schedule: Any = "constant",
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
        self.views = views
        self.patches = patches
        self.width = width
        self.dropout = dropout
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.optimizer = optimizer
        self.lr_schedule = lr_schedule
        self.n_segments = n_segments
        self.validation_fraction = validation_fraction
        self.class_weight = class_weight
        self.callbacks = callbacks
        self.device = device
        self.mixed_precision = mixed_precision
        self.compile = compile
        self.random_state = random_state
        self.verbose = verbose

    def transform(self, X):
        """Embed every clip: the mean over its patches side by side.

        Parameters
        ----------
        X : array of shape (n_clips, n_samples), or list of waveforms or paths
            Or spectrograms, as in `fit`.

        Returns
        -------
        embeddings : ndarray of shape (n_clips, n_features)
            What the fully connected layers get, not negative. 1152 at the full width.
            What is left at the end of a clip after the last whole patch is not in them.
        """
        check_is_fitted(self)
        return self._embedded(X)

    def _module(self) -> dict[str, Any]:
        return {
            "module": CoalaTagger,
            "module__width": self.width,
            "module__dropout": self.dropout,
        }

    @property
    def _n_features_out(self) -> int:
        return int(self.net_.module_.network.n_features)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
