"""The classical baselines of the manual, from paths or waveforms to labels."""

from __future__ import annotations

import pandas as pd
import pytest
import soundfile
from numpy.testing import assert_array_equal
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaudio.datasets import make_sounds
from skaudio.ensemble import FrameClassifier
from skaudio.mixture import GMMClassifier
from skaudio.preprocessing import FrameStatistics
from skaudio.views import MFCCView


def mfcc_mlp(**loading):
    return make_pipeline(
        MFCCView(n_mfcc=20, delta=2, **loading),
        FrameStatistics(),
        StandardScaler(),
        MLPClassifier((256,), max_iter=500, random_state=0),
    )


def mfcc_gmm(n_components, **loading):
    frames = make_pipeline(
        StandardScaler(), GMMClassifier(n_components=n_components, random_state=0)
    )
    return make_pipeline(
        MFCCView(n_mfcc=20, delta=2, **loading), FrameClassifier(frames)
    )


@pytest.mark.parametrize("model", [mfcc_mlp(sr=8000), mfcc_gmm(8, sr=8000)])
def test_better_than_chance_on_synthetic_sounds(model):
    X, y = make_sounds(n_clips=80, n_classes=4, duration=0.5, sr=8000, random_state=0)
    scores = cross_val_score(model, X, y, cv=StratifiedKFold(4))
    assert 0.5 < scores.mean() < 1.0  # chance is 0.25


@pytest.mark.parametrize("model", [mfcc_mlp(sr=8000), mfcc_gmm(4, sr=8000)])
def test_paths_and_waveforms_agree(model, sounds, tmp_path):
    X, y = sounds
    paths = [tmp_path / f"{i}.wav" for i in range(len(X))]
    for path, clip in zip(paths, X, strict=True):
        soundfile.write(path, clip, 8000, subtype="FLOAT")
    from_waveforms = model.fit(X, y).predict_proba(X)
    from_paths = model.fit(paths, y).predict_proba(paths)
    assert_array_equal(from_paths, from_waveforms)


@pytest.mark.parametrize(
    "model", [mfcc_mlp(duration=2.0), mfcc_gmm(8, duration=2.0, trim_silence=True)]
)
def test_real_sounds_of_other_sources(model, shared_data):
    # the first fold of ESC-10 predicts a few classes of the second
    table = pd.read_csv(shared_data / "esc10" / "esc10.csv")
    table = table[table.category.isin(["dog_bark", "rain", "clock_tick", "helicopter"])]
    paths = shared_data / "esc10" / "audio" / table.filename
    first, second = table.fold == 1, table.fold == 2
    model.fit(list(paths[first]), table.category[first])
    assert model.score(list(paths[second]), table.category[second]) > 0.5
