"""Fitted models and a recording."""

from __future__ import annotations

import numpy as np
import pytest
from segmented import LEVELS, Convolution, mfcc, noise, recording_of
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from skaudio.ensemble import FrameClassifier
from skaudio.preprocessing import ViewScaler


@pytest.fixture(scope="session")
def clips():
    y = np.repeat(list(LEVELS), 4)
    return [noise(0.5, LEVELS[label], 100 + i) for i, label in enumerate(y)], y


@pytest.fixture(scope="session")
def frame_model(clips):
    """A model of single frames."""
    naive = FrameClassifier(GaussianNB())
    return make_pipeline(mfcc(), ViewScaler(), naive).fit(*clips)


@pytest.fixture(scope="session")
def convolution(clips):
    """A model whose frames depend on others."""
    return make_pipeline(mfcc(delta=1), Convolution()).fit(*clips)


@pytest.fixture(scope="session")
def recording():
    parts = [("loud", 1.5), ("quiet", 2.0), ("middle", 1.0), ("loud", 1.25)]
    return recording_of(*parts)
