"""`ListeningReport`: a page on which the errors of a classifier are heard."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length, check_random_state

from skaudio._utils._files import replacing
from skaudio._utils._rows import clips_of
from skaudio.inspection._listening_report_clips import Labelled, clip_table, names_of
from skaudio.inspection._listening_report_model import (
    embedded,
    opinions_of,
    rates_of,
)
from skaudio.inspection._listening_report_opinions import (
    PROBABILITY,
    Opinions,
    features_of_scores,
)
from skaudio.inspection._listening_report_page import page_of
from skaudio.inspection._listening_report_parts import (
    Heard,
    Options,
    check_options,
    check_proba,
    heard_of,
    positions,
    scored,
    sounding,
)

FRAME = (
    '<iframe class="skaudio-listening-report" title="{title}" sandbox="allow-scripts" '
    'style="width: 100%; height: 900px; border: 0" srcdoc="{page}"></iframe>'
)


class ListeningReport:
    """Hear where a classifier is wrong: one page with sounds, scores and pictures.

    The page has the accuracy with an interval, the confusion matrix, scores of every
    class, a map of the clips, and a list of the clips: most confident mistakes
    first, then those that the model was least certain of. Each clip has a player, a
    spectrogram, the probabilities of its classes, and what each branch or view said.
    A click on a cell of the matrix filters the list, one on a point of the map plays
    its clip, and all of it works by keyboard.

    It is one file, which fetches nothing and so can be sent or kept with a model. In a
    notebook the report shows itself.

    Use :meth:`from_estimator`, or :meth:`from_predictions` for predictions that there
    are already, such as those of :func:`~sklearn.model_selection.cross_val_predict`.

    Parameters
    ----------
    clips : DataFrame
        See Attributes.
    classes : list of str
        Names of the classes or tags.
    scores : DataFrame
        See Attributes.
    summary : dict of str to float
        See Attributes.
    confusion_matrix : ndarray of shape (n_classes, n_classes) or None, default=None
        None for tags.
    proba : ndarray of shape (n_clips, n_classes) or None, default=None
        Probabilities, or values of a decision function; None of a model that has
        neither.
    score_name : {"probability", "decision_function"} or None, default=None
        What `proba` holds.
    branches : dict of str to ndarray of shape (n_clips, n_classes), default=None
        Probabilities by branch, view or member.
    embedding : ndarray of shape (n_clips, 2) or None, default=None
        Where the clips are on the map; NaN is nowhere.
    embedding_caption : str, default=""
        What the map shows.
    sounds : dict of int to Sound, default=None
        By row of X, of clips that can be heard.
    notes : list of str, default=None
        What a reader has to know, in sentences.
    title : str, default="Listening report"
        Heading of the page.
    sr : float or None, default=None
        Rate of the sounds in Hz.

    Attributes
    ----------
    clips : DataFrame
        One row per clip, in the order of X: `name`, `source` (if there are groups),
        `true` and `predicted` (of tags, tuples), `right`, `probability` of the
        prediction, `margin` between the two most probable classes (of tags, twice the
        distance from 0.5 of the least certain one), `rank` of the true class (1 is the
        most probable; NaN for tags), `order` in which to listen, from 0, and `remark`,
        such as why there is no sound.
    scores : DataFrame
        One row per class or tag: `n_clips` that are of it, and `precision`, `recall`
        and `f1`, for tags also `average_precision`; each with the ends of its 95 %
        interval, `precision_low` and `precision_high`.
    summary : dict of str to float
        `n_clips`, `n_sources` (if there are groups), `n_classes`, `n_mistakes`,
        `accuracy` and `macro_f1`, of tags `mean_average_precision` and `exact_match`,
        each figure with `_low` and `_high`; `chance`, the accuracy of always taking
        the most frequent class.
    confusion_matrix : ndarray of shape (n_classes, n_classes) or None
        Clips by true class (rows) and predicted class (columns).

    See Also
    --------
    PlayerTable : A plain table with players.
    EmbeddingDisplay : Clips in the plane, with matplotlib.

    Notes
    -----
    Intervals are of 95 %. Those of accuracy, precision, recall and F1 are Wilson's
    [1]_, which hold with few clips and where all are right. With `groups`, clips of one
    source are not taken for independent: the number of clips is replaced by the one
    that explains the variance between sources, or by that of sources where all agree.
    Intervals of macro F1 and of average precision are percentiles of 1000 bootstrap
    resamples of the sources, or of the clips without `groups`; they are too narrow
    where few clips have a tag.

    References
    ----------
    .. [1] E. B. Wilson, "Probable inference, the law of succession, and statistical
       inference", Journal of the American Statistical Association 22(158), 1927,
       pp. 209-212. With an effective number of clips: E. L. Korn and B. I. Graubard,
       "Confidence intervals for proportions with small expected number of positive
       counts estimated from survey data", Survey Methodology 24(2), 1998, pp. 193-201.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.inspection import ListeningReport
    >>> from skaudio.preprocessing import FrameStatistics
    >>> from skaudio.views import MFCCView
    >>> X, y = make_sounds(n_clips=40, n_classes=3, sr=8000, random_state=0)
    >>> model = make_pipeline(
    ...     MFCCView(sr=8000), FrameStatistics(), StandardScaler(), LogisticRegression()
    ... )
    >>> model = model.fit(X[:20], y[:20])
    >>> report = ListeningReport.from_estimator(model, X[20:], y[20:])
    >>> report
    ListeningReport of 20 clips, 3 classes: accuracy 0.85; 20 can be heard
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report.save(Path(folder, "report.html"))
    """

    def __init__(
        self,
        *,
        clips: Any,
        classes: list[str],
        scores: Any,
        summary: Mapping[str, float],
        confusion_matrix: np.ndarray | None = None,
        proba: np.ndarray | None = None,
        score_name: str | None = None,
        branches: Mapping[str, np.ndarray] | None = None,
        embedding: np.ndarray | None = None,
        embedding_caption: str = "",
        sounds: Mapping[int, Any] | None = None,
        notes: list[str] | None = None,
        title: str = "Listening report",
        sr: float | None = None,
    ) -> None:
        self.clips = clips
        self.classes = classes
        self.scores = scores
        self.summary = dict(summary)
        self.confusion_matrix = confusion_matrix
        self.proba = proba
        self.score_name = score_name
        self.branches = dict(branches or {})
        self.embedding = embedding
        self.embedding_caption = embedding_caption
        self.sounds = dict(sounds or {})
        self.notes = list(notes or [])
        self.title = title
        self.sr = sr

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        groups: Any = None,
        sounds: Any = None,
        sr: float | None = None,
        names: Any = None,
        class_names: Any = None,
        embedder: Any = None,
        method: str = "tsne",
        audio: str = "ogg",
        max_clips: int = 200,
        max_duration: float = 10.0,
        max_size: float = 25e6,
        normalize: bool = False,
        title: str | None = None,
        random_state: Any = 0,
        verbose: int = 0,
    ) -> ListeningReport:
        """Predict, and put together what there is to hear.

        Parameters
        ----------
        estimator : classifier, Pipeline or search
            Fitted. With ``predict_proba`` clips are sorted by confidence and have bars;
            ``decision_function`` serves for the order; else the page says what is
            missing. What precedes the last step is run once. Branches of
            :class:`~skaudio.neural_network.MultiViewBlendingClassifier` and members of
            :class:`~skaudio.ensemble.LateFusionClassifier` are shown.
        X : list of paths or waveforms, array of shape (n_clips, n_samples), or Views
            Clips that the estimator was not fitted on, as it takes them. A view
            with ``on_error="nan"`` lets clips pass that cannot be loaded: they are
            listed, without prediction.
        y : array-like of shape (n_clips,) or (n_clips, n_tags)
            Class of each clip, or an indicator matrix of tags, NaN where unknown. The
            columns of a data frame name the tags. Classes that the model does not know
            are mistakes, and are named.
        groups : array-like of shape (n_clips,), default=None
            Source of each clip, such as the recording it was cut from: shown, and
            honoured by the intervals (see Notes of the class).
        sounds : list of paths or waveforms, array or None, default=None
            What is heard of each clip, where `X` is no sound but views or features, or
            where another version is better heard. None takes `X`; if that is views the
            page has no players and says so.
        sr : float or None, default=None
            Rate in Hz of the sounds. Arrays are taken to be at it, files are resampled.
            None is the rate of the model, so that one hears and sees what it does;
            of files 22050 if it has none.
        names : sequence of str, default=None
            Names of the clips. None takes names of files, or numbers.
        class_names : sequence of str, default=None
            Names of the classes, in the order of ``classes_``, or of the tags.
        embedder : transformer or array of shape (n_clips, n_features), default=None
            What the map is made of. None takes what the model has: the
            last hidden layer of a network, the features that the last step of a
            pipeline is given, else probabilities. The caption says which.
        method : {"tsne", "pca"}, default="tsne"
            How features become two numbers. t-SNE keeps neighbours together; PCA is
            quicker with thousands of clips, and its distances mean something.
        audio : {"ogg", "flac", "wav", "link"}, default="ogg"
            How sound is put into the page. Ogg Vorbis is smallest, but older versions
            of Safari do not play it; FLAC and WAV have 16 bit. "link" keeps the page
            small: it refers to the files by relative paths, so both must move together,
            and browsers must know the format; arrays become WAV.
        max_clips : int, default=200
            Clips that can be heard: mistakes, the least certain, then some of every
            class at random. All clips are listed. 0 is a report without sound.
        max_duration : float, default=10.0
            Seconds of a clip that are heard and seen.
        max_size : float, default=25e6
            Most bytes of the page. Fewer clips have sound if it would become larger.
        normalize : bool, default=False
            Scale every sound to a peak of 1. Otherwise sounds are as loud as they are;
            only what exceeds 1 is scaled down to it, and says so.
        title : str or None, default=None
            Heading of the page; None is "Listening report".
        random_state : int, RandomState instance or None, default=0
            Seed of resamples, of t-SNE, and of the clips that are drawn.
        verbose : int, default=0
            Show a progress bar of the sounds if positive.

        Returns
        -------
        ListeningReport
            The report.

        Raises
        ------
        ValueError
            If the rate of arrays is not known, lengths differ, no class of `y` is known
            to the model, or the page is larger than `max_size` without any sound.

        Examples
        --------
        See the class.
        """
        options = Options(
            sr, audio, max_clips, max_duration, max_size, normalize, verbose, method
        )
        check_options(options)
        labels = Labelled.of(y, class_names)
        clips_of(X)  # refuses what is no collection of clips, such as one path
        check_consistent_length(X, y, groups, names, sounds)
        sounds = X if sounds is None else sounds
        heard = heard_of(sounds, options, rates_of(estimator))
        found = opinions_of(estimator, X, labels.y)
        if embedder is not None:
            found = found.with_features(*embedded(embedder, X))
        names = names_of(sounds, len(labels), names)
        told = {"names": names, "groups": groups, "title": title}
        return cls._made(labels, found, heard, options, told, random_state)

    @classmethod
    def from_predictions(
        cls,
        X: Any,
        y: Any,
        y_proba: Any,
        *,
        classes: Any = None,
        branches: Mapping[str, Any] | None = None,
        groups: Any = None,
        sr: float | None = None,
        names: Any = None,
        class_names: Any = None,
        embeddings: Any = None,
        method: str = "tsne",
        audio: str = "ogg",
        max_clips: int = 200,
        max_duration: float = 10.0,
        max_size: float = 25e6,
        normalize: bool = False,
        title: str | None = None,
        random_state: Any = 0,
        verbose: int = 0,
    ) -> ListeningReport:
        """Put together what there is to hear, of predictions that there are.

        Parameters
        ----------
        X : list of paths or waveforms, array of shape (n_clips, n_samples), or Views
            The sound of the clips; views have none.
        y : array-like of shape (n_clips,) or (n_clips, n_tags)
            Class of each clip, or an indicator matrix of tags.
        y_proba : array-like of shape (n_clips, n_classes), or (n_clips,)
            Probabilities, such as ``cross_val_predict(..., method="predict_proba")``
            gives; the most probable class is the prediction, and of tags those above
            0.5. Rows of NaN have no prediction. One column of labels: predictions
            without probabilities.
        classes : array-like of shape (n_classes,), default=None
            Class of each column of `y_proba`. None is those of `y` in order, as
            scikit-learn has them.
        branches : dict of str to array-like of shape (n_clips, n_classes), default=None
            Probabilities by other models, such as of single views, to show beside.
        groups : array-like of shape (n_clips,), default=None
            Source of each clip, see `from_estimator`.
        sr : float or None, default=None
            Rate in Hz of the sounds. Arrays need it; None is 22050 for files.
        names : sequence of str, default=None
            Names of the clips. None takes names of files, or numbers.
        class_names : sequence of str, default=None
            Names of the classes, in the order of `classes`, or of the tags.
        embeddings : array-like of shape (n_clips, n_features), default=None
            What the map is made of; None takes the probabilities.
        method : {"tsne", "pca"}, default="tsne"
            How features become two numbers, see `from_estimator`.
        audio : {"ogg", "flac", "wav", "link"}, default="ogg"
            How sound is put into the page, see `from_estimator`.
        max_clips : int, default=200
            Clips that can be heard, see `from_estimator`.
        max_duration : float, default=10.0
            Seconds of a clip that are heard and seen.
        max_size : float, default=25e6
            Most bytes of the page. Fewer clips have sound if it would become larger.
        normalize : bool, default=False
            Scale every sound to a peak of 1.
        title : str or None, default=None
            Heading of the page; None is "Listening report".
        random_state : int, RandomState instance or None, default=0
            Seed of resamples, of t-SNE, and of the clips that are drawn.
        verbose : int, default=0
            Show a progress bar of the sounds if positive.

        Returns
        -------
        ListeningReport
            The report.

        Raises
        ------
        ValueError
            If `y_proba` has not a column for each class, or as `from_estimator`.

        Examples
        --------
        >>> import numpy as np
        >>> from skaudio.inspection import ListeningReport
        >>> clips = [np.zeros(800), np.ones(900), np.ones(700)]
        >>> proba = [[0.9, 0.1], [0.7, 0.3], [0.4, 0.6]]
        >>> report = ListeningReport.from_predictions(
        ...     clips, ["cat", "dog", "dog"], proba, sr=8000
        ... )
        >>> report.clips[["true", "predicted", "probability", "order"]]
          true predicted  probability  order
        0  cat       cat          0.9      2
        1  dog       cat          0.7      0
        2  dog       dog          0.6      1
        """
        options = Options(
            sr, audio, max_clips, max_duration, max_size, normalize, verbose, method
        )
        check_options(options)
        labels = Labelled.of(y, class_names)
        clips_of(X)
        check_consistent_length(X, y, y_proba, groups, names)
        heard = heard_of(X, options, [])
        found = check_proba(y_proba, classes, labels, branches)
        map_of = features_of_scores(found.scores, PROBABILITY)
        if embeddings is not None:
            map_of = embedded(embeddings, X)
        found = found.with_features(*map_of)
        names = names_of(X, len(labels), names)
        told = {"names": names, "groups": groups, "title": title}
        return cls._made(labels, found, heard, options, told, random_state)

    @classmethod
    def _made(
        cls,
        labels: Labelled,
        found: Opinions,
        heard: Heard,
        options: Options,
        told: dict[str, Any],
        random_state: Any,
    ) -> ListeningReport:
        rng = check_random_state(random_state)
        coded = labels.coded(found)
        parts = scored(coded, found, told["groups"], rng)
        place, caption, notes = positions(found, options.method, rng)
        report = cls(
            clips=clip_table(coded, found, told["names"], told["groups"]),
            classes=coded.names,
            proba=found.scores,
            score_name=found.kind,
            branches=found.branches,
            embedding=place,
            embedding_caption=caption,
            title="Listening report" if told["title"] is None else str(told["title"]),
            **parts,
        )
        report.notes += coded.notes + notes
        size = len(report.to_html().encode())
        sounding(report, heard, coded.right(), options, size, rng)
        return report

    # ------------------------------------------------------------------------ pages
    def to_html(self, folder: str | os.PathLike[str] | None = None) -> str:
        """Write the page.

        Parameters
        ----------
        folder : path-like or None, default=None
            Where the page will lie, for links to files; None is the current one.

        Returns
        -------
        page : str
            A whole HTML document.
        """
        return page_of(self, Path.cwd() if folder is None else Path(folder).absolute())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file, for any browser.

        Parameters
        ----------
        path : str or path-like
            File to write, by convention ending in ``.html``.
        """
        page = self.to_html(Path(path).parent)
        with replacing(path) as part:
            part.write_text(page, encoding="utf-8", newline="\n")

    def _repr_html_(self) -> str:
        # a frame, so that styles and scripts of the page and the notebook stay apart
        title = html.escape(self.title)
        return FRAME.format(title=title, page=html.escape(self.to_html()))

    def __repr__(self) -> str:
        figures = ", ".join(
            f"{name.replace('_', ' ')} {self.summary[name]:.3g}"
            for name in ("accuracy", "mean_average_precision")
            if name in self.summary
        )
        return (
            f"ListeningReport of {len(self.clips)} clips, {len(self.classes)} "
            f"{'tags' if self.confusion_matrix is None else 'classes'}: {figures}; "
            f"{len(self.sounds)} can be heard"
        )
