"""`FrameLevelCNNClassifier`: a SampleCNN's upper part, on frames."""

from __future__ import annotations

from functools import partial
from numbers import Integral
from typing import Any, ClassVar

from skaudio._training._classifier import SegmentClassifier
from skaudio._training._constraints import shared_constraints
from skaudio._training._options._augmentation import Augmentation
from skaudio._training._rates import check_single_view
from skaudio._utils._constraints import COUNT
from skaudio._utils._container import Views
from skaudio._utils._sklearn import Interval
from skaudio._utils._types import is_waveform
from skaudio.nn.blocks import OneBranch
from skaudio.nn.samplecnn import FrameLevelCNN

POOLING = 3


class FrameLevelCNNClassifier(SegmentClassifier):
    """Classify or tag clips by convolution over frames: the SampleCNN's baselines.

    Modules of convolution and pooling by three, like those of `SampleCNNClassifier`, on
    the bands of a view, or on a waveform above filters as long as frames. A segment has
    ``3**n_modules`` frames.

    Parameters
    ----------
    views : ViewUnion, view or None, default=None
        What computes views inside the classifier, on its device: X is then waveforms
        or paths. Views are standardised per bin, waveforms are not, both as by
        `ViewScaler`, so predictions are those of a pipeline of the views, `ViewScaler`
        and this classifier. In training segments are cut from the waveform and may be
        augmented there. None takes X as views.
    n_modules : int, default=6
        Modules of convolution and pooling. The paper has 4 to 6 on frames.
    win_length : int, default=243
        Samples of the filters on a waveform, if the view is `RawView`.
    hop_length : int, default=81
        Samples from one frame to the next, if the view is `RawView`.
    width : float, default=0.25
        Factor on all numbers of filters. The default is for a CPU: about a sixteenth of
        the multiplications of the paper's network, which is 1.0.
    augmentation : Augmentation or None, default=None
        Random changes of training segments; None makes none.
    dropout : float, default=0.5
        Probability of dropping an output of the last convolution. 0 switches it off.
    max_epochs : int, default=60
        Number of passes over the training clips.
    batch_size : int, default=23
        Segments per training step and per forward pass in prediction. Large
        batches make too few steps of a few hundred clips.
    lr : float, default=0.004
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
    SampleCNNClassifier : Filters of three samples instead of frames.
    skaudio.views.MelView : ``scale="log1p"`` and ``power=1`` is the paper's input.

    Notes
    -----
    The paper's mel rows are ``MelView(sr=22050, n_fft=729, win_length=243,
    hop_length=81, n_mels=128, power=1, scale="log1p")`` and
    ``ViewScaler(per="view")`` ahead of this, the raw ones ``RawView()``. Its networks
    are not described further: they have the last modules of Table 1.

    References
    ----------
    Lee et al., "SampleCNN: End-to-End Deep Convolutional Neural Networks Using Very
    Small Filters for Music Classification", Applied Sciences 8(1):150, 2018,
    Sections 3.1 and 3.2, Table 2.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.neural_network import FrameLevelCNNClassifier
    >>> from skaudio.preprocessing import ViewScaler
    >>> from skaudio.views import MelView
    >>> X, y = make_sounds(n_clips=20, n_classes=2, sr=8000, random_state=0)
    >>> mel = MelView(sr=8000, n_mels=16, power=1, scale="log1p")
    >>> cnn = FrameLevelCNNClassifier(
    ...     n_modules=3, width=0.02, max_epochs=1, random_state=0
    ... )
    >>> model = make_pipeline(mel, ViewScaler(per="view"), cnn)
    >>> model.fit(X, y).predict_proba(X).shape
    (20, 2)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_modules": [Interval(Integral, 1, 20, closed="both")],  # 3**20 frames
        "win_length": [COUNT],
        "hop_length": [COUNT],
        **shared_constraints(without=("segment_length",)),
    }

    def __init__(
        self,
        *,
        views: Any = None,
        n_modules: int = 6,
        win_length: int = 243,
        hop_length: int = 81,
        width: float = 0.25,
        augmentation: Augmentation | None = None,
        dropout: float = 0.5,
        max_epochs: int = 60,
        batch_size: int = 23,
        lr: float = 0.004,
        optimizer: Any = "adam",
        lr_schedule: Any = "one-cycle",
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
        self.n_modules = n_modules
        self.win_length = win_length
        self.hop_length = hop_length
        self.width = width
        self.augmentation = augmentation
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

    def _segment_length(self, views: Views) -> int:
        frames: int = POOLING**self.n_modules
        return frames * self.hop_length if _is_waveform(views) else frames

    def _module(self) -> dict[str, Any]:
        network = partial(
            FrameLevelCNN,
            n_modules=self.n_modules,
            win_length=self.win_length,
            hop_length=self.hop_length,
            width=self.width,
            dropout=self.dropout,
        )
        return {"module": OneBranch, "module__network": network}

    def _check_input(self, X: Views) -> None:
        check_single_view(self, X)
        if _is_waveform(X) and self.win_length < self.hop_length:
            raise ValueError(
                f"win_length={self.win_length} is shorter than "
                f"hop_length={self.hop_length}: samples between windows would be lost."
            )


def _is_waveform(views: Views) -> bool:
    (n_bins,) = views.n_bins.values()
    return is_waveform(n_bins)
