"""Running front ends over clips: batches for a GPU, single clips for a CPU."""

import numpy as np
import pytest
import torch

from skaudio.nn import (
    MFCC,
    ConstantQ,
    GammatoneSpectrogram,
    MeanPool,
    MelSpectrogram,
    Spectrogram,
    runner,
)
from skaudio.nn.devices import resolve_device
from skaudio.nn.runner import (
    _equal_clips,
    cached_front_end,
    run_front_ends,
)
from skaudio.views import (
    CQTView,
    GammatoneView,
    MeanPoolView,
    MelView,
    MFCCView,
    RawView,
    STFTView,
    ViewUnion,
)

FRAMES = {"n_fft": 512, "win_length": 320, "hop_length": 160}


def clips_of(lengths):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(n).astype(np.float32) for n in lengths]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 10])
def test_batches_are_runs_of_equal_length(batch_size):
    clips = clips_of([5, 5, 5, 5, 3, 5, 5, 1])
    batches, done = [], 0
    while done < len(clips):
        batches.append(_equal_clips(clips, done, batch_size))
        done += len(batches[-1])
    assert all(1 <= len(batch) <= batch_size for batch in batches)
    flat = [clip for batch in batches for clip in batch]
    assert len(flat) == len(clips)
    for found, expected in zip(flat, clips, strict=True):
        np.testing.assert_array_equal(found, expected)
    runs = {1: 8, 2: 5, 3: 5, 10: 4}
    assert len(batches) == runs[batch_size]


@pytest.mark.parametrize(
    "front_end",
    [
        MelSpectrogram(sr=8000, **FRAMES),
        GammatoneSpectrogram(sr=8000, **FRAMES),
        Spectrogram(**FRAMES),
        MeanPool(pool_size=7),
        MFCC(sr=8000, **FRAMES, delta=1),
        ConstantQ(sr=8000, hop_length=180, n_bins=72),
        ConstantQ(sr=8000, hop_length=180, n_bins=12, bins_per_octave=3),
    ],
    ids=lambda module: type(module).__name__,
)
def test_a_batch_is_its_clips(front_end):
    """What a GPU does: all clips of a batch in one call."""
    clips = clips_of([30000] * 5)
    together = front_end(torch.from_numpy(np.stack(clips))).numpy()
    (alone,) = run_front_ends([front_end], clips, batch_size=4, device="cpu")
    np.testing.assert_allclose(together, np.stack(alone.arrays), atol=2e-2)


def test_front_ends_are_built_once():
    first, again = (
        cached_front_end(MelSpectrogram, "float32", "cpu", sr=8000, **FRAMES)
        for _ in range(2)
    )
    assert first is again
    other = cached_front_end(MelSpectrogram, "float64", "cpu", sr=8000, **FRAMES)
    assert other is not first
    assert other.spectrogram.window.dtype == torch.float64


def test_device():
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")


def test_batches_are_halved_when_memory_is_short(monkeypatch):
    """As on a GPU: clips that do not fit together are computed in parts."""
    front_end, clips = MelSpectrogram(sr=8000, **FRAMES), clips_of([800] * 7)
    expected = run_front_ends([front_end], clips, batch_size=1, device="cpu")
    original, seen = runner._compute, []

    def cramped(front_ends, batch, device):
        seen.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return original(front_ends, batch, "cpu")

    monkeypatch.setattr(runner, "_compute", cramped)
    with pytest.warns(UserWarning, match="meta is out of memory with . clips at once"):
        views = run_front_ends([front_end], clips, batch_size=6, device="meta")
    assert seen == [6, 3, 1, 1, 1, 1, 1, 1, 1]
    for found, wanted in zip(views[0].arrays, expected[0].arrays, strict=True):
        np.testing.assert_array_equal(found, wanted)


LONG = {
    "mel": MelView(sr=22050),
    "mel, reflected": MelView(
        sr=22050, pad_mode="reflect", preemphasis=0.97, hop_length=300
    ),
    "mel, joined ends": MelView(sr=22050, pad_mode="wrap"),
    "mel, wide": MelView(sr=22050, n_fft=2048, win_length=999, hop_length=77),
    "gammatone, not centred": GammatoneView(sr=22050, center=False),
    "gammatone, reflected behind": GammatoneView(
        sr=22050, center="start", pad_mode="reflect", hop_length=300
    ),
    "means": MeanPoolView(pool_size=300),
    "stft": STFTView(sr=22050, scale="db", top_db=40.0, pad_mode="edge"),
    "mfcc": MFCCView(sr=22050, delta=2),
    "mfcc and energy": MFCCView(
        sr=22050, use_energy=True, center="start", preemphasis=0.97, top_db=40.0
    ),
    "cqt": CQTView(sr=22050, n_bins=60),
    "cqt, reflected": CQTView(sr=22050, n_bins=60, pad_mode="reflect"),
}


@pytest.mark.parametrize("name", LONG)
@pytest.mark.parametrize("n_samples", [50_000, 65_536 + 1])
def test_long_clips_are_computed_in_blocks_with_equal_values(
    name, n_samples, monkeypatch
):
    clip = np.random.default_rng(0).normal(0, 0.1, (1, n_samples)).astype(np.float32)
    whole = LONG[name].transform(clip)
    for block in (8000, 32_768, n_samples - 1):
        monkeypatch.setattr(runner, "BLOCK", block)
        found = LONG[name].transform(clip)
        np.testing.assert_allclose(found, whole, rtol=1e-6, atol=2e-5)


def test_views_of_long_clips_share_blocks(monkeypatch):
    """Also where their hops differ, and some need the whole clip."""
    clip = np.random.default_rng(0).normal(0, 0.1, (1, 50_000)).astype(np.float32)
    views = [MelView(sr=22050), MelView(sr=22050, hop_length=300), LONG["cqt"]]
    union = ViewUnion(
        [*((f"v{i}", v) for i, v in enumerate(views)), ("raw", RawView())]
    )
    whole = union.fit_transform(clip)
    monkeypatch.setattr(runner, "BLOCK", 10_000)
    found = union.transform(clip)
    for name in found.names:
        np.testing.assert_allclose(found[name], whole[name], rtol=1e-6, atol=2e-5)


def test_no_transform_holds_more_than_a_block(monkeypatch):
    sizes, rfft = [], torch.fft.rfft
    monkeypatch.setattr(torch.fft, "rfft", lambda x: sizes.append(x.numel()) or rfft(x))
    monkeypatch.setattr(runner, "BLOCK", 2**16)
    MelView(sr=22050).transform(np.zeros((1, 2**20), np.float32))
    overlap = 1024 / 441  # samples are in several frames
    assert len(sizes) == 16
    assert max(sizes) < overlap * (2**16 + 3 * 1024)
