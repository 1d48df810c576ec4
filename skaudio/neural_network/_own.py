"""`NetworkClassifier`: a torch module that a user wrote, as a classifier of clips."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from skaudio._training._classifier import SegmentClassifier
from skaudio._training._constraints import shared_constraints
from skaudio._training._options._augmentation import Augmentation
from skaudio._training._rates import check_single_view
from skaudio._utils._container import Views
from skaudio.nn.own_network import OwnNetwork, check_own_network, parameters_of

PREFIX = "module__"


class NetworkClassifier(SegmentClassifier):
    """Classify clips by a network of your own, with all that the others have.

    The network is a class of :class:`torch.nn.Module`. Its constructor takes
    ``n_outputs``, the number of classes or tags, and by these names, as far as it has
    them, ``n_bins``, ``n_steps`` (frames of a segment) and ``rate`` (frames per second)
    of its view. Its ``forward`` takes segments (clips, n_bins, n_steps) and returns
    logits (clips, n_outputs), without softmax.

    One on several views has ``views`` instead: its constructor gets a dictionary of the
    three numbers for each name, ``views["mel"]["n_bins"]``, and its ``forward``
    segments by name.

    Cutting segments, views on the device, augmentation, schedules, validation by
    source, tags, checkpoints and prediction are those of all networks of skaudio.

    Parameters
    ----------
    module : type
        Class of the network, defined where it can be imported if the classifier is to
        be pickled. It is built in `fit`, once the sizes are known.
    module_params : dict or None, default=None
        Further arguments of its constructor. In a search they are parameters of their
        own: ``{"module__width": [16, 32]}``.
    views : ViewUnion, view or None, default=None
        What computes views inside the classifier, on its device: X is then waveforms
        or paths. Views are standardised per bin, waveforms are not, both as by
        `ViewScaler`, so predictions are those of a pipeline of the views, `ViewScaler`
        and this classifier. In training segments are cut from the waveform and may be
        augmented there. None takes X as views.
    augmentation : Augmentation or None, default=None
        Random changes of training segments; None makes none.
    max_epochs : int, default=60
        Number of passes over the training clips.
    batch_size : int, default=32
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
        Names of the views, when fitted on `Views`.

    See Also
    --------
    SpectrogramCNNClassifier : A network of convolutions that is there.
    skaudio.persistence.load : Reads saved classifiers; the class has to be given.

    Notes
    -----
    Random numbers that the network draws in training, as for dropout, come from a
    generator of this classifier: a seed repeats a training, and torch's own generator
    is left alone. Threads that train such networks wait for each other; processes do
    not.

    The network may name layers of its own: ``hidden_layers``, a tuple of names from the
    bottom to the top, for `LayerEmbedder` and ``freeze``, and ``output_layers``, those
    that `FineTunedClassifier` replaces for other classes.

    Examples
    --------
    >>> import torch
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.neural_network import NetworkClassifier
    >>> from skaudio.views import MelView
    >>> class SmallCNN(torch.nn.Module):
    ...     def __init__(self, n_bins, n_outputs, width=16):
    ...         super().__init__()
    ...         self.conv = torch.nn.Conv1d(n_bins, width, 5)
    ...         self.output = torch.nn.Linear(width, n_outputs)
    ...
    ...     def forward(self, x):
    ...         return self.output(self.conv(x).relu().mean(2))
    >>> X, y = make_sounds(n_clips=20, n_classes=2, sr=8000, random_state=0)
    >>> clf = NetworkClassifier(
    ...     module=SmallCNN,
    ...     module_params={"width": 8},
    ...     views=MelView(sr=8000),
    ...     max_epochs=2,
    ...     random_state=0,
    ... )
    >>> clf.fit(X, y).predict_proba(X).shape
    (20, 2)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "module": [type],
        "module_params": [dict, None],
        **shared_constraints(without=("width", "dropout")),
    }

    def __init__(
        self,
        *,
        module: Any,
        module_params: dict[str, Any] | None = None,
        views: Any = None,
        augmentation: Augmentation | None = None,
        max_epochs: int = 60,
        batch_size: int = 32,
        lr: float = 0.001,
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
        self.module = module
        self.module_params = module_params
        self.views = views
        self.augmentation = augmentation
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

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return parameters and, if `deep`, those of objects and of the module.

        Parameters
        ----------
        deep : bool, default=True
            Include ``module__width`` for each entry of ``module_params``.

        Returns
        -------
        params : dict
            Names and values.
        """
        params: dict[str, Any] = super().get_params(deep)
        if deep and isinstance(self.module_params, Mapping):
            own = self.module_params.items()
            params |= {f"{PREFIX}{name}": value for name, value in own}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters, also of objects that are parameters and of the module.

        Parameters
        ----------
        **params : dict
            Values by name; ``module__width`` is an argument of the module.

        Returns
        -------
        self : object
            The estimator itself.
        """
        own = {name: params.pop(name) for name in [*params] if name.startswith(PREFIX)}
        super().set_params(**params)
        if own:
            changed = {name.removeprefix(PREFIX): own[name] for name in own}
            self.module_params = {**(self.module_params or {}), **changed}
        return self

    def _module(self) -> dict[str, Any]:
        check_own_network(self.module, self.module_params or {})
        return {
            "module": OwnNetwork,
            "module__network": self.module,
            "module__arguments": dict(self.module_params or {}),
        }

    def _check_input(self, X: Views) -> None:
        check_own_network(self.module, self.module_params or {})
        if "views" not in parameters_of(self.module):
            check_single_view(self, X)
