"""Pictures and sounds of the first pages, made anew when the manual is built."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import soundfile
from matplotlib import pyplot as plt

from skaudio.datasets import make_everyday_sounds
from skaudio.inspection import ViewDisplay
from skaudio.views import make_view_union

SR = 22050
CLASS = "bell"


def write(folder: Path) -> None:
    """Write the four views of a sound, and the sound, unless they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    picture, sound = folder / "four_views.png", folder / "four_views.wav"
    if picture.exists() and sound.exists():
        return
    X, y = make_everyday_sounds(12, 6, sr=SR, random_state=3)
    clip = X[list(y).index(CLASS)]
    union = make_view_union("mel", "gammatone", "cqt", "raw", sr=SR)
    display = ViewDisplay.from_estimator(union, clip, n_columns=2)
    display.figure_.set_size_inches(10, 5.2)
    display.figure_.savefig(picture, dpi=110)
    plt.close(display.figure_)  # or the first example of the gallery shows it
    soundfile.write(sound, clip / abs(clip).max() * 0.7, SR, subtype="PCM_16")


if __name__ == "__main__":
    write(Path(__file__).parent / "_static" / "generated")
