"""`SampleCNNClassifier`: a waveform network with very small filters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any, ClassVar

from sklearn.utils.validation import check_is_fitted

from skaudio._training._classifier import SegmentClassifier
from skaudio._training._constraints import shared_constraints
from skaudio._training._options._augmentation import Augmentation
from skaudio._utils._constraints import COUNT, POSITIVE
from skaudio._utils._container import Views
from skaudio._utils._sklearn import StrOptions
from skaudio.nn.blocks import OneBranch
from skaudio.nn.samplecnn import N_WIDEST, SIZES_BY_RATE, SampleCNN
from skaudio.views._raw import RawView

AUTO = "auto"


class SampleCNNClassifier(SegmentClassifier):
    """Classify or tag clips by a waveform network with very small filters.

    Convolutions of very small filters and pooling windows of the same size, one after
    the other, until a segment is a single step: no spectrogram, no filters as long as
    frames. X is sound: waveforms or paths, without a view before it. Training draws one
    random segment per clip and epoch; prediction averages even segments.

    Parameters
    ----------
    sr : float, default=22050
        Sampling rate in Hz. Files are resampled to it; arrays are taken to be at it.
    sizes : "auto" or sequence of int, default="auto"
        Sizes of filters and pooling windows, those of the first convolution, which has
        a stride instead of pooling, before those of the modules. Their product is the
        length of a segment in samples. ``(m,) * (n + 1)`` is the m^n network. "auto"
        is the published configuration for `sr`: 2000, 4000, 8000, 12000, 16000, 20000
        or 22050 Hz, of about 2.6 s each.
    filters : {"paper", "code"} or sequence of int, default="paper"
        Filters of every convolution, the first and the top one included: one more than
        sizes. "paper" is Table 1: 128 thrice, 256 five times, 512 thrice; "code" is
        the authors' code, with one more 256 and one less 512.
    top_kernel : int, default=1
        Length of the filters of the last convolution; some ports have 3.
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
    n_samples_ : int
        Samples of a segment: the product of all sizes.
    n_features_in_ : int
        Samples of each clip, if X is rectangular.
    view_names_in_ : ndarray of str
        Name of the view, when fitted on `Views`.

    See Also
    --------
    FrameLevelCNNClassifier : The same network above a spectrogram or longer filters.
    skaudio.papers.lee2018 : The paper's training.
    CRNNClassifier : Convolution and recurrence on a view, or on waveforms.
    skaudio.embedding.LayerEmbedder : Outputs of hidden layers as features.

    Notes
    -----
    The defaults suit hundreds or thousands of clips and a CPU.
    `skaudio.papers.lee2018` has the paper's network and its training, for tens of
    thousands of clips and a GPU; on some hundred spoken digits, in narrow networks,
    the training was worse than the default in one benchmark and better in another.

    References
    ----------
    Lee et al., "SampleCNN: End-to-End Deep Convolutional Neural Networks Using Very
    Small Filters for Music Classification", Applied Sciences 8(1):150, 2018.

    Examples
    --------
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.neural_network import SampleCNNClassifier
    >>> X, y = make_sounds(n_clips=20, n_classes=2, sr=8000, random_state=0)
    >>> clf = SampleCNNClassifier(sr=8000, width=0.02, max_epochs=1, random_state=0)
    >>> clf.fit(X, y).predict_proba(X).shape
    (20, 2)
    >>> clf.n_samples_
    20736
    """

    _standardises = False  # samples go in as they are (Section 5.3)
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "sr": [POSITIVE],
        "sizes": [StrOptions({AUTO}), "array-like"],
        "filters": [StrOptions(set(N_WIDEST)), "array-like"],
        "top_kernel": [COUNT],
        **shared_constraints(without=("views", "segment_length")),
    }

    def __init__(
        self,
        *,
        sr: float = 22050,
        sizes: str | Sequence[int] = AUTO,
        filters: str | Sequence[int] = "paper",
        top_kernel: int = 1,
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
        self.sr = sr
        self.sizes = sizes
        self.filters = filters
        self.top_kernel = top_kernel
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

    @property
    def n_samples_(self) -> int:
        """Samples of a segment."""
        check_is_fitted(self)
        return int(self.net_.module_.network.n_samples)

    @property
    def _sizes(self) -> tuple[int, ...]:
        if not isinstance(self.sizes, str):
            sizes = tuple(int(size) for size in self.sizes)
            if not sizes or min(sizes) < 2:
                raise ValueError(
                    f"sizes must be one or more numbers above 1; got {sizes}."
                )
            return sizes
        if self.sr not in SIZES_BY_RATE:
            raise ValueError(
                f"No sizes were published for sr={self.sr:g}, only for "
                f"{sorted(SIZES_BY_RATE)}. Take one of these, or pass sizes whose "
                "product is the length of a segment, e.g. (3,) * 10 for 59049 samples."
            )
        return SIZES_BY_RATE[int(self.sr)]

    @property
    def _source(self) -> RawView:
        return RawView(sr=self.sr)

    def _segment_length(self, views: Views) -> int:
        return prod(self._sizes)

    def _module(self) -> dict[str, Any]:
        filters = self.filters
        network = partial(
            _network,
            sizes=self._sizes,
            filters=filters if isinstance(filters, str) else tuple(filters),
            top_kernel=self.top_kernel,
            width=self.width,
            dropout=self.dropout,
        )
        return {"module": OneBranch, "module__network": network}


def _network(n_bins: int, n_outputs: int, **options: Any) -> SampleCNN:
    return SampleCNN(n_outputs, **options)
