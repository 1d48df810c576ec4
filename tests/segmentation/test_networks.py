"""Networks that label frames, in one pass and fine-tuned or distilled."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from segmented import mfcc
from sklearn.frozen import FrozenEstimator
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from skaudio.embedding import LayerEmbedder
from skaudio.neural_network import (
    CRNNClassifier,
    DistilledClassifier,
    FineTunedClassifier,
    SelfNormalizingClassifier,
    SwishNetClassifier,
)
from skaudio.persistence import load, save
from skaudio.preprocessing import ViewScaler
from skaudio.segmentation import FrameSegmenter
from skaudio.segmentation._sources import OnePass, Windows
from skaudio.views import MFCCView

SHORT = {"max_epochs": 1, "random_state": 0, "device": "cpu"}
VIEW = mfcc(n_mels=32)
MODELS = {
    "behind a view": make_pipeline(VIEW, ViewScaler(), SwishNetClassifier(**SHORT)),
    "with a view": SwishNetClassifier(views=VIEW, **SHORT),
    "not causal": make_pipeline(VIEW, SwishNetClassifier(causal=False, **SHORT)),
    "of frames": make_pipeline(VIEW, SelfNormalizingClassifier(**SHORT)),
}


def sources(segmenter):
    return segmenter._source(segmenter.estimator_)[0]


@pytest.mark.parametrize("name", MODELS)
def test_one_pass_equals_the_whole(name, clips, recording):
    model = MODELS[name].fit(*clips)
    last = model[-1] if name != "with a view" else model
    X = [recording] if last is model else model[:-1].transform([recording])
    (whole,), _ = last.predict_frames_proba(X)
    for block in (0.3, 30):
        segmenter = FrameSegmenter(FrozenEstimator(model), median=1, block=block).fit()
        assert isinstance(sources(segmenter), OnePass)
        (proba,), _ = segmenter.predict_frames_proba([recording])
        assert_allclose(proba, whole[:, : proba.shape[1]], atol=1e-5)


def test_one_pass_equals_one_call_per_frame(clips, recording):
    """A frame's probability is that of the piece it depends on, by itself."""
    model = MODELS["behind a view"].fit(*clips)
    segmenter = FrameSegmenter(FrozenEstimator(model), median=1).fit()
    (proba,), _ = segmenter.predict_frames_proba([recording])
    before, after = model[-1].frame_context
    view = model[:-1].transform([recording])[0]
    for frame in (0, 1, 100, 237, 400, 560, 574):
        piece = view[:, max(0, frame - before) : frame + after + 1]
        (alone,), _ = model[-1].predict_frames_proba([piece])
        assert_allclose(proba[:, frame], alone[:, min(frame, before)], atol=1e-5)


def test_fine_tuned_and_distilled_networks(clips, recording):
    model = MODELS["behind a view"].fit(*clips)
    tuned = FineTunedClassifier(FrozenEstimator(model), max_epochs=1, random_state=0)
    student = make_pipeline(VIEW, ViewScaler(), SwishNetClassifier(**SHORT))
    distilled = DistilledClassifier(student, FrozenEstimator(model))
    for estimator in (tuned, distilled):
        segmenter = FrameSegmenter(estimator, median=21).fit(*clips)
        assert isinstance(sources(segmenter), OnePass)
        assert segmenter.predict([recording])["end"].iloc[-1] == 5.75


def test_networks_of_clips_take_windows(clips, recording):
    net = CRNNClassifier(width=0.05, **SHORT)
    model = make_pipeline(mfcc(), net)
    segmenter = FrameSegmenter(model, window=0.5, hop=0.25, median=1).fit(*clips)
    assert isinstance(sources(segmenter), Windows)
    (proba,), _ = segmenter.predict_frames_proba([recording])
    clip = recording[2000 - 2000 : 4000]
    expected = segmenter.estimator_.predict_proba([clip])[0]
    assert_allclose(proba[:, 1], expected, atol=1e-5)
    assert np.isfinite(segmenter.latency_)


class NeverTrained(SwishNetClassifier):
    def fit(self, X, y):
        raise AssertionError("trained for nothing")


def test_a_view_of_whole_clips_is_refused_before_training(clips):
    whole = MFCCView(sr=8000)
    for model in (make_pipeline(whole, NeverTrained()), NeverTrained(views=whole)):
        with pytest.raises(
            ValueError, match=r"MFCCView\(top_db=80.0\) looks at a clip"
        ):
            FrameSegmenter(model).fit(*clips)


def test_a_network_is_saved_in_it(clips, recording, tmp_path):
    model = MODELS["with a view"].fit(*clips)
    segmenter = FrameSegmenter(FrozenEstimator(model), median=21).fit()
    save(segmenter, tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    assert loaded.latency_ == segmenter.latency_
    assert loaded.predict([recording]).equals(segmenter.predict([recording]))


def test_embeddings_take_windows(clips, recording):
    model = MODELS["with a view"].fit(*clips)
    embedder = LayerEmbedder(FrozenEstimator(model), layers=[-1], cache=False)
    classifier = make_pipeline(embedder, GaussianNB())
    segmenter = FrameSegmenter(classifier, window=0.5, hop=0.5, median=1).fit(*clips)
    assert segmenter.sr_ == 8000
    assert isinstance(sources(segmenter), Windows)
    assert segmenter.predict([recording])["end"].iloc[-1] == 5.75
