"""Time of every view against librosa, nnAudio and the gammatone package.

All contestants compute the same clips on one thread, in interleaved passes; what is
reported is the median over passes of the time per clip. Our views are measured
through their public ``transform``, validation included. Decoding, resampling and a bare
Fourier transform of the same frames are the floor.

    python benchmarks/speed/views.py --data ../shared/data/esc10/audio
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before any import that starts threads

import argparse
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import soundfile
import soxr
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _provenance import provenance

from skaudio.datasets import make_sounds
from skaudio.views import (
    CQTView,
    GammatoneView,
    MelView,
    MFCCView,
    RawView,
    make_view_union,
)

SR, SECONDS, SEED = 44100, 5.0, 0
N_FFT, WINDOW, HOP = 2048, 1764, 882  # 40 ms and 20 ms, as the views' defaults
CQT_HOP = 1024
BINS = 64
FRAMES = {"n_fft": N_FFT, "win_length": WINDOW, "hop_length": HOP}
OURS = {"mel", "gammatone", "cqt", "mfcc", "raw", "union"}
# view: (best peer that does the same, ratio to reach)
TARGETS = {
    "mel": ("librosa mel", 0.4),
    "mfcc": ("librosa mfcc", 0.35),
    "gammatone": ("gammatone fft", 0.12),
    "cqt": ("librosa cqt", 0.2),
    "union": ("sum of best peers", 0.15),
}
PEERS = {
    "mel": ("librosa mel", "nnAudio mel"),
    "gammatone": ("gammatone fft", "nnAudio gammatone"),
    "cqt": ("librosa cqt", "nnAudio cqt"),
}

Clips = np.ndarray
Contestant = Callable[[Clips], Any]


def ours() -> dict[str, Contestant]:
    """Our views, through their public transform."""
    return {
        "mel": MelView(sr=SR).transform,
        "mfcc": MFCCView(sr=SR).transform,
        "gammatone": GammatoneView(sr=SR).transform,
        "cqt": CQTView(sr=SR).transform,
        "raw": RawView(sr=SR).transform,
        "union": make_view_union("mel", "gammatone", "cqt", "raw", sr=SR).transform,
    }


def one_by_one(function: Callable[[np.ndarray], Any]) -> Contestant:
    """A function of one clip, over all clips."""
    return lambda clips: [function(clip) for clip in clips]


def peers(paths: list[Path]) -> dict[str, Contestant]:
    """What others offer, and the floor."""
    contestants: dict[str, Contestant] = {
        "librosa mel": one_by_one(_librosa_mel),
        "librosa mfcc": one_by_one(
            lambda y: librosa.feature.mfcc(y=y, sr=SR, n_mfcc=20, **FRAMES)
        ),
        "librosa cqt": one_by_one(_librosa_cqt),
        "bare rfft of the same frames": one_by_one(_bare_rfft),
        "resample 44.1 -> 22.05 kHz": one_by_one(lambda y: soxr.resample(y, 2, 1)),
    }
    if paths:
        contestants["decode"] = lambda _: [soundfile.read(p) for p in paths]
    return contestants | _gammatone_package() | _nnaudio()


def _librosa_mel(y: np.ndarray) -> np.ndarray:
    mel = librosa.feature.melspectrogram(y=y, sr=SR, n_mels=BINS, **FRAMES)
    return librosa.power_to_db(mel)


def _librosa_cqt(y: np.ndarray) -> np.ndarray:
    return librosa.amplitude_to_db(np.abs(librosa.cqt(y, sr=SR, hop_length=CQT_HOP)))


def _bare_rfft(y: np.ndarray) -> int:
    with torch.inference_mode():
        padded = torch.nn.functional.pad(torch.from_numpy(y), (N_FFT // 2, N_FFT // 2))
        spectrum = torch.fft.rfft(padded.unfold(-1, N_FFT, HOP).contiguous())
    return spectrum.numel()  # 2 MB a clip: keeping them would cost more than the FFT


def _gammatone_package() -> dict[str, Contestant]:
    try:
        from gammatone.fftweight import fft_gtgram
    except ImportError:
        return {}
    return {
        "gammatone fft": one_by_one(
            lambda y: librosa.amplitude_to_db(
                fft_gtgram(y, SR, WINDOW / SR, HOP / SR, BINS, 50)
            )
        )
    }


def _nnaudio() -> dict[str, Contestant]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from nnAudio import features
    except ImportError:
        return {}
    modules = {
        "nnAudio mel": features.MelSpectrogram(
            sr=SR, n_mels=BINS, verbose=False, **FRAMES
        ),
        "nnAudio gammatone": features.Gammatonegram(
            sr=SR, n_fft=N_FFT, n_bins=BINS, hop_length=HOP, verbose=False
        ),
        "nnAudio cqt": features.CQT(
            sr=SR, hop_length=CQT_HOP, n_bins=84, verbose=False
        ),
    }
    return {name: one_by_one(_inferred(module)) for name, module in modules.items()}


def _inferred(module: torch.nn.Module) -> Callable[[np.ndarray], torch.Tensor]:
    def run(y: np.ndarray) -> torch.Tensor:
        with torch.inference_mode():
            return module(torch.from_numpy(y)[None])

    return run


def load(folder: Path | None, n_clips: int) -> tuple[Clips, list[Path], str]:
    """Real clips if there are any, otherwise synthetic ones."""
    paths = sorted(folder.glob("*.ogg")) if folder is not None else []
    if not paths:
        X, _ = make_sounds(n_clips=n_clips, duration=SECONDS, sr=SR, random_state=SEED)
        return X, [], "make_sounds"
    every = max(1, len(paths) // n_clips)
    chosen = paths[::every][:n_clips]
    return RawView(sr=SR, duration=SECONDS).transform(chosen)[:, 0], chosen, "ESC-10"


def measure(
    contestants: dict[str, Contestant], clips: Clips, repeats: int
) -> dict[str, list[float]]:
    """Milliseconds per clip of every pass; passes of all contestants interleave."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for contestant in contestants.values():  # warm-up: imports, filters, caches
        contestant(clips[:2])
    for _ in range(repeats):
        for name, contestant in contestants.items():
            start = time.perf_counter()
            contestant(clips)
            times[name].append(1e3 * (time.perf_counter() - start) / len(clips))
    return times


