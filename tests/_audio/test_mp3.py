"""MPEG audio: all samples, whatever is stated about their number."""

import io
import struct

import numpy as np
import pytest
import soundfile

from skaudio._audio import _mp3
from skaudio._audio._decode import decode
from skaudio._audio._load import load_clips

rng = np.random.default_rng(0)
ID3 = b"ID3\3\0\0" + bytes([0, 0, 2, 10]) + bytes(266)
ID3V1 = b"TAG" + bytes(125)
APE = b"APETAGEX" + struct.pack("<IIII", 2000, 96, 1, 0xA0000000) + bytes(72)
APE += b"APETAGEX" + struct.pack("<IIII", 2000, 96, 1, 0x80000000) + bytes(8)
CLOSE = 1.3e-7  # decoders begin a little differently


def encode(sr=22050, n_channels=1, mode="VARIABLE", level=0.5, seconds=2):
    file = io.BytesIO()
    options = {"bitrate_mode": mode, "compression_level": level}
    with soundfile.SoundFile(
        file, "w", sr, n_channels, "MPEG_LAYER_III", format="MP3", **options
    ) as mp3:
        mp3.write(rng.normal(0, 0.1, (seconds * sr + 7, n_channels)))
    return file.getvalue()


def read(data, duration=None):
    return decode(io.BytesIO(bytes(data)), duration, name="x")[0]


def bare(data):
    """Frames without the one that states their number, and that number of samples."""
    (stream,) = _mp3.streams_of(data, np.inf)
    n_samples = len(stream.frames) * stream.header.n_samples
    return b"".join(stream.frames), n_samples


@pytest.fixture(scope="module")
def mp3():
    return encode()


@pytest.mark.parametrize("sr", [8000, 11025, 16000, 22050, 32000, 44100])
@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize(("mode", "level"), [("VARIABLE", 0.5), ("CONSTANT", 0.99)])
def test_every_kind_of_frame(sr, n_channels, mode, level):
    data = encode(sr, n_channels, mode, level)
    whole = read(data)
    wanted, _ = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    np.testing.assert_allclose(whole, wanted, atol=CLOSE)
    frames, n_samples = bare(data)
    without = read(frames)
    assert len(without) == n_samples
    if len(whole) == 2 * sr + 7:  # its encoder stated its delay: 576 + 529
        same = without[1105 : 1105 + len(whole)]
        np.testing.assert_allclose(same, whole, atol=CLOSE)
    else:  # nothing was stated in the first place
        np.testing.assert_allclose(without, whole, atol=CLOSE)


def test_an_intact_file_is_to_the_bit_what_soundfile_gives(mp3):
    wanted, _ = soundfile.read(io.BytesIO(mp3), dtype="float32", always_2d=True)
    np.testing.assert_array_equal(read(mp3), wanted)


@pytest.mark.parametrize(
    "around",
    [
        lambda data: ID3 + data + ID3V1,
        lambda data: data + APE + ID3V1,
        lambda data: APE + data,
        lambda data: bytes(1000) + data,
        lambda data: data + b"no frame" * 150,
    ],
)
def test_what_stands_around_the_frames_changes_nothing(mp3, around, capfd):
    np.testing.assert_array_equal(read(around(mp3)), read(mp3))
    assert capfd.readouterr().err == ""


