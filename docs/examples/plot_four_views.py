"""
Four views of one sound
=======================

The same two seconds as log-mel, gammatone and constant-Q spectrogram and as waveform:
what each shows, what it hides, and how much it holds.
"""

import matplotlib.pyplot as plt
import pandas as pd

from skaudio.datasets import make_everyday_sounds
from skaudio.inspection import PlayerTable, ViewDisplay
from skaudio.views import make_view_union

sr = 22050
X, y = make_everyday_sounds(8, 8, sr=sr, clips_per_source=1, random_state=4)
chosen = [list(y).index(name) for name in ("bell", "siren", "rain")]
PlayerTable(X[chosen], {"class": y[chosen]}, sr=sr)

# %%
# A bell
# ------
# Its partials stand still, so that they are lines. The constant-Q transform has twelve
# bins per octave and tells low ones apart; mel bands are as wide as 50 Hz there. The
# strike is a moment: sharp in the waveform, in mel and gammatone, and blurred in the
# lowest octaves of the constant-Q transform, whose windows are long.

union = make_view_union("mel", "gammatone", "cqt", "raw", sr=sr)
display = ViewDisplay.from_estimator(union, X[chosen[0]], n_columns=2)
display.figure_.set_size_inches(10, 5.5)
plt.show()

# %%
# A siren
# -------

display = ViewDisplay.from_estimator(union, X[chosen[1]], n_columns=2)
display.figure_.set_size_inches(10, 5.5)
plt.show()

# %%
# Rain
# ----
# Noise has no lines. What tells it from other noise is the balance of bands, which
# gammatone filters, close to those of the ear, show most smoothly.

display = ViewDisplay.from_estimator(union, X[chosen[2]], n_columns=2)
display.figure_.set_size_inches(10, 5.5)
plt.show()

# %%
# What a network gets
# -------------------
# Several views travel together, row by row, with the rates that they are cut by.

views = union.transform(X)
table = pd.DataFrame(
    {
        name: {
            "bins": views.n_bins[name],
            "frames per second": round(views.rates[name], 1),
            "numbers per second": round(views.n_bins[name] * views.rates[name]),
        }
        for name in views.names
    }
).T.astype(int)
print(table)
