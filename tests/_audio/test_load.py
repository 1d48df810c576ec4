"""Sound in: what happens to every odd file and array is stated and tested."""

import gc
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy import signal

from skaudio._audio._decode import decode
from skaudio._audio._load import load_clips, n_samples_of
from skaudio.preprocessing import AudioLoader

SR = 8000


def _tone(seconds=0.5, sr=SR, frequency=440.0, level=0.5):
    t = np.arange(round(seconds * sr)) / sr
    return (level * np.sin(2 * np.pi * frequency * t)).astype(np.float32)


def _write(path, samples, sr=SR, **options):
    soundfile.write(path, samples, sr, **options)
    return path


def _load(X, **options):
    return load_clips(X, **{"sr": SR, **options})


def _read(path, sr=None, duration=None):
    """One file as a waveform, at its own rate unless another is asked for."""
    (waveform,), _ = load_clips(
        [path], sr=sr or soundfile.info(path).samplerate, duration=duration
    )
    return waveform


def _cut(path, kept):
    """Write 3 s of noise (a tone would fit one Ogg page) and keep the beginning."""
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * SR)
    data = _write(path, noise).read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    return path


@pytest.fixture
def tone(tmp_path):
    return _write(tmp_path / "tone.wav", _tone(), subtype="FLOAT")


@pytest.fixture
def broken(tmp_path):
    """One file of each kind that cannot be loaded, and the error's message."""
    text = tmp_path / "text.wav"
    text.write_text("not audio at all\n" * 100)
    empty = tmp_path / "empty.wav"
    empty.touch()
    silent_header = _write(tmp_path / "header_only.wav", np.zeros(0))
    nan = _write(tmp_path / "nan.wav", np.array([0.0, np.nan, 1.0]), subtype="FLOAT")
    inf = _write(tmp_path / "inf.wav", np.array([0.0, np.inf, 1.0]), subtype="FLOAT")
    raw = tmp_path / "samples.raw"
    raw.write_bytes(bytes(100))
    cases = {
        tmp_path / "absent.wav": (FileNotFoundError, "does not exist"),
        tmp_path: (IsADirectoryError, "is a directory"),
        text: (ValueError, "is not audio that libsndfile can read"),
        raw: (ValueError, "is not audio that libsndfile can read"),
        empty: (ValueError, "is empty"),
        silent_header: (ValueError, "has 0 samples"),
        nan: (ValueError, "contains NaN or infinity"),
        inf: (ValueError, "contains NaN or infinity"),
    }
    for extension, kept in (("ogg", 0.5), ("ogg", 0.995), ("wav", 0.5)):
        cut = _cut(tmp_path / f"cut_{kept}.{extension}", kept)
        cases[cut] = (ValueError, "is cut short")
    return cases


# ------------------------------------------------------------------ what is read
@pytest.mark.parametrize(
    ("extension", "tolerance"), [("wav", 1e-4), ("flac", 1e-4), ("ogg", 0.05)]
)
def test_formats(tmp_path, extension, tolerance):
    wanted = _tone()
    path = _write(tmp_path / f"a.{extension}", wanted)
    samples, sr = decode(str(path), None)
    assert (samples.shape, sr) == ((len(wanted), 1), SR)
    got = _read(path)
    assert got.dtype == np.float32
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, atol=tolerance)


def test_mp3_is_read_to_its_end(tmp_path):
    wanted = _tone(1.0, sr=22050)
    path = _write(tmp_path / "a.mp3", wanted, sr=22050)
    got = _read(path)
    assert abs(len(got) - len(wanted)) < 2500  # the codec pads by frames
    lag = np.argmax(np.correlate(got, wanted[4000:8000])) - 4000
    aligned = got[4000 + lag : 8000 + lag]
    assert np.corrcoef(aligned, wanted[4000:8000])[0, 1] > 0.999


def test_mp3_whose_header_promises_more_than_there_is(shared_data):
    path = next(iter(sorted((shared_data / "philharmonia/audio").glob("*.mp3"))))
    with soundfile.SoundFile(path) as file:
        promised = file.frames
        really = len(file.read())
    got = _read(path)
    assert promised > really == len(got)


