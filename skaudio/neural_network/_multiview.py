"""`MultiViewBlendingClassifier`: several views, blended by how well they generalise."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from skaudio._blending import NONE
from skaudio._training._classifier import SegmentClassifier
from skaudio._training._constraints import SHARED_CONSTRAINTS
from skaudio._training._loss_weights import LossWeights
from skaudio._training._options._augmentation import Augmentation
from skaudio._training._options._blending import (
    NAMED,
    BlendedWeights,
    Blending,
    as_blending,
)
from skaudio._training._trainer import Trained
from skaudio._utils._container import Views
from skaudio._utils._sklearn import StrOptions
from skaudio.nn.blocks import ATTENTIONS
from skaudio.nn.multiview import JOINT, MultiViewCRNN


class MultiViewBlendingClassifier(SegmentClassifier):
    """Classify clips by several views whose losses are blended while they learn.

    Every view has an encoder (as in `CRNNClassifier`) and a branch that classifies by
    it alone; a joint branch classifies by all embeddings together. Views learn and
    overfit at different speeds. So training watches every branch's loss on held-out
    clips and on as many training clips, and weighs the branches' losses by
    generalisation over squared overfitting. The final decision is the ensemble of all
    branches with the weights of the model that is kept.

    Parameters
    ----------
    blending : str or Blending, default="adaptive"
        How losses are weighed, a `Blending` or a name of one. "adaptive" measures
        progress from the best smoothed losses so far, and smooths the weights;
        "paper" is the same without smoothing of weights, the paper's rule as we
        reconstruct it; "fixed-reference" measures from the losses before training
        (G-Blend); "uniform" weighs all branches alike; "none" trains the joint branch
        only (concatenation).
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
        units (512, joint branch 4096). The default trains on a CPU in minutes; 1.0 is
        the full network, for a GPU.
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
    validation_fraction : float, int, Validation or None, default=0.1
        Sources to hold out: a float is their share of every class, at least one where a
        class has two; an int is their number per class; a `Validation` also says how
        the model is chosen that is kept. The model with the best
        validation accuracy (of tags: mean average precision) is kept, with its branch
        weights. None trains on all clips to the end; "uniform" and "none" can do
        without.
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
    branch_names_ : tuple of str
        Names of the branches: the views, then "joint".
    branch_weights_ : ndarray of shape (n_branches,)
        Weights in force at the model that was kept; they weigh the ensemble.
    net_ : skorch.NeuralNet
        The trained network; ``net_.module_`` is the torch module.
    history_ : list of dict
        Per epoch: ``epoch, step, train_loss, valid_loss, valid_score, test_loss,
        test_score, lr, seconds``; scores are accuracies, or mean average precisions of
        tags. Figures of validation and test are the joint branch's.
    blending_history_ : list of dict
        Per evaluation and branch: ``step, epoch, branch, train_loss, valid_loss,
        test_loss, generalization, overfitting, weight``. NaN where there is no such
        set; `BlendingDisplay` draws it.
    scaler_ : ViewScaler
        What standardises the views, when ``views`` is set.
    n_features_in_ : int
        Number of bins, when fitted on an array; of samples, when ``views`` is set.
    view_names_in_ : ndarray of str
        Names of the views, when fitted on `Views`.

    See Also
    --------
    Blending : The rule and its parameters.
    skaudio.papers.phan2021 : The paper's network and training, as parameters.
    CRNNClassifier : One view.
    skaudio.ensemble.LateFusionClassifier : Views trained apart, decisions averaged.
    skaudio.inspection.BlendingDisplay : Plot weights and losses over training.

    References
    ----------
    Phan et al., "Multi-view Audio and Music Classification", ICASSP 2021, Section 2 and
    Algorithm 1. Wang et al., "What makes training multi-modal networks hard?",
    CVPR 2020, for fixed references.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from skaudio.datasets import make_everyday_sounds
    >>> from skaudio.neural_network import MultiViewBlendingClassifier
    >>> from skaudio.preprocessing import ViewScaler
    >>> from skaudio.views import make_view_union
    >>> X, y = make_everyday_sounds(20, 2, sr=8000, duration=1.0, random_state=0)
    >>> clf = MultiViewBlendingClassifier(
    ...     width=0.05, max_epochs=10, batch_size=8, random_state=0
    ... )
    >>> model = make_pipeline(make_view_union("mel", "raw", sr=8000), ViewScaler(), clf)
    >>> model.fit(X, y).predict(X[:3])
    array(['bird', 'bell', 'bird'], dtype='<U6')
    >>> model[-1].branch_names_
    ('mel', 'raw', 'joint')
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "blending": [StrOptions(set(NAMED)), Blending],
        "attention": [StrOptions(set(ATTENTIONS))],
        **SHARED_CONSTRAINTS,
    }

    def __init__(
        self,
        *,
        blending: str | Blending = "adaptive",
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
        validation_fraction: Any = 0.1,
        class_weight: dict[Any, float] | str | None = None,
        callbacks: list[Any] | None = None,
        device: str = "auto",
        mixed_precision: bool | str = False,
        compile: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.blending = blending
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

    def branch_proba(self, X):
        """Predict class probabilities by every branch alone.

        Parameters
        ----------
        X : Views, or array-like of shape (n_clips, n_bins, n_frames)
            Clips, as in `fit`.

        Returns
        -------
        proba : dict of str to ndarray of shape (n_clips, n_classes)
            One entry per name in ``branch_names_``.
        """
        return self._branch_proba(X)

    def predict_proba(self, X):
        """Predict class probabilities by the ensemble of branches (Eq. 6).

        Parameters
        ----------
        X : Views, or array-like of shape (n_clips, n_bins, n_frames)
            Clips, as in `fit`.

        Returns
        -------
        proba : ndarray of shape (n_clips, n_classes)
            Mean of the branches' probabilities, weighted by ``branch_weights_``, each
            a mean over ``n_segments`` even segments.
        """
        branches = np.stack(list(self._branch_proba(X).values()))
        weights = (self.branch_weights_ / self.branch_weights_.sum()).astype(
            branches.dtype
        )
        return np.tensordot(weights, branches, axes=1)

    @property
    def _rule(self) -> Blending:
        return as_blending(self.blending)

    def _module(self) -> dict[str, Any]:
        branches = JOINT if self._rule.rule == NONE else "all"
        return {
            "module": MultiViewCRNN,
            "module__branches": branches,
            "module__width": self.width,
            "module__attention": self.attention,
            "module__dropout": self.dropout,
        }

    def _loss_weights(self) -> LossWeights:
        return BlendedWeights(self._rule)

    def _check_input(self, X: Views) -> None:
        self._rule._validate_params()
        if JOINT in X.names:
            raise ValueError(
                f"No view may be called {JOINT!r}: it is the name of the joint branch. "
                "Rename the view."
            )

    def _fit(self, X: Any, encode: Any, **options: Any) -> Trained:
        trained = super()._fit(X, encode, **options)
        self.branch_names_ = trained.terms
        self.branch_weights_ = trained.loss_weights
        self.blending_history_ = [
            {"branch" if key == "term" else key: value for key, value in row.items()}
            for row in trained.records
        ]
        return trained
