"""Containers: what they state about their length, and what is there."""

import io
import struct

import numpy as np
import pytest
import soundfile
import soxr
import torch

from skaudio._audio import _intake, _reading
from skaudio._audio._checks import CutShortError
from skaudio._audio._decode import decode
from skaudio._audio._load import load_clips
from skaudio._audio._ogg import checksum, links
from skaudio._audio._reading import _check_length
from skaudio.preprocessing import AudioLoader

SR, N = 8000, 20_001
rng = np.random.default_rng(0)
NOISE = rng.normal(0, 0.1, N)
WAV_SIZES = (0, 0xFFFFFFFF, 0x80000000, 0x7FFFFFFF, 0x7FFFF000)
# container, what comes before its size, and how that is stored
SIZES = [
    *(("WAV", b"data", "<I", size) for size in WAV_SIZES),
    *(("AIFF", b"SSND", ">I", size) for size in WAV_SIZES),
    *(("SVX", b"BODY", ">I", size) for size in WAV_SIZES),
    *(("AU", None, ">I", size) for size in (0, 0xFFFFFFFF)),
    *(("CAF", b"data", ">q", size) for size in (0, -1)),
    *(("RF64", b"ds64", "<Q", size) for size in (0, 2**64 - 1)),
    *(("W64", b"data\xf3\xac", "<Q", size) for size in (0, 24, 2**63 - 1)),
]


def encode(samples=NOISE, sr=SR, **options):
    file = io.BytesIO()
    soundfile.write(file, samples, sr, **options)
    return file.getvalue()


def read(data, duration=None):
    return decode(io.BytesIO(bytes(data)), duration, name="x")[0]


def place_of_size(data, container, name):
    if container == "AU":
        return 8
    after = {"RF64": 12, "W64": 16}.get(container, 4)
    return data.index(name) + after + 4 * (container == "RF64")


# a file of raw samples states nothing; SD2 writes a second file, and that even into "."
READ = sorted(set(soundfile.available_formats()) - {"RAW", "SD2"})


@pytest.mark.parametrize("container", READ)
def test_intact_files_are_what_soundfile_gives(container):
    subtypes = soundfile.available_subtypes(container)
    n_checked = 0
    for subtype in subtypes:
        sr = 48000 if subtype == "OPUS" else SR
        for n_channels in (1, 2):
            try:
                data = encode(
                    rng.normal(0, 0.1, (3001, n_channels)),
                    sr,
                    format=container,
                    subtype=subtype,
                )
                wanted, _ = soundfile.read(
                    io.BytesIO(data), dtype="float32", always_2d=True
                )
            except (soundfile.LibsndfileError, ValueError, TypeError):
                continue  # not written, or not read again, by this libsndfile
            np.testing.assert_array_equal(read(data), wanted, subtype)
            n_checked += 1
    assert n_checked


@pytest.mark.parametrize(("container", "name", "code", "size"), SIZES)
def test_streamed_files_are_whole(container, name, code, size):
    subtype = "PCM_S8" if container == "SVX" else "PCM_16"
    data = bytearray(encode(NOISE[:-1], format=container, subtype=subtype))
    wanted = read(data)
    assert len(wanted) == N - 1
    at = place_of_size(data, container, name)
    data[at : at + struct.calcsize(code)] = struct.pack(code, size)
    if container == "AIFF":  # the writer did not know this number either
        common = data.index(b"COMM")
        data[common + 10 : common + 14] = bytes(4)
    np.testing.assert_array_equal(read(data), wanted)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "ULAW", "MS_ADPCM"])
def test_streamed_wav_of_every_encoding(subtype):
    data = bytearray(encode(format="WAV", subtype=subtype))
    wanted = read(data)
    at = data.index(b"data") + 4
    data[at : at + 4] = b"\xff" * 4
    np.testing.assert_array_equal(read(data)[: len(wanted)], wanted)


def test_an_empty_wav_is_no_streamed_one():
    empty = encode(np.zeros(0), format="WAV")
    info = b"LIST" + struct.pack("<I", 4) + b"INFO"
    for data in (empty, empty + info):
        with pytest.raises(ValueError, match="x has 0 samples"):
            read(data)


