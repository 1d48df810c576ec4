"""`SoftmaxAutoencoderClassifier`: an autoencoder whose codes are classified as well."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any, ClassVar

from sklearn.utils.validation import check_is_fitted

from skaudio._training._classifier import SegmentClassifier
from skaudio._training._constraints import check_sizes, shared_constraints
from skaudio._training._loss_weights import FixedWeights, LossWeights
from skaudio._training._options._augmentation import Augmentation
from skaudio._training._rates import check_single_view
from skaudio._training._reconstruction import (
    CODING_CONSTRAINTS,
    CodeOutputs,
    WithReconstruction,
    as_it_is,
)
from skaudio._training._targets import Target
from skaudio._utils._container import Views
from skaudio._utils._sklearn import Interval, StrOptions
from skaudio.nn.softmax_autoencoder import (
    CLASSIFICATION,
    RECONSTRUCTION,
    AutoencoderOnView,
)


class SoftmaxAutoencoderClassifier(CodeOutputs, SegmentClassifier):
    """Classify clips by the codes of an autoencoder: the Deep Softmax Autoencoder.

    Fully connected layers encode a segment, of pooled samples or of any view, as 64
    numbers. Others decode these, and a third part tells classes from them; both losses
    are minimised at once. The codes of `transform` hold what reconstructs a clip and
    what tells its class; `inverse_transform` goes back, and `predict_logits` is an
    embedding with as many numbers as there are classes.

    Parameters
    ----------
    views : ViewUnion, view or None, default=None
        What computes the view inside the estimator, on its device: X is then waveforms
        or paths. Values are taken as they are, not standardised: they are what is
        reconstructed. None takes X as a view.
    encoder_sizes : sequence of int, default=(256, 192, 128, 64)
        Outputs of the encoder's layers; the last ones are the code. The decoder has the
        same sizes in reverse.
    head_sizes : sequence of int, default=(32, 16)
        Units of the hidden layers between code and classes.
    gamma : float, default=0.9
        Share of the reconstruction in the loss; the classification has the rest
        (Equation 3). 10/11 are the weights of the authors' code, 1 to 0.1. 0 leaves the
        reconstruction out, 1 the classes.
    reduction : {"mean", "sum"}, default="mean"
        Over the squared errors of a clip's values: their mean, as in the authors' code,
        or their sum, as in Equation 2, which for 500 values weighs the reconstruction
        500 times as much.
    output_activation : {"relu", "linear", "sigmoid", "tanh"}, default="relu"
        Of the reconstruction. ReLU is the authors' own, which cannot make a negative
        sample: half of a waveform. "linear" can make all values.
    augmentation : Augmentation or None, default=None
        Random changes of training segments; None makes none.
    dropout : float, default=0.1
        Probability of dropping an output of the second layers of encoder and decoder;
        the code is never dropped. 0 switches it off.
    max_epochs : int, default=200
        Number of passes over the training clips.
    batch_size : int, default=64
        Segments, or rows of a table, per training step and per forward pass in
        prediction.
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
        Length of a segment: an int is a number of time steps of a single view, a float
        is seconds (of `Views`, or of what a view returns), None is the median length of
        the training clips. "auto" is 1.5 seconds, and the median length where that is
        shorter or rates are unknown (512 frames of arrays with more than 8192).
        Shorter clips are repeated to fill it.
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
        the test without ``X_test``. The loss of the training is the weighted sum of
        reconstruction and classification, the others are of the classification alone.
    loss_history_ : list of dict
        Per epoch and term of the loss: ``step, epoch, term, valid_loss, test_loss,
        weight`` and others; empty without held-out or watched clips.
    n_features_in_ : int
        Number of bins, when fitted on an array; of samples, when ``views`` is set.
    view_names_in_ : ndarray of str
        Name of the view, when fitted on `Views`.

    See Also
    --------
    skaudio.embedding.AutoencoderEmbedder : The same without classes.
    TwoLayerClassifier : The paper's baseline.
    skaudio.views.MeanPoolView : The paper's input, means of 40 samples.

    Notes
    -----
    The authors trained for 200 epochs of 6,000 slices with ``batch_size=512``,
    ``lr=0.0001`` and ``lr_schedule="constant"``, which is too few steps for a few
    hundred clips.

    References
    ----------
    Sawhney, Vasavada and Wang, "Latent Feature Extraction for Musical Genres from Raw
    Audio", 2018, Section 4.3, Figure 2, Equation 3.

    Examples
    --------
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.neural_network import SoftmaxAutoencoderClassifier
    >>> from skaudio.views import RawView
    >>> X, y = make_sounds(n_clips=20, n_classes=2, sr=500, random_state=0)
    >>> model = SoftmaxAutoencoderClassifier(
    ...     views=RawView(sr=500), segment_length=1.0, max_epochs=1, random_state=0
    ... )
    >>> codes = model.fit(X, y).transform(X)
    >>> codes.shape, model.inverse_transform(codes).shape
    ((20, 64), (20, 1, 500))
    >>> model.predict_logits(X).shape
    (20, 2)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **CODING_CONSTRAINTS,
        "head_sizes": ["array-like"],
        "gamma": [Interval(Real, 0, 1, closed="both")],
        "reduction": [StrOptions({"mean", "sum"})],
        **shared_constraints(without=("width", "mixed_precision", "compile")),
    }

    def __init__(
        self,
        *,
        views: Any = None,
        encoder_sizes: Sequence[int] = (256, 192, 128, 64),
        head_sizes: Sequence[int] = (32, 16),
        gamma: float = 0.9,
        reduction: str = "mean",
        output_activation: str = "relu",
        augmentation: Augmentation | None = None,
        dropout: float = 0.1,
        max_epochs: int = 200,
        batch_size: int = 64,
        lr: float = 0.001,
        optimizer: Any = "adam",
        lr_schedule: Any = "one-cycle",
        segment_length: int | float | str | None = "auto",
        n_segments: int = 10,
        validation_fraction: Any = None,
        class_weight: dict[Any, float] | str | None = None,
        callbacks: list[Any] | None = None,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.views = views
        self.encoder_sizes = encoder_sizes
        self.head_sizes = head_sizes
        self.gamma = gamma
        self.reduction = reduction
        self.output_activation = output_activation
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
        self.random_state = random_state
        self.verbose = verbose

    def predict_logits(self, X):
        """Compute the logits, an embedding with a number per class (Figure 6).

        Parameters
        ----------
        X : Views, or array-like of shape (n_clips, n_bins, n_frames)
            Clips, as in `fit`.

        Returns
        -------
        logits : ndarray of shape (n_clips, n_classes)
            In the order of ``classes_``, mean over ``n_segments`` even segments.
        """
        check_is_fitted(self)
        return self._outputs(X, as_it_is, (CLASSIFICATION,))[CLASSIFICATION]

    # -- hooks ----------------------------------------------------------------------
    def _module(self) -> dict[str, Any]:
        return {
            "module": AutoencoderOnView,
            "module__encoder_sizes": tuple(self.encoder_sizes),
            "module__head_sizes": tuple(self.head_sizes),
            "module__output_activation": self.output_activation,
            "module__dropout": self.dropout,
        }

    def _objective(self, target: Target) -> Target:
        return WithReconstruction(target, self.reduction)

    def _loss_weights(self) -> LossWeights:
        gamma = float(self.gamma)
        return FixedWeights({CLASSIFICATION: 1 - gamma, RECONSTRUCTION: gamma})

    def _check_input(self, X: Views) -> None:
        check_single_view(self, X)
        check_sizes("encoder_sizes", self.encoder_sizes, least=1)
        check_sizes("head_sizes", self.head_sizes, least=0)

    def _fit(self, X: Any, encode: Any, **options: Any) -> Any:
        trained = super()._fit(X, encode, **options)
        self.loss_history_ = trained.records
        return trained