def test_wrong_counts(mp3, capfd):
    whole = read(mp3)
    field = mp3.index(b"Xing") + 8
    n_frames = int.from_bytes(mp3[field : field + 4], "big")
    for count in (0, 1, n_frames // 2, n_frames - 1, n_frames + 1):
        data = mp3[:field] + count.to_bytes(4, "big") + mp3[field + 4 :]
        got = read(data)
        assert len(whole) <= len(got) < len(whole) + 1152
        np.testing.assert_array_equal(got[: len(whole)], whole)
    assert capfd.readouterr().err == ""


def test_less_than_a_frame_is_an_error(mp3):
    for n in range(5, 300, 7):  # of the first frame, and of what it states
        with pytest.raises(ValueError, match=r"x (is|has) "):
            read(mp3[:n])


def test_joined_files_are_all_of_both(mp3):
    whole = read(mp3)
    np.testing.assert_array_equal(read(mp3 * 3), np.concatenate([whole] * 3))
    tagged = ID3 + mp3 + ID3V1
    np.testing.assert_array_equal(read(tagged + tagged), np.concatenate([whole] * 2))
    frames, n_samples = bare(mp3)
    assert len(read(frames + frames)) == 2 * n_samples


def test_a_stream_that_starts_in_the_middle(mp3):
    (stream,) = _mp3.streams_of(mp3, np.inf)
    rest = stream.frames[20:]
    assert len(read(b"".join(rest))) == len(rest) * stream.header.n_samples


def test_bytes_between_frames_are_damage(mp3):
    (stream,) = _mp3.streams_of(mp3, np.inf)
    begin, end = stream.frames[:20], stream.frames[20:]
    with pytest.raises(ValueError, match=r"x is damaged: 80 bytes at .* no MPEG audio"):
        read(b"".join([*begin, b"no frame" * 10, *end]))
    zeroed = bytearray(mp3)
    zeroed[4000:4300] = bytes(300)
    with pytest.raises(ValueError, match=r"x is damaged: .* no MPEG audio"):
        read(zeroed)


def test_one_file_of_two_forms_is_refused(mp3):
    for other in (encode(n_channels=2), encode(sr=24000)):
        with pytest.raises(ValueError, match=r"x holds several recordings, at first"):
            read(mp3 + other)


@pytest.mark.parametrize("change", [lambda d: d, lambda d: bare(d)[0], lambda d: 2 * d])
@pytest.mark.parametrize("duration", [0.01, 0.5, 1.9, 5.0])
def test_a_crop_is_the_start_of_the_whole(mp3, change, duration):
    file = io.BytesIO(change(mp3))
    ((whole,), _), ((crop,), _) = (
        load_clips([file], sr=16000, duration=d) for d in (None, duration)
    )
    n = min(len(whole), len(crop))
    np.testing.assert_allclose(crop[:n], whole[:n], atol=1e-6)
    assert not crop[n:].any()


# -------------------------------------------------------- other layers, other bits
SILENT = {1: 0xFF, 2: 0xFD}  # the second byte of their headers; zeros are silence


def silent_frame(layer, third):
    head = bytes([0xFF, SILENT[layer], third, 0])
    header = _mp3.header_at(head, 0)
    assert header.layer == layer
    return head + bytes(header.size - 4), header


@pytest.mark.parametrize(("layer", "n_samples"), [(1, 384), (2, 1152)])
def test_other_layers(layer, n_samples):
    frame, header = silent_frame(layer, 0xA0)
    assert header.n_samples == n_samples
    assert read(frame * 50).shape == (50 * n_samples, 2)
    longer, _ = silent_frame(layer, 0xD0)  # so that the length is guessed wrong
    with pytest.raises(ValueError, match=f"of {55 * n_samples} samples can be decoded"):
        read(longer * 5 + frame * 50)


def test_free_format_is_refused():
    frame = bytes([0xFF, 0xFB, 0, 0]) + bytes(400)
    with pytest.raises(ValueError, match="x is MPEG audio in free format"):
        read(frame * 20)


def test_a_frame_of_free_format_among_others_is_damage(mp3):
    (stream,) = _mp3.streams_of(mp3, np.inf)
    free = bytearray(stream.frames[20])
    free[2] &= 0x0F
    frames = [*stream.frames[:20], bytes(free), *stream.frames[21:]]
    with pytest.raises(ValueError, match=r"x is damaged: .* no MPEG audio"):
        read(b"".join(frames))


def test_sizes_of_frames():
    """144 * bit rate / sampling rate, as the standard has it, worked out by hand."""
    for head, size in (
        (b"\xff\xfb\x90\x00", 417),  # 128 kbit/s at 44.1 kHz
        (b"\xff\xfb\x92\x00", 418),  # padded
        (b"\xff\xf3\x80\xc4", 208),  # MPEG-2: 64 kbit/s at 22.05 kHz
        (b"\xff\xe3\x88\xc4", 576),  # MPEG-2.5: 64 kbit/s at 8 kHz
        (b"\xff\xfd\xa4\x00", 576),  # layer II: 192 kbit/s at 48 kHz
    ):
        assert _mp3.header_at(head, 0).size == size
    for no_header in (b"\xff\xfb\xf0\x00", b"\xff\xfb\x9c\x00", b"\xfe\xfb\x90\x00"):
        assert _mp3.header_at(no_header, 0) is None