@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        *((c, "PCM_16") for c in ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF")),
        ("NIST", "PCM_16"),
        ("SVX", "PCM_S8"),
        ("WAV", "PCM_24"),
        ("AIFF", "DOUBLE"),
        ("CAF", "ULAW"),
    ],
)
@pytest.mark.parametrize("kept", [0.3, 0.97])
def test_cut_files_say_how_much_is_there(container, subtype, kept):
    data = encode(format=container, subtype=subtype)
    whole = read(data)
    with pytest.raises(CutShortError, match=rf"of {N} samples are there.*'warn'") as e:
        read(data[: int(kept * len(data))])
    found = e.value.samples
    assert kept * N - 5000 < len(found) < kept * N + 1  # CAF: 4 KiB of header
    np.testing.assert_array_equal(found, whole[: len(found)])


@pytest.mark.parametrize("container", ["WAV", "AIFF", "CAF"])
def test_cut_files_of_packed_samples_are_errors(container):
    subtype = "ALAC_16" if container == "CAF" else "IMA_ADPCM"
    data = encode(format=container, subtype=subtype)
    with pytest.raises(ValueError, match=r"x is cut short.* of "):
        read(data[: len(data) // 2])


# -------------------------------------------------------------------------- flac
def flac(n_stated):
    data = bytearray(encode(format="FLAC"))
    data[21] = data[21] & 0xF0 | n_stated >> 32
    data[22:26] = (n_stated & 0xFFFFFFFF).to_bytes(4, "big")
    return data


def test_flac_of_unknown_length():
    wanted = read(encode(format="FLAC"))
    np.testing.assert_array_equal(read(flac(0)), wanted)
    np.testing.assert_array_equal(read(flac(0), 0.5)[:4000], wanted[:4000])


def test_flac_that_states_too_much_is_read_in_blocks():
    for n_stated in (2 * N, 2**36 - 1):  # 256 GiB
        with pytest.raises(CutShortError, match=f"{N} of {n_stated} samples"):
            read(flac(n_stated))


@pytest.mark.parametrize("before", [b"", b"ID3\x04\0\0\0\0\1\0" + bytes(128)])
@pytest.mark.parametrize("after", [b"", b"TAG" + bytes(125), bytes(999)])
def test_flac_that_states_too_little_is_whole(before, after):
    """Also where a tag stands behind its frames, which are no sound."""
    wanted = read(flac(N))
    assert len(wanted) == N
    np.testing.assert_array_equal(read(before + flac(N) + after), wanted)
    for n_stated in (1, 4096, 10_000, N - 1):
        np.testing.assert_array_equal(read(before + flac(n_stated)), wanted)
    start = read(before + flac(4096) + after, 1.0)
    np.testing.assert_array_equal(start[:SR], wanted[:SR])


def test_joined_flac_files_are_refused():
    with pytest.raises(ValueError, match="x holds several flac files, one after the"):
        read(flac(N) + flac(N))
    with pytest.raises(ValueError, match="flac"):
        read(flac(0) + flac(0))


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("rates", [(44100, 22050), (8000, 22050), (8000, 8000)])
def test_blocks_make_what_the_whole_makes(monkeypatch, subtype, n_channels, rates):
    """Mixed down and resampled as it is read: equal to doing it with all samples."""
    native, sr = rates
    samples = rng.normal(0, 0.1, (30_001, n_channels))
    data = encode(samples, native, format="WAV", subtype=subtype)
    decoded, _ = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    wanted = decoded.mean(axis=1)
    if native != sr:
        wanted = soxr.resample(wanted, native, sr)
    monkeypatch.setattr(_intake, "STEP", 5000)
    for block in (2**18, 7001, 30_001):
        monkeypatch.setattr(_reading, "BLOCK", block)
        got, rate = decode(io.BytesIO(data), None, name="x", mono="average", sr=sr)
        assert rate == sr
        np.testing.assert_allclose(got, wanted, atol=1e-6, rtol=0)
        (loaded,), _ = load_clips([io.BytesIO(data)], sr=sr, trim_silence=True)
        np.testing.assert_allclose(loaded, wanted, atol=1e-6, rtol=0)


def test_what_is_wrong_in_any_block_is_found(monkeypatch):
    monkeypatch.setattr(_reading, "BLOCK", 1000)
    samples = np.ones((5000, 2), np.float32)
    samples[4999, 1] = samples[1500, 0] = np.nan
    for sr in (SR, 5000):
        data = encode(samples, format="WAV", subtype="FLOAT")
        with pytest.raises(ValueError, match=r"x contains NaN .* \(2 of 10000 samples"):
            decode(io.BytesIO(data), None, name="x", mono="average", sr=sr)
        huge = np.where(np.isnan(samples), np.float32(3e38), samples)
        huge[4999] = 3e38
        data = encode(huge, format="WAV", subtype="FLOAT")
        with pytest.raises(ValueError, match=r"too large .* \(peak 3e\+38"):
            decode(io.BytesIO(data), None, name="x", mono="average", sr=sr)


def test_a_file_of_less_than_a_sample_of_the_new_rate_is_its_mean():
    data = encode(np.array([0.25, 0.5]), 44100, format="WAV", subtype="FLOAT")
    got, _ = decode(io.BytesIO(data), None, name="x", mono="average", sr=1000)
    np.testing.assert_allclose(got, [0.375])


def test_what_a_header_states_is_bounded_by_the_bytes_there_are():
    _check_length(1024 * 5000, 5000, "CAF")
    _check_length(2**40, 5000, "FLAC")  # a byte of silence may be any number of samples
    with pytest.raises(ValueError, match="states 2000000000 samples, but has 5000"):
        _check_length(2_000_000_000, 5000, "CAF")


# --------------------------------------------------------------------------- ogg
def pages(data):
    starts = []
    at = 0
    while at < len(data):
        starts.append(at)
        at += 27 + data[at + 26] + sum(data[at + 27 : at + 27 + data[at + 26]])
    return [data[i:j] for i, j in zip(starts, [*starts[1:], None], strict=True)]


@pytest.fixture(params=["VORBIS", "OPUS"])
def ogg(request):
    sr = 48000 if request.param == "OPUS" else SR
    return encode(rng.normal(0, 0.1, 96_000), sr, format="OGG", subtype=request.param)


def test_checksums_are_those_in_the_pages(ogg):
    for page in pages(ogg):
        assert checksum(page) == int.from_bytes(page[22:26], "little")


def test_chained_streams_are_whole(ogg):
    one = read(ogg)
    assert len(links(ogg * 3)) == 3
    np.testing.assert_array_equal(read(ogg * 3), np.concatenate([one] * 3))
    start = read(ogg * 3, 1.5 * len(one) / (SR if b"vorbis" in ogg else 48000))
    assert len(one) < len(start) < 2.5 * len(one)


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (lambda p: [*p[:3], *p[4:]], "page 3 is missing"),
        (lambda p: p[1:], "page that begins its stream is missing"),
        (lambda p: p[:-1], "is cut short"),
        (lambda p: [*p[:-1], p[-1][:-1]], "is cut short"),
        (lambda p: [*p, *p[:-1]], "is cut short"),
        (lambda p: [*p[:2], b"junk", *p[2:]], "no page follows at byte"),
        (lambda p: [*p[:3], p[3][:99] + b"\0\1" + p[3][101:], *p[4:]], "checksum"),
    ],
)
def test_damaged_ogg(damage, match):
    data = encode(rng.normal(0, 0.1, 96_000), format="OGG", subtype="VORBIS")
    with pytest.raises(ValueError, match=f"x is .*{match}|{match}"):
        read(b"".join(damage(pages(data))))


