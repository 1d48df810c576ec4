"""One Gaussian mixture per class."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import softmax
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.mixture import GaussianMixture
from sklearn.utils import check_random_state, gen_batches
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted, validate_data

from skaudio._utils._constraints import COUNT, NOT_NEGATIVE
from skaudio._utils._sklearn import StrOptions, _fit_context

# frames x components held at once while predicting: 32 MiB of float64
_BLOCK = 2**22


class GMMClassifier(ClassifierMixin, BaseEstimator):
    """Classifier that models every class with its own Gaussian mixture.

    Each class gets a :class:`~sklearn.mixture.GaussianMixture`; Bayes' rule turns
    likelihoods and priors into class probabilities. Rows of X are independent
    feature vectors: to classify clips frame by frame, as speech and music
    detectors do, put it inside a :class:`~skaudio.ensemble.FrameClassifier`.

    Parameters
    ----------
    n_components : int, default=256
        Gaussians per class. 256 diagonal ones are the baseline of [1]_. A class
        with fewer rows than this gets one component per row, with a warning.
    covariance_type : {"diag", "full", "tied", "spherical"}, default="diag"
        Shape of the covariances, as in :class:`~sklearn.mixture.GaussianMixture`.
        Cepstral coefficients are nearly decorrelated, which suits "diag".
    tol : float, default=1e-3
        EM stops when the mean log-likelihood per row gains less than this. On an hour
        of cepstra 1e-2 took a third of the time, and was 0.2 below in the end.
    reg_covar : float, default=1e-3
        Added to every variance, in squared units of the features. Larger than
        scikit-learn's 1e-6 because many components on few frames otherwise
        collapse onto repeated frames; meant for standardised features.
    max_iter : int, default=100
        Most EM iterations per class.
    n_init : int, default=1
        Initialisations per class; the likeliest is kept.
    init_params : {"kmeans", "k-means++", "random", "random_from_data"}, \
            default="kmeans"
        How the components are initialised.
    priors : "uniform" or array-like of shape (n_classes,), default=None
        Class probabilities before any frame is seen, in the order of ``classes_``;
        rescaled to sum to one. By default, the class frequencies in y.
    n_jobs : int, default=None
        Number of parallel jobs. ``None`` means 1, ``-1`` all processors. The result
        does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Pass an int for the same result at every call.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    class_prior_ : ndarray of shape (n_classes,)
        Prior probability of each class.
    mixtures_ : list of GaussianMixture
        The fitted mixture of each class, in the order of ``classes_``.
    n_components_ : ndarray of shape (n_classes,)
        Components each class really has.
    n_iter_ : ndarray of shape (n_classes,)
        EM iterations of each class.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Feature names, when X is a data frame with string columns.

    References
    ----------
    .. [1] M. S. Hussain and M. A. Haque, "SwishNet: A Fast Convolutional Neural
       Network for Speech, Music and Noise Classification and Segmentation",
       arXiv:1812.00149, 2018 (the GMM baseline of its Tables I and II).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skaudio.mixture import GMMClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> GMMClassifier(n_components=2, random_state=0).fit(X, y).score(X, y) > 0.95
    True
    """

    _parameter_constraints: dict = {
        "n_components": [COUNT],
        "covariance_type": [StrOptions({"diag", "full", "tied", "spherical"})],
        "tol": [NOT_NEGATIVE],
        "reg_covar": [NOT_NEGATIVE],
        "max_iter": [COUNT],
        "n_init": [COUNT],
        "init_params": [
            StrOptions({"kmeans", "k-means++", "random", "random_from_data"})
        ],
        "priors": [StrOptions({"uniform"}), "array-like", None],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        n_components: int = 256,
        covariance_type: str = "diag",
        tol: float = 1e-3,
        reg_covar: float = 1e-3,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "kmeans",
        priors: str | ArrayLike | None = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.priors = priors
        self.n_jobs = n_jobs
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y) -> Self:
        """Fit one mixture per class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Feature vectors, one frame each.
        y : array-like of shape (n_samples,)
            Class labels.

        Returns
        -------
        GMMClassifier
            The fitted classifier.
        """
        X, y = validate_data(self, X, y, dtype=[np.float32, np.float64])
        check_classification_targets(y)
        self.classes_, indices, counts = np.unique(
            y, return_inverse=True, return_counts=True
        )
        self.class_prior_ = self._class_prior(counts)
        self.n_components_ = self._capped_components(counts)
        seeds = check_random_state(self.random_state).randint(
            2**31 - 1, size=len(self.classes_)
        )
        self.mixtures_ = Parallel(n_jobs=self.n_jobs)(
            delayed(_fit_mixture)(self._mixture(k, seed), X[indices == i])
            for i, (k, seed) in enumerate(zip(self.n_components_, seeds, strict=True))
        )
        self.n_iter_ = np.array([mixture.n_iter_ for mixture in self.mixtures_])
        if not all(np.isfinite(m.precisions_cholesky_).all() for m in self.mixtures_):
            raise ValueError(
                "The values of X are too large: variances are not finite. Scale them, "
                "for example with StandardScaler."
            )
        return self

    def predict_joint_log_proba(self, X) -> np.ndarray:
        """Compute log P(c) + log p(x | c) for every row and class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Feature vectors, one frame each.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Unnormalised log-probabilities in float64, columns in the order of
            ``classes_``. Unlike `predict_log_proba` they never reach minus infinity.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=[np.float32, np.float64])
        joint = np.empty((len(X), len(self.classes_)))
        with config_context(array_api_dispatch=False):
            for rows in gen_batches(len(X), max(1, _BLOCK // max(self.n_components_))):
                block = X[rows].astype(np.float64, copy=False)
                for i, mixture in enumerate(self.mixtures_):
                    joint[rows, i] = mixture.score_samples(block)
        finite = np.isfinite(joint).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"Row {int(np.argmin(finite))} of X is too large to compute with: its "
                "log-probabilities are not finite. Scale X as in fit."
            )
        return joint + np.log(self.class_prior_)

    def predict_log_proba(self, X) -> np.ndarray:
        """Compute the log-probability of every class for every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Feature vectors, one frame each.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Logarithm of `predict_proba`.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict_proba(self, X) -> np.ndarray:
        """Compute the probability of every class for every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Feature vectors, one frame each.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``; rows sum to one. Computed and
            returned in float64, whatever the dtype of X.
        """
        return softmax(self.predict_joint_log_proba(X), axis=1)

    def predict(self, X) -> np.ndarray:
        """Predict the most probable class of every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Feature vectors, one frame each.

        Returns
        -------
        ndarray of shape (n_samples,)
            Predicted labels.
        """
        best = np.argmax(self.predict_joint_log_proba(X), axis=1)
        return self.classes_[best]

    def _mixture(self, n_components: int, seed: int) -> GaussianMixture:
        return GaussianMixture(
            n_components=n_components,
            covariance_type=self.covariance_type,
            tol=self.tol,
            reg_covar=self.reg_covar,
            max_iter=self.max_iter,
            n_init=self.n_init,
            init_params=self.init_params,
            random_state=seed,
        )

    def _class_prior(self, counts: np.ndarray) -> np.ndarray:
        if self.priors is None:
            return counts / counts.sum()
        if isinstance(self.priors, str):
            return np.full(len(counts), 1 / len(counts))
        priors = np.asarray(self.priors, dtype=np.float64)
        if priors.shape != counts.shape or not (priors > 0).all():
            raise ValueError(
                f"priors must be {len(counts)} positive numbers, one per class in the "
                f"order {self.classes_.tolist()}; got {self.priors!r}."
            )
        return priors / priors.sum()

    def _capped_components(self, counts: np.ndarray) -> np.ndarray:
        small = counts < self.n_components
        if small.any():
            found = ", ".join(
                f"{label!r}: {count}"
                for label, count in zip(
                    self.classes_[small].tolist(), counts[small], strict=True
                )
            )
            warnings.warn(
                f"Some classes have fewer rows than n_components={self.n_components} "
                f"({found}) and get one component per row. Use fewer components.",
                UserWarning,
                stacklevel=4,
            )
        return np.minimum(counts, self.n_components)


def _fit_mixture(mixture: GaussianMixture, X: np.ndarray) -> GaussianMixture:
    # float64: a variance is a small difference of large squares (c0 of MFCC is about
    # -500 dB), which turns negative in float32. A single row is fitted twice, since
    # GaussianMixture needs two: the result is a spike of variance reg_covar.
    X = X.astype(np.float64, copy=False)
    X = X if len(X) > 1 else np.repeat(X, 2, axis=0)
    with config_context(array_api_dispatch=False):  # k-means takes NumPy only
        return mixture.fit(X)
