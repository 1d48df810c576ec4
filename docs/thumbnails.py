"""A small picture for every page of the user guide, made when the manual is built."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import Polygon, Rectangle

from skaudio.datasets import make_everyday_sounds
from skaudio.views import CQTView, MelView, MFCCView

SR = 16000
BLUE, RED, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#999999"
RNG = np.random.default_rng(0)
X, Y = make_everyday_sounds(16, 8, sr=SR, clips_per_source=1, random_state=4)
Draw = Callable[[Any], object]
DRAWINGS: dict[str, Draw] = {}
T = np.linspace(0, 1, 200)


def sound(name: str) -> np.ndarray:
    """A clip of a class."""
    clip: np.ndarray = X[list(Y).index(name)]
    return clip


def image(values: np.ndarray, cmap: str = "magma") -> Draw:
    """A spectrogram that fills the picture."""

    def draw(ax: Any) -> None:
        low = np.percentile(values, 5)
        ax.imshow(values, origin="lower", aspect="auto", cmap=cmap, vmin=low)

    return draw


def lines(*curves: np.ndarray) -> Draw:
    """Curves over the same axis."""

    def draw(ax: Any) -> None:
        for curve, color in zip(curves, (BLUE, RED, GREEN, GREY), strict=False):
            ax.plot(np.linspace(0, 1, len(curve)), curve, color=color, lw=2.5)
        ax.margins(0.05, 0.12)

    return draw


def bars(*heights: float, across: bool = False) -> Draw:
    """Bars upwards, or to the right."""

    def draw(ax: Any) -> None:
        places = np.arange(len(heights))
        (ax.barh if across else ax.bar)(places, heights, 0.7, color=BLUE)
        ax.margins(0.12)

    return draw


def text(words: str) -> Draw:
    """Words in a fixed width."""

    def draw(ax: Any) -> None:
        style = {"family": "monospace", "fontsize": 13, "color": BLUE}
        ax.text(0.5, 0.5, words, ha="center", va="center", **style)

    return draw


def wave(ax: Any) -> None:
    """A waveform."""
    clip = sound("bell")
    ax.plot(clip[:: len(clip) // 4000], color=BLUE, lw=0.5)


def matrix(ax: Any) -> None:
    """A confusion matrix."""
    values = 6 * np.eye(5) + RNG.uniform(0, 1.5, (5, 5))
    ax.imshow(values, cmap="Blues", aspect="auto")


def clusters(ax: Any) -> None:
    """Points of three classes."""
    for i, color in enumerate((BLUE, RED, GREEN)):
        points = RNG.normal([[i, (i % 2) * 1.3]], 0.28, (25, 2))
        ax.scatter(*points.T, s=14, color=color)


def words_and_points(ax: Any) -> None:
    """Words among points."""
    for word, x, y in (("rain", 0.2, 0.3), ("bell", 0.7, 0.7), ("bird", 0.75, 0.2)):
        ax.scatter(*RNG.normal([[x], [y]], 0.06, (2, 9)), s=14, color=BLUE)
        ax.text(x, y, word, ha="center", va="center", fontsize=15, color=RED)
    ax.set(xlim=(0, 1), ylim=(0, 1))


def layers(ax: Any) -> None:
    """Layers of a network, some of which are frozen."""
    for i in range(6):
        color = GREY if i < 4 else RED
        ax.add_patch(
            Rectangle((i, 0.5 - 0.08 * (6 - i)), 0.7, 0.16 * (6 - i), fc=color)
        )
    ax.set(xlim=(-0.3, 6), ylim=(-0.1, 1.1))


def sources(ax: Any) -> None:
    """Sources on two sides of a split."""
    for i in range(24):
        side = BLUE if i // 3 % 4 else RED
        ax.add_patch(Rectangle((i % 12, 1 - i // 12), 0.85, 0.85, fc=side))
        if i % 3 == 2:
            ax.plot(
                [i % 12 - 2, i % 12 + 0.85], [0.92 - i // 12 + 1] * 2, color="k", lw=1
            )
    ax.set(xlim=(-0.3, 12.2), ylim=(-0.3, 2.3))


def over_time(ax: Any) -> None:
    """Labels of a recording over time."""
    edges = [0, 2, 3, 5.5, 7, 10]
    for i, (start, end) in enumerate(pairwise(edges)):
        color = (BLUE, RED, GREEN)[i % 3]
        ax.add_patch(Rectangle((start, i % 3), end - start - 0.06, 0.9, fc=color))
    ax.set(xlim=(-0.2, 10.2), ylim=(-0.3, 3.2))


def windows(ax: Any) -> None:
    """Windows of a long waveform."""
    clip = np.concatenate([0.2 * sound("rain"), sound("siren"), 0.2 * sound("waves")])
    ax.plot(clip[::40] / np.abs(clip).max(), color=BLUE, lw=0.5)
    for i in range(6):
        place = len(clip) // 40 * i / 6
        ax.axvline(place, color=RED, lw=1)
    ax.margins(0.02, 0.1)


def player(ax: Any) -> None:
    """A spectrogram with the sign for playing."""
    image(MelView(sr=SR).transform([sound("siren")])[0])(ax)
    (x0, x1), (y0, y1) = ax.get_xlim(), ax.get_ylim()
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    w, h = (x1 - x0) / 12, (y1 - y0) / 5
    corners = [(x - w, y - h), (x - w, y + h), (x + w, y)]
    ax.add_patch(Polygon(corners, fc="white", alpha=0.9))


def two_images(ax: Any) -> None:
    """A spectrogram and what is left of it."""
    whole = MelView(sr=SR).transform([sound("bird")])[0]
    coarse = whole.reshape(16, 4, -1).mean(axis=1).repeat(4, axis=0)
    image(np.hstack([whole, np.full((len(whole), 4), whole.max()), coarse]))(ax)


MEL = MelView(sr=SR)
DRAWINGS |= {
    "first_classifier": matrix,
    "audio_in": wave,
    "folders_and_tables": text("my_sounds/\n  bell/ 001.wav\n  bird/ 002.mp3"),
    "views": image(CQTView(sr=SR).transform([sound("bell")])[0]),
    "tags": bars(0.15, 0.9, 0.3, 0.75, across=True),
    "validation_by_source": sources,
    "baselines": image(MFCCView(sr=SR).transform([sound("steps")])[0][1:], "viridis"),
    "multiview_blending": lines(
        0.3 + 0.3 * T, 0.3 - 0.2 * T, 0.3 + 0.1 * np.sin(6 * T)
    ),
    "waveform_networks": lines(np.sin(12 * T), np.sin(40 * T) - 2.5),
    "light_networks": bars(9, 4, 1.2, 0.3),
    "autoencoders": two_images,
    "own_network": text("class Mine(\n  nn.Module)"),
    "training": lines(np.exp(-4 * T), 0.25 + 0.7 * np.exp(-5 * T) + 0.2 * T**2),
    "learning_rates": lines(np.where(T < 0.3, T / 0.3, np.cos((T - 0.3) * 2.24) ** 2)),
    "protocols": text("epochs   60\nwidth  0.25\nseed      0"),
    "transfer": clusters,
    "other_models": text("HEAR  ONNX\nCLMR  COALA"),
    "sound_and_words": words_and_points,
    "fine_tuning": layers,
    "segmentation": over_time,
    "long_recordings": windows,
    "inspection": image(np.abs(np.sin(np.outer(np.arange(1, 9) ** 1.5, 4 * T)))),
    "listening": player,
    "auralization": image(1.0 * (MEL.transform([sound("bird")])[0] > -25), "Blues"),
    "time_and_memory": bars(1, 2.2, 4.5, 9),
    "tuning": lines(1 - 3 * (T - 0.6) ** 2 + 0.03 * RNG.normal(size=200)),
    "persistence": text("save(model, ...)\nload(...)"),
    "scale": lines(0.2 + 0.05 * T, T),
    "serving": text("POST dog.wav\n{'dog': 0.97}"),
    "threads": bars(1, 0.55, 0.5, 0.5),
    "errors": text("wanted ...\ngot ..."),
}


def write(folder: Path) -> None:
    """Write the pictures that are not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for page, draw in DRAWINGS.items():
        path = folder / f"{page}.png"
        if path.exists():
            continue
        figure, ax = plt.subplots(figsize=(3.2, 1.5))
        draw(ax)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        figure.subplots_adjust(0, 0, 1, 1)
        figure.savefig(path, dpi=100)
        plt.close(figure)


if __name__ == "__main__":
    write(Path(__file__).parent / "_static" / "generated" / "guide")
