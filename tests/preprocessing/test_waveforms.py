"""What all transformers from waveforms to waveforms do."""

import numpy as np
import pytest
import soundfile

from skaudio.preprocessing import (
    AudioLoader,
    LogMMSE,
    LoudnessEqualizer,
    SilenceRemover,
)

SR = 16000
TRANSFORMERS = {
    "silence": SilenceRemover(sr=SR),
    "loudness": LoudnessEqualizer(sr=SR),
    "loudness, overlapping": LoudnessEqualizer(
        sr=SR, window=0.2, hop=0.01, level=1, measure="std"
    ),
    "noise": LogMMSE(sr=SR),
}


def recording(n_samples, seed=0):
    """Noise whose level changes by up to 60 dB ten times a second."""
    rng = np.random.default_rng(seed)
    level = np.repeat(10 ** rng.uniform(-3, 0, n_samples // 1600 + 1), 1600)
    return 0.3 * rng.standard_normal(n_samples).clip(-3, 3) * level[:n_samples]


@pytest.fixture(params=TRANSFORMERS)
def transformer(request):
    return TRANSFORMERS[request.param]


def test_rows_do_not_depend_on_their_neighbours(transformer):
    clips = [recording(n, seed=n) for n in (16000, 5000, 80, 1, 16000)]
    together = transformer.transform(clips)
    assert together.shape == (5,)
    for clip, found in zip(clips, together, strict=True):
        np.testing.assert_array_equal(transformer.transform([clip])[0], found)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_and_x_are_kept(transformer, dtype):
    clips = [recording(n).astype(dtype) for n in (16000, 300)]
    before = [clip.copy() for clip in clips]
    for clip in clips:
        clip.flags.writeable = False
    found = transformer.fit_transform(clips)
    assert [w.dtype for w in found] == [dtype, dtype]
    wanted = transformer.transform([clip.astype(np.float64) for clip in clips])
    for clip, copy, one, other in zip(clips, before, found, wanted, strict=True):
        np.testing.assert_array_equal(clip, copy)
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_tables_lists_and_files(transformer, tmp_path):
    pcm = np.round(recording(8000) * 2**14).astype(np.int16)
    table = np.stack([pcm, pcm[::-1]])
    paths = [tmp_path / f"{i}.wav" for i in range(2)]
    for path, row in zip(paths, table, strict=True):
        soundfile.write(path, row, SR)
    wanted = transformer.fit(table).transform(table)
    assert len(wanted) == 2
    for X in (list(table), paths, [(row, SR) for row in table]):
        for found, row in zip(transformer.fit(X).transform(X), wanted, strict=True):
            np.testing.assert_array_equal(found, row)


@pytest.mark.parametrize("n_samples", [1, 2, 80, 799, 40000])
@pytest.mark.parametrize("level", [0.0, 1e-300, 1e-30, 1.0, 1e20, 1e200])
def test_whatever_is_finite_stays_finite(transformer, n_samples, level):
    clip = level * recording(n_samples)
    (found,) = transformer.transform([clip])
    assert np.isfinite(found).all()
    assert len(found) > 0
    if not isinstance(transformer, SilenceRemover):
        assert len(found) == n_samples
    if not level:
        assert not found.any()


def test_no_samples_are_an_error_that_names_the_row(transformer):
    with pytest.raises(ValueError, match="Clip 1 of X has 0 samples"):
        transformer.transform([np.ones(5), np.ones(0)])


def test_failed_clips_keep_their_rows(transformer, tmp_path):
    clip = recording(4000)
    lenient = type(transformer)(**transformer.get_params() | {"on_error": "nan"})
    found = lenient.fit_transform([clip, tmp_path / "none.wav", clip])
    assert np.isnan(found[1]).all()
    assert [error["row"] for error in lenient.errors_] == [1]
    np.testing.assert_array_equal(found[0], transformer.transform([clip])[0])
    np.testing.assert_array_equal(found[2], found[0])


def test_loading_is_that_of_the_loader(transformer):
    """Channels, rates and durations, before anything else happens."""
    stereo = [np.stack([recording(9000), recording(9000, 1)])]
    for X in (stereo, [(stereo[0], 8000)]):
        for options in ({}, {"duration": 0.2}, {"trim_silence": True}):
            params = transformer.get_params() | options
            (loaded,) = AudioLoader(sr=SR, **options).transform(X)
            (found,) = type(transformer)(**params).transform(X)
            np.testing.assert_array_equal(found, transformer.transform([loaded])[0])


def test_names_of_samples():
    X = np.ones((2, 3))
    names = LogMMSE().fit(X).get_feature_names_out()
    assert list(names) == ["sample0", "sample1", "sample2"]
    assert list(SilenceRemover().fit(X).get_feature_names_out()) == ["waveform"]
    assert list(LogMMSE().fit([X[0]]).get_feature_names_out()) == ["waveform"]
