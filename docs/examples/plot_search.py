"""
A search over views and networks
================================

Does a network want more bands, another view, or more width? One grid search over all
of it, by source, that computes every view of every clip once.
"""

import time

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

from skaudio.cache import cache_info
from skaudio.datasets import make_everyday_sounds
from skaudio.inspection import PlayerTable
from skaudio.neural_network import CRNNClassifier
from skaudio.views import GammatoneView, MelView

sr = 8000
X, y, source = make_everyday_sounds(
    72, 6, sr=sr, duration=1.0, return_groups=True, random_state=1
)
PlayerTable(X[:4], {"class": y[:4], "source": source[:4]}, sr=sr)

# %%
# What is tried
# -------------
# Views are parameters like any other, and so are their own parameters. ``cache=True``
# keeps what they computed, by what a clip holds: thirteen fits, and one extraction
# of each kind.

model = CRNNClassifier(width=0.05, batch_size=16, max_epochs=6, random_state=0)
candidates = [
    {
        "views": [MelView(sr=sr, cache=True)],
        "views__n_mels": [16, 64],
        "width": [0.05, 0.1],
    },
    {
        "views": [GammatoneView(sr=sr, n_bins=32, cache=True)],
        "width": [0.05, 0.1],
    },
]
search = GridSearchCV(model, candidates, cv=StratifiedGroupKFold(2))
start = time.perf_counter()
search.fit(X, y, groups=source)
print(f"{time.perf_counter() - start:.0f} s, best: {search.best_params_}")
print(cache_info())

# %%
# What came out
# -------------
# The best by a hair is not the best: whiskers are the spread over two folds.

results = pd.DataFrame(search.cv_results_)
names = [
    f"{type(row.param_views).__name__.removesuffix('View')}, "
    f"{row.param_views__n_mels if row.param_views__n_mels > 0 else 32:.0f} bands, "
    f"width {row.param_width:g}"
    for row in results.itertuples()
]
fig, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
ax.errorbar(
    results.mean_test_score, names, xerr=results.std_test_score, fmt="o", capsize=3
)
ax.set_xlabel("accuracy on sources that were left out")
ax.grid(axis="x", alpha=0.4)
plt.show()
