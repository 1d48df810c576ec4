"""`MobileNetClassifier`: a network for pictures, on spectrograms."""

from __future__ import annotations

import os
from numbers import Real
from typing import Any, ClassVar

from sklearn.utils import Tags

from skaudio._training._callbacks import Start
from skaudio._training._classifier import SegmentClassifier
from skaudio._training._constraints import shared_constraints
from skaudio._training._fitted_network import FittedNetwork
from skaudio._training._options._augmentation import Augmentation
from skaudio._training._rates import check_single_view
from skaudio._utils._container import Views
from skaudio._utils._sklearn import Interval
from skaudio._weights._mobilenet import read_backbone
from skaudio.nn.mobilenet import MobileNetOnView


class MobileNetClassifier(SegmentClassifier):
    """Classify or tag clips by MobileNet v1 on a spectrogram as a picture.

    SwishNet's teacher: depthwise-separable convolutions, the mean over frequency and
    time, a hidden layer of 16 units. It takes segments of any length, of any number of
    bands; the paper has 64 log-mel bands.

    Parameters
    ----------
    views : ViewUnion, view or None, default=None
        What computes views inside the classifier, on its device: X is then waveforms
        or paths. Views are standardised per bin, waveforms are not, both as by
        `ViewScaler`, so predictions are those of a pipeline of the views, `ViewScaler`
        and this classifier. In training segments are cut from the waveform and may be
        augmented there. None takes X as views.
    weights : path-like or None, default=None
        File of torch with weights of MobileNet v1, trained on pictures, to start from;
        see Notes. Output layers are always new. None starts from random weights.
    augmentation : Augmentation or None, default=None
        Random changes of training segments; None makes none.
    width : float, default=0.25
        Factor on all numbers of filters (32 to 1024), which is MobileNet's alpha.
    negative_slope : float or None, default=None
        What the rectifiers let through of negative values; None clips to the range from
        0 to 6, as published. Some weights want 0.1.
    dropout : float, default=0.1
        Probability of dropping an input of the hidden layer at the top. 0 switches it
        off.
    max_epochs : int, default=20
        Number of passes over the training clips.
    batch_size : int, default=32
        Segments per training step and per forward pass in prediction; 128 in the code
        of SwishNet's authors.
    lr : float, default=0.002
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
    scaler_ : ViewScaler
        What standardises the views, when ``views`` is set.
    n_features_in_ : int
        Number of bins, when fitted on an array; of samples, when ``views`` is set.
    view_names_in_ : ndarray of str
        Name of the view, when fitted on `Views`.

    See Also
    --------
    DistilledClassifier : Trains a smaller network by the probabilities of this one.
    SwishNetClassifier : The paper's own network.

    Notes
    -----
    ``weights`` may be a state dictionary, or a checkpoint that holds one, with the
    names of pytorch-mobilenet (``model.0.0.weight``), timm (``conv_stem.weight``),
    transformers (``mobilenet_v1.conv_stem.convolution.weight``) or Pytorch_Retinaface
    (``stage1.0.0.weight``, with ``negative_slope=0.1``), of the same ``width``. Padding
    is the same on all sides, where networks from TensorFlow have it at two of them.

    References
    ----------
    A. G. Howard et al., "MobileNets: Efficient convolutional neural networks for mobile
    vision applications", arXiv:1704.04861, 2017. Hussain and Haque, "SwishNet",
    arXiv:1812.00149, 2018, Figure 2.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.neural_network import MobileNetClassifier
    >>> from skaudio.preprocessing import ViewScaler
    >>> from skaudio.views import MelView
    >>> X, y = make_sounds(n_clips=20, n_classes=2, sr=8000, random_state=0)
    >>> net = MobileNetClassifier(width=0.1, max_epochs=1, random_state=0)
    >>> model = make_pipeline(MelView(sr=8000, n_mels=32), ViewScaler(), net)
    >>> model.fit(X, y).predict_proba(X).shape
    (20, 2)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "weights": [str, os.PathLike, None],
        "negative_slope": [Interval(Real, 0, 1, closed="left"), None],
        **shared_constraints(without=()),
    }

    def __init__(
        self,
        *,
        views: Any = None,
        weights: str | os.PathLike[str] | None = None,
        augmentation: Augmentation | None = None,
        width: float = 0.25,
        negative_slope: float | None = None,
        dropout: float = 0.1,
        max_epochs: int = 20,
        batch_size: int = 32,
        lr: float = 0.002,
        optimizer: Any = "adam",
        lr_schedule: Any = "one-cycle",
        segment_length: int | float | str | None = "auto",
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
        self.weights = weights
        self.augmentation = augmentation
        self.width = width
        self.negative_slope = negative_slope
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

    def _module(self) -> dict[str, Any]:
        return {
            "module": MobileNetOnView,
            "module__width": self.width,
            "module__dropout": self.dropout,
            "module__negative_slope": self.negative_slope,
        }

    def _check_input(self, X: Views) -> None:
        check_single_view(self, X)

    def __sklearn_tags__(self) -> Tags:
        """A table of features is no picture."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags

    def _start(self, network: FittedNetwork | None) -> Start | None:
        if network is not None or self.weights is None:
            return super()._start(network)
        tensors = read_backbone(
            self.weights, width=self.width, negative_slope=self.negative_slope
        )
        return Start({f"network.{k}": v for k, v in tensors.items()}, ())