def test_a_cut_flac_is_an_error_once_the_damage_is_reached(tmp_path):
    cut = _cut(tmp_path / "cut.flac", 0.5)
    with pytest.raises(ValueError, match=r"cut\.flac is not audio .* lost sync"):
        _read(cut, SR)
    start = _read(cut, SR, duration=0.5)
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * SR)
    np.testing.assert_allclose(start, noise[: SR // 2], atol=1e-4)


def test_a_streamed_wav_without_lengths_is_whole(tmp_path):
    path = _write(tmp_path / "a.wav", _tone())
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = b"\xff" * 4  # what a recorder writes to a pipe
    path.write_bytes(data)
    np.testing.assert_allclose(_read(path), _tone(), atol=1e-4)


@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_a_cut_mp3_says_how_much_is_there(tmp_path, kept):
    whole = _write(tmp_path / "a.mp3", _tone(3.0, sr=22050), sr=22050)
    cut = tmp_path / "cut.mp3"
    cut.write_bytes(whole.read_bytes()[: int(kept * whole.stat().st_size)])
    with pytest.raises(ValueError, match=r"cut\.mp3 is cut short.* of \d+ samples"):
        _load([whole, cut], sr=22050)
    with pytest.warns(UserWarning, match=r"1 of 2 clips are cut short.*row 0: .*cut"):
        (got, full), errors = _load([cut, whole], sr=22050, on_error="warn")
    assert not errors
    assert kept - 0.1 < len(got) / len(full) < kept + 0.1
    n = len(got) - 2000  # a decoder looks ahead
    np.testing.assert_allclose(got[:n], full[:n], atol=1e-6)
    (start,), _ = _load([cut], sr=22050, duration=0.5)  # all of that is there
    np.testing.assert_allclose(start, full[: len(start)], atol=1e-6)


def test_real_clips_of_all_three_sets_load(shared_data):
    paths = [
        sorted((shared_data / name / "audio").iterdir())[i]
        for name in ("esc10", "philharmonia", "fsdd")
        for i in (0, -1)
    ]
    waveforms, errors = _load(paths, sr=22050)
    assert not errors
    assert all(w.ndim == 1 and 0 < np.abs(w).max() <= 1.2 for w in waveforms)
    assert len(waveforms[0]) == pytest.approx(5 * 22050, rel=1e-3)


@pytest.mark.parametrize("native", [8000, 11025, 44100, 96000])
def test_resampling_against_scipy(tmp_path, native):
    samples = _tone(1.0, sr=native, frequency=440)
    path = _write(tmp_path / "a.wav", samples, sr=native, subtype="FLOAT")
    got = _read(path, sr=22050)
    assert len(got) == 22050
    ratio = np.gcd(native, 22050)
    wanted = signal.resample_poly(samples, 22050 // ratio, native // ratio)
    np.testing.assert_allclose(got[2000:-2000], wanted[2000:-2000], atol=2e-3)


@pytest.mark.parametrize("native", [8000, 44100, 96000])
def test_duration_reads_only_what_it_needs_and_gets_the_same(tmp_path, native):
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 0.1, 3 * native).astype(np.float32)
    path = _write(tmp_path / "a.wav", samples, sr=native, subtype="FLOAT")
    whole = _read(path, sr=16000)
    part = _read(path, sr=16000, duration=1.0)
    assert part.shape == (16000,)
    np.testing.assert_allclose(part, whole[:16000], atol=1e-6)
    padded = _read(path, sr=16000, duration=4.0)
    np.testing.assert_array_equal(padded[:48000], whole)
    assert not padded[48000:].any()


def test_ten_minutes(tmp_path):
    samples = np.tile(_tone(1.0), 600)
    path = _write(tmp_path / "long.wav", samples)
    got = _read(path)
    assert got.shape == (600 * SR,)
    (cropped,), _ = _load([path], duration=5.0)
    np.testing.assert_array_equal(cropped, got[: 5 * SR])


@pytest.mark.parametrize("native", [8000, 96000])
def test_five_milliseconds_and_one_sample(tmp_path, native):
    short = _write(tmp_path / "s.wav", _tone(0.005, sr=native), sr=native)
    one = _write(tmp_path / "1.wav", np.array([0.5]), sr=native, subtype="FLOAT")
    (a, b), errors = _load([short, one], sr=22050)
    assert not errors
    assert len(a) == pytest.approx(0.005 * 22050, abs=1)
    assert len(b) >= 1
    assert np.isfinite(b).all()


def test_silence_offset_and_clipped_samples_are_sound(tmp_path):
    sounds = [np.zeros(800), np.full(800, 0.25), np.clip(9 * _tone(0.1), -1, 1)]
    paths = [
        _write(tmp_path / f"{i}.wav", s, subtype="FLOAT") for i, s in enumerate(sounds)
    ]
    got, errors = _load(paths)
    assert not errors
    for wanted, waveform in zip(sounds, got, strict=True):
        np.testing.assert_array_equal(waveform, wanted.astype(np.float32))


def test_stereo(tmp_path):
    left, right = _tone(), _tone(frequency=660)
    path = _write(tmp_path / "st.wav", np.stack([left, right], 1), subtype="FLOAT")
    mono = _read(path)
    np.testing.assert_allclose(mono, (left + right) / 2, atol=1e-7)
    both, _ = decode(str(path), None)
    np.testing.assert_array_equal(both, np.stack([left, right], 1))
    (from_file, from_array), _ = _load([path, np.stack([left, right])])
    np.testing.assert_array_equal(from_file, from_array)
    with pytest.raises(ValueError, match=r"st\.wav has 2 channels and mono='raise'"):
        _load([path], mono="raise")
    with pytest.raises(ValueError, match="Clip 1 of X has 2 channels"):
        _load([left, np.stack([left, right])], mono="raise")


def test_one_channel_axis_is_mono(tone):
    (got,), _ = _load([_tone()[None]], mono="raise")
    np.testing.assert_array_equal(got, _tone())


# ------------------------------------------------------------------------ arrays
@pytest.mark.parametrize(("dtype", "scale"), [("int16", 2**15), ("int32", 2**31)])
def test_pcm_is_scaled(dtype, scale):
    info = np.iinfo(dtype)
    pcm = np.array([info.min, 0, info.max // 2 + 1], dtype=dtype)
    (ragged,), _ = _load([pcm])
    matrix, _ = _load(pcm[None])
    for got in (ragged, matrix[0]):
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, pcm / np.float32(scale))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_float_arrays_keep_their_dtype_and_values(dtype):
    x = (3 * _tone()).astype(dtype)
    (got,), _ = _load([x])
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, x)


def test_other_numbers_become_float32_as_they_are():
    got, _ = _load([np.arange(4), np.array([True, False]), np.float16([0.5])])
    assert [g.dtype for g in got] == [np.float32] * 3
    np.testing.assert_array_equal(got[0], [0, 1, 2, 3])


@pytest.mark.parametrize("duration", [None, 0.1, 1.0])
def test_matrix_equals_list_of_its_rows(duration):
    X = np.random.default_rng(0).normal(size=(5, 4000))
    matrix, _ = _load(X, duration=duration)
    ragged, _ = _load(list(X), duration=duration)
    np.testing.assert_array_equal(matrix, np.stack(ragged))


def test_paths_equal_arrays(tone):
    (a, b), _ = _load([tone, _tone()], duration=0.25)
    np.testing.assert_array_equal(a, b)


def test_input_is_not_changed_and_may_be_a_read_only_memmap(tmp_path):
    path = tmp_path / "clips.npy"
    wanted = np.random.default_rng(0).normal(size=(3, 100)).astype(np.float32)
    np.save(path, wanted)
    X = np.load(path, mmap_mode="r")
    matrix, _ = _load(X, duration=0.02)
    rows, _ = _load(list(X), trim_silence=True)
    np.testing.assert_array_equal(matrix[:, :100], wanted)
    np.testing.assert_array_equal(rows[2], wanted[2])
    np.testing.assert_array_equal(X, wanted)


def test_trim_silence():
    x = np.r_[np.zeros(10), 1, 0, 2, np.zeros(5)].astype(np.float32)
    (got, silent), _ = _load([x, np.zeros(7)], trim_silence=True)
    np.testing.assert_array_equal(got, [1, 0, 2])
    assert len(silent) == 7
    matrix, _ = _load(np.stack([x, x[::-1]]), trim_silence=True, duration=4 / SR)
    np.testing.assert_array_equal(matrix, [[1, 0, 2, 0], [2, 0, 1, 0]])


def test_trimming_reads_past_leading_silence(tmp_path):
    path = _write(tmp_path / "late.wav", np.r_[np.zeros(2 * SR), _tone()])
    (got,), _ = _load([path], trim_silence=True, duration=0.25)
    assert np.abs(got).max() > 0.4


@pytest.mark.parametrize(("duration", "n"), [(1.0, 8000), (1e-9, 1), (0.00019, 2)])
def test_n_samples_of(duration, n):
    assert n_samples_of(duration, SR) == n


# ------------------------------------------------------------------------ errors
def test_every_broken_file_raises_and_is_named(broken):
    for path, (error, match) in broken.items():
        with pytest.raises(error, match=match) as raised:
            _load([path])
        assert str(path) in str(raised.value)


@pytest.mark.parametrize("duration", [None, 0.25])
def test_broken_files_keep_their_rows(broken, tone, duration):
    paths = [tone, *broken, tone]
    waveforms, errors = _load(paths, on_error="nan", duration=duration)
    assert len(waveforms) == len(paths)
    assert [e["row"] for e in errors] == list(range(1, len(paths) - 1))
    for e, (path, (_, match)) in zip(errors, broken.items(), strict=True):
        assert e["path"] == str(path)
        assert match in e["error"]
        assert len(waveforms[e["row"]]) == (1 if duration is None else 2000)
        assert np.isnan(waveforms[e["row"]]).all()
    for row in (0, -1):
        np.testing.assert_array_equal(
            waveforms[row], _tone()[: 2000 if duration else None]
        )


def test_warning_counts_and_names(broken, tone):
    with pytest.warns(UserWarning, match=r"10 of 12 clips could not be loaded.*row 1"):
        _load([tone, *broken], on_error="warn")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, errors = _load([tone, tone], on_error="warn")
    assert errors == []


def test_what_is_there_of_a_cut_file_is_kept_with_a_warning(tmp_path, tone):
    cut = _cut(tmp_path / "cut.wav", 0.5)
    whole = _read(_cut(tmp_path / "whole.wav", 1.0))
    X = [tone, cut, tmp_path / "absent.wav", tone]
    match = (
        r"1 of 4 clips could not be loaded and are NaN: row 2: .*absent\.wav does not.*"
        r"1 of 4 clips are cut short.*row 1: .*cut\.wav: 11989 of 24000 samples$"
    )
    with pytest.warns(UserWarning, match=match) as told:
        waveforms, errors = _load(X, on_error="warn")
    assert len(told) == 1
    assert [e["row"] for e in errors] == [2]
    np.testing.assert_array_equal(waveforms[1], whole[:11989])
    with pytest.raises(ValueError, match=r"11989 of 24000 samples .*'warn' loads"):
        _load([cut])
    _, errors = _load(X, on_error="nan")
    assert [e["row"] for e in errors] == [1, 2]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_arrays(bad):
    X = np.zeros((3, 10))
    X[1, 4] = bad
    for clips in (X, list(X)):
        with pytest.raises(
            ValueError, match=r"Clip 1 of X contains NaN or infinity \(1 of 10"
        ):
            _load(clips)
        waveforms, errors = _load(clips, on_error="nan")
        assert [e["row"] for e in errors] == [1]
        assert errors[0]["path"] is None
        assert np.isnan(waveforms[1]).all()
        np.testing.assert_array_equal(waveforms[2], X[2])
    assert np.count_nonzero(~np.isfinite(X)) == 1  # the input was left alone


def test_huge_finite_values_are_not_taken_for_infinity():
    X = np.full((2, 4), 3e38, dtype=np.float32)
    got, errors = _load(X)
    assert not errors
    np.testing.assert_array_equal(got, X)


@pytest.mark.parametrize(
    ("clip", "options"),
    [
        (np.full((2, 900), 3e38, np.float32), {}),  # their sum
        (3e38 * np.sign(np.sin(np.arange(900.0))).astype("f4"), {"array_sr": 11025}),
        (np.full(9, 1e300, np.longdouble), {}),  # float32 ends at 3.4e38
    ],
)
def test_finite_clips_that_overflow_are_errors(clip, options):
    with pytest.raises(
        ValueError, match=r"Clip 0 of X has values .* \(peak .*\[-1, 1\]"
    ):
        _load([clip], **options)
    (got,), errors = _load([clip], on_error="nan", **options)
    assert np.isnan(got).all()
    assert [e["row"] for e in errors] == [0]


@pytest.mark.parametrize(("native", "sr"), [(50, 8000), (333, 22050), (192_000, 50)])
def test_a_crop_of_any_rate_is_the_start_of_the_whole(tmp_path, native, sr):
    seconds = 3 + 3000 / min(native, sr)
    noise = np.random.default_rng(0).normal(0, 0.1, min(round(seconds * native), 10**6))
    path = _write(tmp_path / "a.wav", noise, sr=native, subtype="FLOAT")
    whole = _read(path, sr=sr)
    for duration in (0.1, 1.0, 2.7):
        crop = _read(path, sr=sr, duration=duration)
        np.testing.assert_allclose(crop, whole[: len(crop)], atol=1e-6)


def test_upsampling_is_bounded():
    with pytest.raises(
        ValueError, match=r"Clip 0 of X has 40000 samples at 10 Hz.*most"
    ):
        _load([np.zeros(40_000)], sr=22050, array_sr=10)
    (start,), _ = _load([np.zeros(4000)], sr=22050, array_sr=10, duration=1.0)
    assert start.shape == (22050,)


@pytest.mark.parametrize(
    ("clip", "error", "match"),
    [
        (np.zeros(0), ValueError, "Clip 0 of X has 0 samples"),
        (np.zeros((2, 3, 4)), ValueError, r"shape \(n_samples,\) or"),
        (np.array(1.0), ValueError, r"shape \(n_samples,\) or"),
        (np.array(["a", "b"]), TypeError, "array of numbers; got dtype <U1"),
        (np.zeros(3, complex), TypeError, "got dtype complex128"),
    ],
)
def test_arrays_that_are_no_clips(clip, error, match):
    with pytest.raises(error, match=match):
        _load([clip])


def test_the_first_error_in_order_of_rows_is_raised(broken, tone):
    absent = next(iter(broken))
    late = Path(str(absent).replace("absent", "later"))
    for n_jobs in (None, 2):
        with pytest.raises(FileNotFoundError, match="absent"):
            _load([tone, absent, tone, late], n_jobs=n_jobs)


# ------------------------------------------------------------- threads, progress
def test_threads_change_nothing(tmp_path):
    rng = np.random.default_rng(0)
    paths = [
        _write(tmp_path / f"{i}.ogg", rng.normal(0, 0.1, 2000 + 300 * i), sr=44100)
        for i in range(12)
    ]
    one, _ = _load(paths, sr=22050)
    many, _ = _load(paths, sr=22050, n_jobs=4)
    for a, b in zip(one, many, strict=True):
        np.testing.assert_array_equal(a, b)


def test_stopping_at_an_error_leaves_nothing_behind(broken, tone):
    absent = next(iter(broken))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            with pytest.raises(FileNotFoundError, match="absent"):
                _load([absent, *[tone] * 200], n_jobs=2)
            gc.collect()  # joblib would warn here of results that nobody took


def test_progress_bar_only_when_asked(tone, capsys):
    AudioLoader().transform([tone] * 20)
    assert capsys.readouterr().err == ""
    AudioLoader(verbose=1).transform([tone] * 20)  # in several parts, with one bar
    assert "20/20" in (shown := capsys.readouterr().err)
    assert "4/4" not in shown


def test_arrays_of_another_rate_are_resampled_as_files_are(tmp_path):
    rng = np.random.default_rng(0)
    clips = rng.uniform(-0.5, 0.5, (3, 4000)).astype(np.float32)
    paths = [tmp_path / f"{i}.wav" for i in range(3)]
    for path, clip in zip(paths, clips, strict=True):
        soundfile.write(path, clip, 8000, subtype="FLOAT")
    files, _ = load_clips(paths, sr=11025)
    matrix, _ = load_clips(clips, sr=11025, array_sr=8000)
    mixed, _ = load_clips([paths[0], clips[1]], sr=11025, array_sr=8000)
    np.testing.assert_array_equal(matrix, files)
    np.testing.assert_array_equal(mixed, files[:2])


def test_rows_say_where_clips_stand():
    clips = np.ones((2, 100), np.float32)
    clips[1, 3] = np.nan
    for X in (clips, list(clips)):
        _, errors = load_clips(X, sr=8000, on_error="nan", rows=[4, 7])
        assert [error["row"] for error in errors] == [7]
        assert "Clip 7 of X" in errors[0]["error"]
