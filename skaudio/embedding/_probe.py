"""`make_probe`: a classifier of embeddings, in one call."""

from __future__ import annotations

from typing import Any

from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

HEADS: dict[str, tuple[type[Any], dict[str, Any], bool]] = {
    # class, parameters, whether it needs standardised features
    "mlp": (MLPClassifier, {"hidden_layer_sizes": (256,)}, True),
    "svm": (SVC, {}, False),
    "logistic": (LogisticRegression, {"max_iter": 1000}, True),
    "lda": (
        LinearDiscriminantAnalysis,
        {"solver": "lsqr", "shrinkage": 0.3},
        True,
    ),
}


def make_probe(
    embedder: Any,
    *,
    head: str = "mlp",
    tags: bool = False,
    random_state: Any = None,
    **head_params: Any,
) -> Pipeline:
    """Make a Pipeline of an embedder and a small classifier of embeddings.

    Parameters
    ----------
    embedder : transformer
        From clips to a table of features, such as `PretrainedEmbedder`,
        `LayerEmbedder` or a FeatureUnion of several.
    head : {"mlp", "svm", "logistic", "lda"}, default="mlp"
        "mlp" is a network with one hidden layer of 256 units on standardised features,
        as in the COALA paper; the SampleCNN paper has two of 4096,
        ``hidden_layer_sizes=(4096, 4096)``. "svm" is a support vector machine with a
        Gaussian kernel on the features as they are, as in the SampleCNN authors' code
        (see Notes). "logistic" is a logistic regression on standardised features.
        "lda" is a linear discriminant analysis whose covariances are shrunk by 0.3,
        for embeddings with more numbers than there are clips.
    tags : bool, default=False
        Whether y is an indicator matrix of tags; all but "mlp" then have one classifier
        per tag.
    random_state : int, RandomState instance or None, default=None
        Seed of the head; "lda" has nothing random.
    **head_params : dict
        Further parameters of the head, as scikit-learn calls them: ``alpha``,
        ``early_stopping``, ``C``, ``shrinkage``.

    Returns
    -------
    probe : Pipeline
        Steps "embedder", "scaler" (not for "svm") and "head".

    See Also
    --------
    LayerEmbedder : Hidden layers of a network.
    PretrainedEmbedder : Published weights.
    probe_table : Accuracies of such probes in all folds, as papers report them.

    Notes
    -----
    The authors subtract one mean from all features, divide them by one standard
    deviation, and set the kernel's gamma to one over their number. scikit-learn's
    ``gamma="scale"`` divides by the variance of all features too, and a kernel does not
    change by a shift: without scaling it is the same classifier.

    References
    ----------
    Favory et al., "COALA", ICML workshop on self-supervision in audio and speech, 2020,
    Section 3.2. Lee et al., "SampleCNN", Applied Sciences 8(1):150, 2018, Section 5.5.

    Examples
    --------
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.embedding import make_probe
    >>> from skaudio.preprocessing import FrameStatistics
    >>> from skaudio.views import MFCCView
    >>> from sklearn.pipeline import make_pipeline
    >>> X, y = make_sounds(n_clips=20, n_classes=2, sr=8000, random_state=0)
    >>> embedder = make_pipeline(MFCCView(sr=8000), FrameStatistics())
    >>> probe = make_probe(embedder, head="logistic", C=0.1)
    >>> probe.fit(X, y).predict(X).shape
    (20,)
    """
    if head not in HEADS:
        raise ValueError(f"head must be one of {list(HEADS)}; got {head!r}.")
    kind, defaults, scaled = HEADS[head]
    if "random_state" in kind().get_params():
        defaults = {**defaults, "random_state": random_state}
    classifier = kind(**{**defaults, **head_params})
    if tags and head != "mlp":
        classifier = OneVsRestClassifier(classifier)
    steps: list[tuple[str, Any]] = [("embedder", embedder)]
    if scaled:
        steps.append(("scaler", StandardScaler()))
    return Pipeline([*steps, ("head", classifier)])
