"""`SwishNetClassifier`: a small causal network on cepstral coefficients."""

from __future__ import annotations

from functools import partial
from numbers import Integral
from typing import Any, ClassVar

from skaudio._training._classifier import SegmentClassifier
from skaudio._training._constraints import shared_constraints
from skaudio._training._frame_outputs import FrameOutputs
from skaudio._training._options._augmentation import Augmentation
from skaudio._training._rates import check_single_view
from skaudio._utils._constraints import POSITIVE
from skaudio._utils._container import Views
from skaudio._utils._sklearn import Interval, StrOptions
from skaudio.nn.blocks import OneBranch
from skaudio.nn.swishnet import SwishNet

WIDTHS = {"slim": 1.0, "wide": 2.0}


class SwishNetClassifier(FrameOutputs, SegmentClassifier):
    """Classify or tag clips by SwishNet, a network for small machines.

    Eight blocks of short convolutions over time with gated activations, on 20 cepstral
    coefficients: about five thousand parameters. It decides on clips of any length, and
    on every frame of long recordings in one pass (`predict_frames_proba`).

    Parameters
    ----------
    views : ViewUnion, view or None, default=None
        What computes views inside the classifier, on its device: X is then waveforms
        or paths. Views are standardised per bin, waveforms are not, both as by
        `ViewScaler`, so predictions are those of a pipeline of the views, `ViewScaler`
        and this classifier. In training segments are cut from the waveform and may be
        augmented there. None takes X as views.
    variant : {"slim", "wide"} or float, default="slim"
        Numbers of channels: "slim" is the paper's network of 5,483 parameters (20
        coefficients, 3 classes), "wide" has twice as many channels, and a number is a
        factor on those of the slim one.
    strided : bool, default=True
        Whether the five upper blocks have strides, as published; otherwise the same
        numbers (3, 2, 2, 2, 2) are dilations, which costs more time.
    head_hidden : int or None, default=None
        Hidden units below the output: None is 16, or 32 if wide, with which the
        published numbers of parameters are met; 0 is the single layer of the paper's
        Figure 1.
    causal : bool, default=True
        Whether features of a frame depend on no later one; otherwise filters are
        centred.
    augmentation : Augmentation or None, default=None
        Random changes of training segments; None makes none.
    dropout : float, default=0.0
        Probability of dropping an output of a block. 0 switches it off.
    max_epochs : int, default=120
        Number of passes over the training clips.
    batch_size : int, default=32
        Segments per training step and per forward pass in prediction. The paper scales
        it with the number of clips (128 in the authors' code).
    lr : float, default=0.01
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
    scaler_ : ViewScaler
        What standardises the views, when ``views`` is set.
    n_features_in_ : int
        Number of bins, when fitted on an array; of samples, when ``views`` is set.
    view_names_in_ : ndarray of str
        Name of the view, when fitted on `Views`.

    See Also
    --------
    MobileNetClassifier : Its teacher in the paper.
    DistilledClassifier : Training by a teacher's probabilities.
    skaudio.segmentation.FrameSegmenter : Segments of recordings.

    Notes
    -----
    The authors train for 120 epochs of clips of 0.5, 1 or 2 seconds from 70 hours with
    ``batch_size=128, lr=5e-4, lr_schedule=CosineRestarts(min_lr=1e-5),
    validation_fraction=0.1``, which makes too few steps of a few thousand clips. There
    is one random segment per clip and epoch, so that a shorter ``segment_length`` makes
    no more steps.

    References
    ----------
    Hussain and Haque, "SwishNet: A Fast Convolutional Neural Network for Speech, Music
    and Noise Classification and Segmentation", arXiv:1812.00149, 2018, Section III,
    Table I.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from skaudio.datasets import make_everyday_sounds
    >>> from skaudio.neural_network import SwishNetClassifier
    >>> from skaudio.preprocessing import ViewScaler
    >>> from skaudio.views import MFCCView
    >>> X, y = make_everyday_sounds(20, 2, sr=8000, duration=1.0, random_state=0)
    >>> net = SwishNetClassifier(max_epochs=8, batch_size=8, random_state=0)
    >>> model = make_pipeline(MFCCView(sr=8000, n_mels=32), ViewScaler(), net)
    >>> model.fit(X, y).predict(X[:3])
    array(['bird', 'bell', 'bird'], dtype='<U6')
    """

    # a network of this size gains nothing by it
    mixed_precision: ClassVar[bool] = False
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "variant": [StrOptions({*WIDTHS}), POSITIVE],
        "strided": ["boolean"],
        "head_hidden": [Interval(Integral, 0, None, closed="left"), None],
        "causal": ["boolean"],
        **shared_constraints(without=("width", "mixed_precision")),
    }

    def __init__(
        self,
        *,
        views: Any = None,
        variant: str | float = "slim",
        strided: bool = True,
        head_hidden: int | None = None,
        causal: bool = True,
        augmentation: Augmentation | None = None,
        dropout: float = 0.0,
        max_epochs: int = 120,
        batch_size: int = 32,
        lr: float = 0.01,
        optimizer: Any = "adam",
        lr_schedule: Any = "one-cycle",
        segment_length: int | float | str | None = "auto",
        n_segments: int = 10,
        validation_fraction: Any = None,
        class_weight: dict[Any, float] | str | None = None,
        callbacks: list[Any] | None = None,
        device: str = "auto",
        compile: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.views = views
        self.variant = variant
        self.strided = strided
        self.head_hidden = head_hidden
        self.causal = causal
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
        self.compile = compile
        self.random_state = random_state
        self.verbose = verbose

    def _module(self) -> dict[str, Any]:
        width: Any = self.variant
        network = partial(
            SwishNet,
            width=WIDTHS[width] if isinstance(width, str) else width,
            strided=self.strided,
            head_hidden=self.head_hidden,
            causal=self.causal,
            dropout=self.dropout,
        )
        return {"module": OneBranch, "module__network": network}

    def _check_input(self, X: Views) -> None:
        check_single_view(self, X)
