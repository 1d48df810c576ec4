"""`frequencies` of views: where their bins lie, in Hz."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
from numpy.testing import assert_allclose

from skaudio.nn import mel_filterbank
from skaudio.views import (
    CoalaView,
    CQTView,
    GammatoneView,
    MeanPoolView,
    MelView,
    MFCCView,
    RawView,
    STFTView,
)

SR = 8000


def test_mel_bands_are_where_librosa_has_them():
    view = MelView(sr=SR, n_mels=40, fmin=50.0, fmax=3500.0)
    edges = librosa.mel_frequencies(42, fmin=50.0, fmax=3500.0)
    assert_allclose(view.frequencies, edges[1:-1])
    # of HTK's scale by its formula: evenly spaced on 2595 log10(1 + f / 700)
    htk = MelView(sr=SR, n_mels=3, htk=True).frequencies
    top = 2595 * np.log10(1 + 4000 / 700)
    assert_allclose(htk, 700 * (10 ** (np.arange(1, 4) / 4 * top / 2595) - 1))
    coala = CoalaView()
    edges = librosa.mel_frequencies(98, fmin=0.0, fmax=coala.sr / 2)
    assert_allclose(coala.frequencies, edges[1:-1])


def test_bands_of_a_constant_q_transform_are_semitones():
    assert_allclose(
        CQTView(n_bins=25).frequencies, librosa.cqt_frequencies(25, fmin=32.703195)
    )
    view = CQTView(n_bins=3, fmin=110.0, bins_per_octave=1)
    assert_allclose(view.frequencies, [110, 220, 440])


def test_gammatone_bands_are_even_on_the_erb_scale():
    found = GammatoneView(sr=SR, n_bins=32).frequencies
    erb = np.log(found + 9.26449 * 24.7)  # but for a factor and a shift
    assert_allclose(np.diff(erb), np.diff(erb)[0])
    assert found[0] == pytest.approx(50)
    assert found[-1] < 4000


def test_bins_of_a_transform_and_what_has_no_frequency():
    assert_allclose(STFTView(sr=SR, n_fft=8).frequencies, [0, 1000, 2000, 3000, 4000])
    for view in (MFCCView(), RawView(), MeanPoolView()):
        assert view.frequencies is None


def test_filters_on_bins_of_the_transform_peak_there():
    view = MelView(sr=SR, n_mels=12, n_fft=256, htk="bins")
    bank = mel_filterbank(SR, 256, 12, 0.0, None, htk="bins", norm=None)
    assert_allclose(view.frequencies, bank.argmax(axis=1) * SR / 256)


def test_coefficients_are_named_before_their_derivatives():
    """As they are stacked."""
    view = MFCCView(sr=SR, n_mfcc=3, delta=2)
    names = view.get_feature_names_out().tolist()
    kinds = ("", "_delta", "_delta2")
    assert names == [f"mfcc{i}{kind}" for kind in kinds for i in range(3)]
    X = np.random.default_rng(0).normal(size=(1, SR))
    plain = MFCCView(sr=SR, n_mfcc=3).transform(X)
    assert_allclose(view.transform(X)[:, :3], plain, atol=1e-4)
