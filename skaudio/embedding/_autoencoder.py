"""`AutoencoderEmbedder`: codes of clips that are learned without labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from skaudio._training._constraints import check_sizes, shared_constraints
from skaudio._training._options._augmentation import Augmentation
from skaudio._training._rates import check_single_view
from skaudio._training._reconstruction import CODING_CONSTRAINTS, CodeOutputs
from skaudio._training._targets import NoTarget
from skaudio._utils._container import Views
from skaudio._utils._sklearn import _fit_context
from skaudio.nn.softmax_autoencoder import AutoencoderOnView, SquaredError


class AutoencoderEmbedder(CodeOutputs):
    """Embed clips by the codes of an autoencoder, which learns them without labels.

    Fully connected layers encode a segment, of pooled samples or of any view, as 64
    numbers, and others decode these: the paper's vanilla autoencoder. `transform` gives
    the codes, `inverse_transform` goes back, and `score_samples` says how well.

    Parameters
    ----------
    views : ViewUnion, view or None, default=None
        What computes the view inside the estimator, on its device: X is then waveforms
        or paths. Values are taken as they are, not standardised: they are what is
        reconstructed. None takes X as a view.
    encoder_sizes : sequence of int, default=(256, 192, 128, 64)
        Outputs of the encoder's layers; the last ones are the code. The decoder has the
        same sizes in reverse.
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
        Evenly spaced segments per clip whose codes are averaged.
    validation_fraction : float, int, Validation or None, default=None
        Sources to hold out: a float is their share, an int their number. The model with
        the least validation loss is kept. None trains on all clips to the end.
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
    net_ : skorch.NeuralNet
        The trained network; ``net_.module_`` is the torch module.
    history_ : list of dict
        Per epoch: ``epoch, step, train_loss, valid_loss, valid_score, test_loss,
        test_score, lr, seconds``; the score is the negative loss. Figures of validation
        are NaN without ``validation_fraction``, those of a test always.
    n_features_in_ : int
        Number of bins, when fitted on an array; of samples, when ``views`` is set.
    view_names_in_ : ndarray of str
        Name of the view, when fitted on `Views`.

    See Also
    --------
    skaudio.neural_network.SoftmaxAutoencoderClassifier : Codes that tell classes.
    skaudio.views.MeanPoolView : The paper's input, means of 40 samples.

    Notes
    -----
    The authors trained for 400 epochs of 8,000 slices with ``batch_size=512``,
    ``lr=0.0001`` and ``lr_schedule="constant"``, which is too few steps for a few
    hundred clips. Values far below 1, such as means of samples, make errors too small
    to learn much from: scaled to a standard deviation of 1 they are learned better.

    References
    ----------
    Sawhney, Vasavada and Wang, "Latent Feature Extraction for Musical Genres from Raw
    Audio", 2018, Section 4.2, Equation 2.

    Examples
    --------
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.embedding import AutoencoderEmbedder
    >>> from skaudio.views import RawView
    >>> X, _ = make_sounds(n_clips=20, sr=500, random_state=0)
    >>> model = AutoencoderEmbedder(
    ...     views=RawView(sr=500), segment_length=1.0, max_epochs=1, random_state=0
    ... )
    >>> codes = model.fit_transform(X)
    >>> codes.shape, model.inverse_transform(codes).shape
    ((20, 64), (20, 1, 500))
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **CODING_CONSTRAINTS,
        **shared_constraints(
            without=("width", "class_weight", "mixed_precision", "compile")
        ),
    }

    def __init__(
        self,
        *,
        views: Any = None,
        encoder_sizes: Sequence[int] = (256, 192, 128, 64),
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
        callbacks: list[Any] | None = None,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.views = views
        self.encoder_sizes = encoder_sizes
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
        self.callbacks = callbacks
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X,
        y=None,
        groups=None,
        *,
        sample_weight=None,
        X_valid=None,
        checkpoint=None,
    ):
        """Learn to reconstruct clips.

        Parameters
        ----------
        X : Views, or array-like of shape (n_clips, n_bins, n_frames)
            A view of the clips. A list of (n_bins, n_frames_i) arrays holds clips of
            different lengths; a 2-D array has one frame per clip. For an estimator
            that computes its view itself: waveforms (n_clips, n_samples), or a list
            of waveforms or paths.
        y : None
            Ignored.
        groups : array-like of shape (n_clips,), default=None
            Source of each clip. With ``validation_fraction``, no source is divided
            between training and validation.
        sample_weight : array-like of shape (n_clips,), default=None
            Weight of each clip in the loss of its batch, which is a weighted mean. A
            clip without weight might as well not be there. None weighs all alike.
        X_valid : like X, default=None
            Clips to validate with: they take the place of clips that
            ``validation_fraction`` would hold out.
        checkpoint : path-like, default=None
            File that keeps the state of training after every epoch, about three times
            as large as the network. If it is there, training goes on from it, to the
            same result as without an interruption; a finished one is not repeated.

        Returns
        -------
        self : object
            The fitted embedder.

        Raises
        ------
        ValueError
            If training diverges and no trained model has finite numbers; if the
            checkpoint is that of another training, with what differs.
        OSError
            Before training, if there is no folder for the checkpoint.

        Warns
        -----
        ConvergenceWarning
            If training diverged after the model that is kept.
        """

        def encode(views: Views) -> tuple[NoTarget, dict[str, np.ndarray]]:
            return NoTarget(SquaredError()), {}

        self._fit(
            X,
            encode,
            groups=groups,
            sample_weight=sample_weight,
            valid=None if X_valid is None else (X_valid, lambda target, views: {}),
            checkpoint=checkpoint,
        )
        return self

    def score(self, X, y=None):
        """Score clips by how well they are reconstructed.

        Parameters
        ----------
        X : Views, or array-like of shape (n_clips, n_bins, n_frames)
            Clips, as in `fit`.
        y : None
            Ignored.

        Returns
        -------
        score : float
            Mean of `score_samples`, so that searches find the best parameters.
        """
        return float(self.score_samples(X).mean())

    # -- hooks ----------------------------------------------------------------------
    def _module(self) -> dict[str, Any]:
        return {
            "module": AutoencoderOnView,
            "module__encoder_sizes": tuple(self.encoder_sizes),
            "module__output_activation": self.output_activation,
            "module__dropout": self.dropout,
        }

    def _check_input(self, X: Views) -> None:
        check_single_view(self, X)
        check_sizes("encoder_sizes", self.encoder_sizes, least=1)
