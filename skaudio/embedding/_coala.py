"""`CoalaEmbedder`: embeddings of sound that agree with those of its tags."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from numbers import Real
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skaudio._training._alignment import TagAlignment
from skaudio._training._constraints import shared_constraints
from skaudio._training._loss_weights import FixedWeights, LossWeights
from skaudio._training._patches import ENERGY, RANDOM, PatchEstimator
from skaudio._training._targets import Target
from skaudio._utils._constraints import POSITIVE
from skaudio._utils._container import Views
from skaudio._utils._sklearn import (
    StrOptions,
    _fit_context,
    _num_samples,
    _safe_indexing,
)
from skaudio._utils._text import shortened
from skaudio.embedding._coala_files import files_in, fill, networks_to_save
from skaudio.embedding._tag_search import TagSearch
from skaudio.nn.coala_autoencoders import Coala
from skaudio.nn.contrast import AUDIO, CONTRAST, CONTRASTS, TAGS
from skaudio.preprocessing._tag_binarizer import TagBinarizer

TERMS = AUDIO, TAGS, CONTRAST
MOST_TAGS = 2**17  # whose layers have 0.3 GB of weights; training needs thrice as much


class CoalaEmbedder(
    TagSearch,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    PatchEstimator,
):
    """Embed clips by a network that learned to align sounds with their tags (COALA).

    One autoencoder learns spectrograms, another one the words that people gave them,
    and a contrastive loss draws the embedding of a sound to that of its words. What is
    learned serves other tasks as features (`transform`), finds words for sounds and
    sounds for words (`nearest_tags`, `nearest_clips`), and can be looked at
    (`inverse_transform`, `decode_tags`).

    Parameters
    ----------
    reconstruction : bool, default=True
        Whether autoencoders reconstruct patches and tags, next to the contrast: the
        paper's AE-C. False is its E-C, encoders and contrast only; the decoders stay as
        they were initialised.
    contrastive : {"nt-xent", "paper"}, default="nt-xent"
        "nt-xent" compares all sounds and tags of a batch with each other, as in the
        authors' code; "paper" is Equation 10, which compares sounds with tags only and
        leaves the right ones out of the denominator.
    tau : float, default=0.1
        Temperature of the contrast: the smaller, the more the nearest wrong pairs
        count.
    loss_weights : tuple of three floats, default=(5.0, 5.0, 10.0)
        Weights of the terms of the loss: reconstruction of audio, reconstruction of
        tags, contrast. The first two are 0 without `reconstruction`.
    binarizer : TagBinarizer or None, default=None
        What makes an indicator matrix of the tags in `fit`; None is a `TagBinarizer`
        with its defaults.
    views : view or None, default=None
        What computes the spectrogram of 96 bands of sound: None is `CoalaView`, the
        authors' own. A `MelView` with ``n_mels=96`` will do as well.
    patches : {"energy", "random"}, default="energy"
        Which 96 frames of a clip training sees: those of most energy, as in the paper,
        or others in every epoch.
    width : float, default=1.0
        Factor on the number of filters (128), on features (1152, nine times as many)
        and on hidden units of tags (512). 0.25 trains on a CPU.
    dropout : float, default=0.25
        Probability of dropping an output of a layer in training. 0 switches it off.
    max_epochs : int, default=60
        Number of passes over the training clips.
    batch_size : int, default=64
        Clips per training step, each compared with all others of its batch; clips that
        do not fill a batch are left out of that epoch. Patches per forward pass.
    lr : float, default=0.01
        Base learning rate, which ``lr_schedule`` scales over training.
    optimizer : Optimizer, or one of its names, default="nesterov"
        "adam", "adamw", "sgd" without momentum, or "nesterov", with Nesterov's of 0.9;
        an `Optimizer` also has weight decay and averages weights.
    lr_schedule : schedule or name, default="one-cycle"
        "one-cycle" rises for a quarter of training and then falls to zero, good for
        short budgets; "constant" leaves the rate alone; "reduce-on-plateau" is a
        `PlateauSchedule`, which lowers it whenever the validation loss stops falling;
        "warmup-decay" is a `WarmupDecay`, in the manner of the multi-view paper, for
        hundreds of epochs; `CosineRestarts` go by the number of the epoch as well.
    validation_fraction : float, int, Validation or None, default=None
        Sources to hold out: a float is their share of every rarest tag of a clip, at
        least one where a tag has two; an int is their number per tag. The model with
        the least validation loss is kept. None trains on all clips to the end, as in
        the paper.
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
        Seed of initialisation, order, patches, dropout, validation split. An int gives
        the same model to the bit on one machine with as many threads, in any backend.
    verbose : bool or int, default=0
        Whether to show a progress bar: segments per second, and the time that is left.

    Attributes
    ----------
    tags_ : ndarray of str of shape (n_tags,)
        The vocabulary.
    binarizer_ : TagBinarizer
        What made it; ``binarizer_.dropped_`` are the words that are not in it.
    scaler_ : PatchScaler
        What scales patches to [0, 1], by the time within a patch. It is in the network
        as well.
    net_ : skorch.NeuralNet
        The trained network; ``net_.module_`` is a `skaudio.nn.Coala`.
    history_ : list of dict
        Per epoch: ``epoch, step, train_loss, valid_loss, valid_score, test_loss,
        test_score, lr, seconds``; the score is the negative loss. Figures of validation
        are NaN without ``validation_fraction``, those of a test always.
    loss_history_ : list of dict
        Per epoch and term of the loss: ``step, epoch, term, valid_loss, weight`` and
        others; empty without ``validation_fraction``.
    errors_ : list of dict
        ``{"row", "path", "error"}`` of each clip that failed in the last call, where
        ``views`` do not raise.
    n_features_in_ : int
        Samples of each clip, if X is rectangular; bands, if X is an array of
        spectrograms.
    view_names_in_ : ndarray of str
        Name of the view, when fitted on `Views`.

    See Also
    --------
    PretrainedEmbedder : The authors' weights, and files of `save_weights`.
    make_probe : A classifier of the embeddings.
    skaudio.neural_network.CoalaTagClassifier : The network that it is compared with.

    Notes
    -----
    The published recipe, for 170,000 patches, is ``max_epochs=200, batch_size=128,
    lr=0.005, optimizer="sgd", lr_schedule="constant"``. On 480 notes of instruments the
    defaults were as good as it in less than a third of the epochs, on embeddings and in
    search. The authors took no model before the last one and used held-out patches to
    choose the weights of the loss.

    Where paper and code differ the defaults are those of the code: another contrast,
    another window and noise in short clips, for which see `CoalaView`.

    Patches are scaled by the range of all clips in `fit`, those for validation
    included.

    References
    ----------
    Favory et al., "COALA: Co-Aligned Autoencoders for Learning Semantically Enriched
    Audio Representations", ICML 2020 workshop on self-supervision in audio and speech.

    Examples
    --------
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.embedding import CoalaEmbedder
    >>> from skaudio.views import CoalaView
    >>> X, y = make_sounds(n_clips=12, n_classes=3, sr=22000, random_state=0)
    >>> tags = [f"{kind} sound" for kind in y]
    >>> coala = CoalaEmbedder(
    ...     views=CoalaView(min_duration=2.3), width=0.05, max_epochs=1, random_state=0
    ... )
    >>> coala.fit(X, tags).transform(X).shape
    (12, 54)
    >>> list(coala.tags_)
    ['harmonic', 'noise', 'percussive']
    >>> ((row, similarity),) = coala.nearest_clips("noise", X, n=1)
    """

    _encoder = "audio_encoder"
    _target_kinds: ClassVar[tuple[type[Target], ...]] = (TagAlignment,)
    n_segments = 1
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "reconstruction": ["boolean"],
        "contrastive": [StrOptions(set(CONTRASTS))],
        "tau": [POSITIVE],
        "loss_weights": [tuple, list, np.ndarray],
        "binarizer": [TagBinarizer, None],
        "patches": [StrOptions({ENERGY, RANDOM})],
        **shared_constraints(
            without=("augmentation", "segment_length", "n_segments", "class_weight")
        ),
    }

    def __init__(
        self,
        *,
        reconstruction: bool = True,
        contrastive: str = "nt-xent",
        tau: float = 0.1,
        loss_weights: Sequence[float] = (5.0, 5.0, 10.0),
        binarizer: TagBinarizer | None = None,
        views: Any = None,
        patches: str = "energy",
        width: float = 1.0,
        dropout: float = 0.25,
        max_epochs: int = 60,
        batch_size: int = 64,
        lr: float = 0.01,
        optimizer: Any = "nesterov",
        lr_schedule: Any = "one-cycle",
        validation_fraction: Any = None,
        callbacks: list[Any] | None = None,
        device: str = "auto",
        mixed_precision: bool | str = False,
        compile: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.reconstruction = reconstruction
        self.contrastive = contrastive
        self.tau = tau
        self.loss_weights = loss_weights
        self.binarizer = binarizer
        self.views = views
        self.patches = patches
        self.width = width
        self.dropout = dropout
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.optimizer = optimizer
        self.lr_schedule = lr_schedule
        self.validation_fraction = validation_fraction
        self.callbacks = callbacks
        self.device = device
        self.mixed_precision = mixed_precision
        self.compile = compile
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, groups=None, checkpoint=None, *, tags=None):
        """Learn embeddings of clips and of their tags.

        Parameters
        ----------
        X : array of shape (n_clips, n_samples), or list of waveforms or paths
            Or the spectrograms: `Views` of one view of 96 bands, an array
            (n_clips, 96, n_frames), or a list of arrays (96, n_frames_i).
        y : list of str, list of lists of str, or matrix of shape (n_clips, n_tags)
            Tags of the clips: texts, lists of words, class labels, or an indicator
            matrix; see `TagBinarizer`. Clips without a tag of the vocabulary are left
            out, with a warning.
        groups : array-like of shape (n_clips,), default=None
            Source of each clip. With ``validation_fraction``, no source is divided
            between training and validation.
        checkpoint : path-like, default=None
            File that keeps the state of training after every epoch, about three times
            as large as the network. If it is there, training goes on from it, to the
            same result as without an interruption; a finished one is not repeated.
        tags : like y, default=None
            Another name for `y`.

        Returns
        -------
        self : object
            The fitted embedder.

        Raises
        ------
        ValueError
            If there are less than two clips, or tags that differ; if training diverges
            and no trained model has finite numbers; if the checkpoint is that of
            another training, with what differs.
        OSError
            Before training, if there is no folder for the checkpoint.

        Warns
        -----
        UserWarning
            If clips are left out, as they have no tag.
        ConvergenceWarning
            If training diverged after the model that is kept.
        """
        if y is not None and tags is not None:
            raise ValueError("tags is another name for y; got both.")
        check_consistent_length(X, groups)
        indicators, rows = self._indicators(X, tags if y is None else y)
        if rows is not None:
            X = _safe_indexing(X, rows)
            groups = None if groups is None else _safe_indexing(groups, rows)

        def encode(views: Views) -> tuple[Target, dict[str, np.ndarray]]:
            check_consistent_length(views, indicators)
            decodes = [term for term in (AUDIO, TAGS) if self._weights[term] > 0]
            target = TagAlignment(
                len(self.tags_), tuple(decodes), self.contrastive, self.tau
            )
            return target, {TAGS: indicators}

        trained = self._fit(X, encode, groups=groups, checkpoint=checkpoint)
        self.loss_history_ = trained.records
        return self

    def transform(self, X):
        """Embed every clip: the mean over its patches side by side.

        Parameters
        ----------
        X : array of shape (n_clips, n_samples), or list of waveforms or paths
            Or spectrograms, as in `fit`.

        Returns
        -------
        embeddings : ndarray of shape (n_clips, n_features)
            Outputs of the audio encoder, not negative. 1152 at the full width. What is
            left at the end of a clip after the last whole patch is not in them. NaN
            where a clip could not be loaded and ``views`` do not raise.
        """
        check_is_fitted(self)
        return self._embedded(X)

    def transform_frames(self, X, hop=None):
        """Embed patches of every clip over time.

        A frame is one patch, 2.2 s, centred at its time. Times lie `hop` apart from
        half of it on, as many as end within the clip. Patches that would reach over
        the border of a clip are moved inside; a clip shorter than a patch has one,
        which goes on in silence.

        Parameters
        ----------
        X : array of shape (n_clips, n_samples), or list of waveforms or paths
            Or spectrograms, as in `fit`.
        hop : float or None, default=None
            Seconds from one frame to the next, or frames where the rate of X is
            unknown; None sets them side by side.

        Returns
        -------
        embeddings : ndarray of shape (n_clips, n_features, n_frames)
            Or, if clips differ in length, a 1-D object array of `n_clips` arrays
            (n_features, n_frames_i).
        timestamps : ndarray of shape (n_clips, n_frames)
            Seconds from the start of a clip to the centres of its frames; a 1-D
            object array if clips differ in length.
        """
        check_is_fitted(self)
        return self._embedded_frames(X, hop)

    def energy_patches(self, X):
        """Take the patch of most energy of every clip, as training sees it.

        Parameters
        ----------
        X : array of shape (n_clips, n_samples), or list of waveforms or paths
            Or spectrograms, as in `fit`.

        Returns
        -------
        patches : ndarray of shape (n_clips, 96, 96)
            Bands and frames of the spectrogram as it is, not scaled.
        """
        check_is_fitted(self)
        views, _ = self._read(X, reset=False)
        return views[views.names[0]]

    def inverse_transform(self, Z):
        """Decode embeddings to patches of a spectrogram.

        Parameters
        ----------
        Z : array-like of shape (n_clips, n_features)
            Embeddings of `transform`.

        Returns
        -------
        patches : ndarray of shape (n_clips, 96, 96)
            Bands and frames, in the unit of the spectrogram.
        """
        check_is_fitted(self)
        self._check_decodes(AUDIO, "patches")
        scaled = self.net_.computed(self._checked_embeddings(Z), "audio_decoder")
        return self.scaler_.inverse_transform(scaled)

    @classmethod
    def from_weights(cls, source, tag_encoder=None, *, scaler=None, tags=None):
        """Make a fitted embedder of published files, or of those of `save_weights`.

        It embeds clips as `PretrainedEmbedder` does, and searches by word with the
        vocabulary that the networks were trained with.

        Parameters
        ----------
        source : str or path-like
            File of the audio encoder, such as ``audio_encoder_epoch_200.pt``; or a
            folder with all files, of names that begin as those of `save_weights`.
        tag_encoder : str or path-like, default=None
            File of the tag encoder, such as ``tag_encoder_epoch_200.pt``. None takes
            what is in the folder.
        scaler : str or path-like, default=None
            File of the scaling, ``scaler_top_1000.pkl``. None takes what is in the
            folder.
        tags : str, path-like or list of str, default=None
            The vocabulary, in the order of the network's inputs: a list, or a file such
            as ``id2token_top_1000.json``. None takes what is in the folder.

        Returns
        -------
        embedder : CoalaEmbedder
            Fitted, with decoders if the folder has them.

        Raises
        ------
        ValueError
            If a file is missing, damaged, or does not go with the others.
        """
        path = Path(source)
        files: dict[str, Any] = files_in(path) if path.is_dir() else {}
        if not path.is_dir():
            files["audio_encoder"] = path
        given = {"tag_encoder": tag_encoder, "scaler": scaler}
        files |= {name: file for name, file in given.items() if file is not None}
        for name in ("audio_encoder", "tag_encoder"):
            if name not in files:
                raise ValueError(f"No file of the {name} in {source}. Pass its path.")
        embedder = cls()
        fill(embedder, files, tags)
        return embedder

    # -- inside ---------------------------------------------------------------------
    def _networks_to_save(self) -> Any:
        check_is_fitted(self)
        return networks_to_save(self)

    def _indicators(self, X: Any, tags: Any) -> tuple[np.ndarray, np.ndarray | None]:
        """Tags (n_clips, n_tags) of the clips that have any, and which clips these are.

        Rows are None if all have.
        """
        self._check_parameters()
        if tags is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is "
                "None. Pass the tags of the clips."
            )
        check_consistent_length(X, tags)
        if _num_samples(X) < 2:
            raise ValueError(
                "A contrast needs clips to compare with each other: at least 2; got 1 "
                "sample."
            )
        self.binarizer_ = clone(self.binarizer or TagBinarizer())
        self.binarizer_.set_params(sparse_output=True).set_output(transform="default")
        found = self.binarizer_.fit_transform(tags)
        self.tags_ = self.binarizer_.classes_
        if len(self.tags_) > MOST_TAGS:
            raise ValueError(
                f"The clips have {len(self.tags_)} different tags, each an input "
                f"of the network: at most {MOST_TAGS} are taken. Set max_features or "
                "min_df of the binarizer."
            )
        indicators = found.astype(np.uint8).toarray()
        self.binarizer_.set_params(sparse_output=False)
        has_tags = indicators.any(axis=1)
        if has_tags.all():
            return indicators, None
        return indicators[has_tags], self._rows_with(has_tags)

    def _rows_with(self, has_tags: np.ndarray) -> np.ndarray:
        """Rows of clips with tags; a warning names those without."""
        rows, without = np.flatnonzero(has_tags), np.flatnonzero(~has_tags)
        if len(rows) < 2:
            raise ValueError(
                f"Of {len(has_tags)} clips, {len(rows)} have a tag of the vocabulary; "
                "training needs at least 2. binarizer_.dropped_ of a TagBinarizer "
                "lists the words that were left out."
            )
        warnings.warn(
            f"{len(without)} of {len(has_tags)} clips have no tag of the vocabulary "
            f"and are left out of training: clips {shortened(without.tolist())}.",
            UserWarning,
            stacklevel=4,
        )
        return rows

    def _check_parameters(self) -> None:
        weights: Any = self.loss_weights
        numbers = [isinstance(w, Real) and 0 <= float(w) < np.inf for w in weights]
        if len(weights) != len(TERMS) or not all(numbers) or not any(weights):
            raise ValueError(
                "loss_weights must be three numbers, not below 0 and not all 0, for "
                f"audio, tags and contrast; got {weights!r}."
            )
        if not any(self._weights.values()):
            raise ValueError(
                f"Without reconstruction only the contrast counts, and loss_weights="
                f"{weights!r} give it none. Set reconstruction=True, or a weight."
            )

    @property
    def _weights(self) -> dict[str, float]:
        """Weight of every term of the loss, 0 for those that are not computed."""
        weights = dict(zip(TERMS, map(float, self.loss_weights), strict=True))
        if not self.reconstruction:
            weights |= {AUDIO: 0.0, TAGS: 0.0}
        return weights

    def _loss_weights(self) -> LossWeights:
        weights = self._weights
        return FixedWeights({k: w for k, w in weights.items() if w or k == CONTRAST})

    def _module(self) -> dict[str, Any]:
        return {
            "module": Coala,
            "module__width": self.width,
            "module__dropout": self.dropout,
            "module__decodes_audio": self._weights[AUDIO] > 0,
            "module__decodes_tags": self._weights[TAGS] > 0,
        }

    @property
    def _n_features_out(self) -> int:
        return int(self.net_.module_.audio_encoder.n_features)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
