"""`CRNNClassifier`: the convolutional recurrent network on a single view."""

from __future__ import annotations

from typing import Any, ClassVar

from skaudio._training._classifier import SegmentClassifier
from skaudio._training._constraints import SHARED_CONSTRAINTS
from skaudio._training._options._augmentation import Augmentation
from skaudio._training._rates import check_single_view
from skaudio._utils._container import Views
from skaudio._utils._sklearn import StrOptions
from skaudio.nn.blocks import ATTENTIONS
from skaudio.nn.crnn import SingleViewCRNN


class CRNNClassifier(SegmentClassifier):
    """Classify clips by a convolutional recurrent network on one view.

    Six convolution blocks, a bidirectional GRU and attention pooling make an embedding
    of a segment, three fully connected layers a decision. A view with one row of
    samples (`RawView`) gets the 1-D variant with its learned filter bank. Training
    draws one random segment per clip and epoch; prediction averages even segments.

    Parameters
    ----------
    views : ViewUnion, view or None, default=None
        What computes views inside the classifier, on its device: X is then waveforms
        or paths. Views are standardised per bin, waveforms are not, both as by
        `ViewScaler`, so predictions are those of a pipeline of the views, `ViewScaler`
        and this classifier. In training segments are cut from the waveform and may be
        augmented there. None takes X as views.
    augmentation : Augmentation or None, default=None
        Random changes of training segments; None makes none.
    width : float, default=0.25
        Factor on the number of filters (64 to 256), recurrent units (256) and hidden
        units (512). The default trains on a CPU in minutes and is 14 times smaller (64
        bands, 10 classes) than the full network, which is 1.0, for a GPU.
    attention : {"spatio-temporal", "temporal"}, default="spatio-temporal"
        Pooling over the recurrent outputs: weights for frames and features, or for
        frames only.
    dropout : float, default=0.1
        Probability of dropping an output of a convolution block, the recurrent layer
        or a fully connected layer. 0 switches it off.
    max_epochs : int, default=60
        Number of passes over the training clips.
    batch_size : int, default=32
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
    MultiViewBlendingClassifier : Several views at once.

    References
    ----------
    Phan et al., "Multi-view Audio and Music Classification", ICASSP 2021, Section 2.1,
    Tables 1 and 2.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from skaudio.datasets import make_everyday_sounds
    >>> from skaudio.neural_network import CRNNClassifier
    >>> from skaudio.preprocessing import ViewScaler
    >>> from skaudio.views import MelView
    >>> X, y = make_everyday_sounds(20, 2, sr=8000, duration=1.0, random_state=0)
    >>> crnn = CRNNClassifier(width=0.05, max_epochs=15, batch_size=8, random_state=0)
    >>> model = make_pipeline(MelView(sr=8000, n_mels=16), ViewScaler(), crnn)
    >>> model.fit(X, y).predict(X[:3])
    array(['bird', 'bell', 'bird'], dtype='<U6')
    >>> model.predict_proba(X[:3]).shape
    (3, 2)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **SHARED_CONSTRAINTS,
        "attention": [StrOptions(set(ATTENTIONS))],
    }

    def __init__(
        self,
        *,
        views: Any = None,
        augmentation: Augmentation | None = None,
        width: float = 0.25,
        attention: str = "spatio-temporal",
        dropout: float = 0.1,
        max_epochs: int = 60,
        batch_size: int = 32,
        lr: float = 0.004,
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
        self.augmentation = augmentation
        self.width = width
        self.attention = attention
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
            "module": SingleViewCRNN,
            "module__width": self.width,
            "module__attention": self.attention,
            "module__dropout": self.dropout,
        }

    def _check_input(self, X: Views) -> None:
        check_single_view(self, X)