def test_what_follows_an_ogg_is_no_damage(ogg):
    np.testing.assert_array_equal(read(ogg + b"TAG" + bytes(125)), read(ogg))


def test_one_file_of_two_rates_is_refused():
    both = [encode(sr=sr, format="OGG", subtype="VORBIS") for sr in (8000, 16000)]
    with pytest.raises(ValueError, match="several recordings, at first of 1 x 8000 Hz"):
        read(b"".join(both))


# ------------------------------------------------------------------------- rates
@pytest.mark.parametrize("rate", [1, 9, 10_000_001])
def test_impossible_rates(rate):
    data = bytearray(encode(format="WAV"))
    data[24:28] = struct.pack("<I", rate)
    with pytest.raises(
        ValueError, match=r"x states a sampling rate of .*10 to 10000000"
    ):
        read(data)


def test_bounds_of_the_rules():
    """Faults put in by hand went unseen here."""
    negative = np.full((2, 8), -8000, dtype=np.int64)
    with pytest.raises(ValueError, match="integers up to 8000"):
        load_clips(list(negative), sr=8000)
    with pytest.raises(ValueError, match="3 channels of 2 samples"):
        load_clips([np.zeros((3, 2), np.float32)], sr=8000)
    huge = np.zeros((2, 8), np.float32)
    huge[:, 5] = 3e38  # the mean of both channels overflows, and only there
    with pytest.raises(ValueError, match="too large to compute with"):
        load_clips([huge], sr=8000)
    half = AudioLoader(sr=8000).fit_transform(torch.full((2, 8), 0.5).bfloat16())
    np.testing.assert_array_equal(half, np.full((2, 8), 0.5, np.float32))
