"""
Many machines with Dask
=======================

Views are computed and a search is run by the workers of a cluster. Two processes of
this machine stand for it here; ``Client("tcp://head:8786")`` is all that changes with
many machines and a shared folder.
"""

import tempfile

import joblib
import matplotlib.pyplot as plt
import pandas as pd
from distributed import Client
from distributed.deploy.subprocess import SubprocessCluster
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from skaudio.cache import cache_info
from skaudio.datasets import make_everyday_sounds, write_audio_files
from skaudio.inspection import PlayerTable, ViewDisplay
from skaudio.preprocessing import FrameStatistics, ViewScaler
from skaudio.views import make_view_union

sr = 16000
X, y = make_everyday_sounds(48, 4, sr=sr, duration=1.0, random_state=0)
PlayerTable(X[:4], {"class": y[:4]}, sr=sr)

# %%
# Files, and a folder for what is computed
# ----------------------------------------
# On a cluster both lie on a disk that all machines see. What travels are paths and
# parameters.

folder = tempfile.mkdtemp()
paths = write_audio_files(f"{folder}/sounds", X, y, sr=sr)
views = make_view_union("mel", "cqt", "mfcc", sr=sr, cache=f"{folder}/views")

# %%
# The cluster
# -----------
# Whatever takes ``n_jobs`` goes there: extraction, cross-validation, searches, late
# fusion. A worker that dies loses nothing: its tasks are done by another one.

cluster = SubprocessCluster(n_workers=2, threads_per_worker=1)
client = Client(cluster)
with joblib.parallel_config("dask"):
    Z = views.fit_transform(paths)
    model = make_pipeline(ViewScaler(), FrameStatistics(), GaussianNB())
    grid = {"gaussiannb__var_smoothing": [1e-9, 1e-3, 1e-1, 1.0]}
    search = GridSearchCV(model, grid, cv=3).fit(Z, y)
client.close()
cluster.close()
print(Z)
print(cache_info(f"{folder}/views").n_arrays, "arrays in the folder")

# %%
# What came back
# --------------

results = pd.DataFrame(search.cv_results_)
print(results[["param_gaussiannb__var_smoothing", "mean_test_score"]].round(3))
ViewDisplay.from_views(Z, clip=0)
plt.show()
