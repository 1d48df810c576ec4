"""
Hear what a network hears
=========================

A convolutional network can be followed back from a feature to the sound that excites
it. Choi, Kim, Fazekas and Sandler (2015) did so with a network of five layers, and
listened to the result. This example trains such a network on made-up sounds for a few
seconds, and makes its features audible.
"""

import matplotlib.pyplot as plt
import numpy as np

from skaudio.datasets import make_chords, make_sounds
from skaudio.inspection import (
    DeconvolutionDisplay,
    FeatureCorrelationDisplay,
    auralize,
    deconvolve,
)
from skaudio.neural_network import SpectrogramCNNClassifier
from skaudio.views import STFTView

# %%
# A network of five layers
# ------------------------
# It sees magnitudes of the short-time Fourier transform, compressed a little, and has
# an eighth of the paper's filters, which trains in seconds.

sr = 8000  # Hz
X, y = make_sounds(n_clips=96, n_classes=4, duration=1.5, sr=sr, random_state=0)
train, test = slice(0, 80), slice(80, None)
view = STFTView(sr=sr, n_fft=256, hop_length=128, scale="log1p")
cnn = SpectrogramCNNClassifier(
    views=view, width=0.125, dropout=0.1, max_epochs=30, batch_size=16, random_state=0
)
cnn.fit(X[train], y[train])
print(f"Accuracy on other sounds: {cnn.score(X[test], y[test]):.0%}")

# %%
# From a feature back to the spectrogram
# --------------------------------------
# :func:`~skaudio.inspection.deconvolve` follows every feature map of a layer back to
# the input. Pooling puts values where the maximum was, so that maps of high layers
# still show when and at which frequencies. Here the largest ones of the second layer
# are drawn, above spectrograms of what they sound like.

place = 80 + int(np.flatnonzero(y[test] == "harmonic")[0])
clip = X[place : place + 1]
maps = deconvolve(cnn, clip, layer=1)
print(f"A clip of class {y[place]}; maps of the second layer: {maps.shape}")

display = DeconvolutionDisplay.from_estimator(cnn, clip, layer=1, n_features=4)
plt.show()

# %%
# Listen to it
# ------------
# The maps are used as masks on the transform of the clip, which is then inverted. These
# are the sounds of the picture; a notebook shows them when a cell ends in ``display``.

display.auralization.to_table()

# %%
# Higher layers have fewer and coarser maps: they let through what decides on the class,
# wherever it is. :func:`~skaudio.inspection.auralize` makes the sounds of any number of
# clips, and its ``save`` writes them to a folder.

top = auralize(cnn, X[test][:2], layer=4, feature=[0, 1, 2])
top.to_table(max_duration=1.5)

# %%
# With the phases of the clip instead of its magnitudes, maps are heard as they are,
# also where the clip is soft.

auralize(cnn, clip, layer=1, feature=display.auralization.features, method="phase")

# %%
# What layers tell apart
# ----------------------
# Chords, synthesised on several instruments: how alike are the responses of a layer to
# the same chord on different instruments, and to different chords on one?

chords, table = make_chords(roots=["A3"], duration=1.0, sr=sr, random_state=0)
FeatureCorrelationDisplay.from_estimator(
    cnn, list(chords), table[["chord", "instrument"]], random_state=0
)
plt.show()
