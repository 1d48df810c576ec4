"""
Probes: a trained network as features
=====================================

A network that learned five kinds of synthetic sound never heard a bird. Are its hidden
layers of use for birds? Which of them? With published weights,
``PretrainedEmbedder("musicnn-jamendo")`` takes the place of the file in this example.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from skaudio.datasets import make_everyday_sounds, make_sounds
from skaudio.embedding import (
    LayerEmbedder,
    PretrainedEmbedder,
    make_probe,
    save_weights,
)
from skaudio.inspection import EmbeddingDisplay, PlayerTable
from skaudio.neural_network import SampleCNNClassifier
from skaudio.preprocessing import FrameStatistics
from skaudio.views import MFCCView

# %%
# A network that learned something else
# -------------------------------------

sr = 8000
known, labels = make_sounds(200, 5, sr=sr, random_state=0)
network = SampleCNNClassifier(
    **{"sr": sr, "sizes": (3,) * 7, "width": 0.1, "max_epochs": 10},
    **{"optimizer": "adam", "lr": 0.004, "lr_schedule": "one-cycle"},
    validation_fraction=None,
    random_state=0,
).fit(known, labels)
print(f"what it was trained on: {network.score(known, labels):.0%}")

# %%
# Its weights are a file, as published ones are.

folder = Path(tempfile.mkdtemp())
file = folder / "network.safetensors"
save_weights(network.net_.module_.network, file, sr=sr)

# %%
# New sounds
# ----------

X, y, source = make_everyday_sounds(
    72, 6, sr=sr, duration=1.0, return_groups=True, random_state=0
)
PlayerTable(X[:4], {"class": y[:4]}, sr=sr)

# %%
# Layer by layer
# --------------
# A probe is a small classifier on embeddings: every clip is embedded once, however
# often it is searched. Clips of one source stay together.

splits = list(StratifiedGroupKFold(3).split(X, y, source))
layers = {"first layers": (0, 1, 2), "middle": (3, 4), "last": (-1,)}
scores = {
    name: cross_val_score(
        make_probe(PretrainedEmbedder(file, layers=of), head="lda"), X, y, cv=splits
    )
    for name, of in layers.items()
}
baseline = make_pipeline(MFCCView(sr=sr), FrameStatistics())
scores["MFCC statistics"] = cross_val_score(
    make_probe(baseline, head="lda"), X, y, cv=splits
)
print(pd.DataFrame(scores).mean().round(3))

# %%
# What the last layer makes of them
# ---------------------------------
# Not one of these classes was trained on.

embedder = LayerEmbedder(FrozenEstimator(network), layers=[-1]).fit(X)
display = EmbeddingDisplay.from_estimator(embedder, X, y, random_state=0)
display.figure_.set_size_inches(7, 4.5)
plt.show()