def summarise(times: dict[str, list[float]]) -> dict[str, Any]:
    """Medians, and each of our views in relation to its peer."""
    median = {name: statistics.median(passes) for name, passes in times.items()}
    best = {
        view: min((median[p] for p in names if p in median), default=None)
        for view, names in PEERS.items()
    }
    if None not in best.values():
        median["sum of best peers"] = sum(best.values())
    ratios = {
        view: {"to": peer, "ratio": median[view] / median[peer], "target": target}
        for view, (peer, target) in TARGETS.items()
        if peer in median
    }
    missing = [p for names in PEERS.values() for p in names if p not in median]
    return {"milliseconds_per_clip": median, "ratios": ratios, "missing": missing}


def report(summary: dict[str, Any]) -> None:
    """Print both tables."""
    rows = sorted(summary["milliseconds_per_clip"].items(), key=lambda row: row[1])
    lines = [f"{name:30} {ms:8.2f} ms" for name, ms in rows]
    lines += [
        f"{view:12} {r['ratio']:.3f} x {r['to']:20} (target {r['target']})"
        for view, r in summary["ratios"].items()
    ]
    lines += [f"not installed: {name}" for name in summary["missing"]]
    sys.stdout.write("\n".join(lines) + "\n")


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/esc10/audio"))
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--output", type=Path, default=Path("benchmarks/results/views.json")
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    clips, paths, source = load(arguments.data, arguments.clips)
    times = measure(ours() | peers(paths), clips, arguments.repeats)
    summary = summarise(times)
    report(summary)
    settings = {
        "data": source,
        "clips": len(clips),
        "seconds": SECONDS,
        "sr": SR,
        "repeats": arguments.repeats,
        "threads": 1,
    }
    result = {"provenance": provenance(SEED), "settings": settings, **summary}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
