"""
A small network and its teacher
===============================

SwishNet (Hussain and Haque, 2018) has a few thousand parameters, and learns by the
outputs of another classifier as well as by labels. In this example labels are partly
wrong, as those of a crowd may be, and the teacher is too simple to learn them by heart.
The temperature, which says how much of the teacher's doubts the student sees, is chosen
by cross-validation.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaudio.datasets import make_sounds
from skaudio.inspection import PlayerTable
from skaudio.neural_network import DistilledClassifier, SwishNetClassifier
from skaudio.preprocessing import FrameStatistics, ViewScaler
from skaudio.views import MFCCView

# %%
# Sounds
# ------
# Coefficients are computed once, for all that follows. Of the clips to learn from,
# three in ten get a label at random.

sr = 8000
X, y = make_sounds(n_clips=360, n_classes=4, duration=0.5, sr=sr, random_state=0)
view = MFCCView(sr=sr, n_mels=32, win_length=200, hop_length=80, n_fft=256)
X_train, X_test, y_train, y_test = train_test_split(
    view.fit_transform(X), y, test_size=0.5, stratify=y, random_state=0
)
rng = np.random.default_rng(0)
is_random = rng.random(len(y_train)) < 0.3
y_train[is_random] = rng.choice(np.unique(y), is_random.sum())
PlayerTable(X[:4], {"class": y[:4]}, sr=sr)

# %%
# A teacher, a student, and the student on its own
# ------------------------------------------------
# The teacher sees means and deviations over a clip, the student the sequence of frames.

teacher = make_pipeline(FrameStatistics(), StandardScaler(), LogisticRegression(C=0.1))
student = make_pipeline(
    ViewScaler(),
    SwishNetClassifier(
        max_epochs=20, batch_size=16, lr=0.01, n_segments=1, random_state=0
    ),
)
scores = {
    "teacher": teacher.fit(X_train, y_train).score(X_test, y_test),
    "student alone": student.fit(X_train, y_train).score(X_test, y_test),
}

# %%
# The temperature
# ---------------
# The teacher is not frozen: in every fold it is fitted on the training clips of that
# fold, and knows nothing of those that the student is judged by.

search = GridSearchCV(
    DistilledClassifier(student, teacher), {"temperature": [1, 2, 4]}, cv=2
)
search.fit(X_train, y_train)
scores["distilled"] = search.score(X_test, y_test)
print(f"chosen: {search.best_params_}")
print(pd.Series(scores, name="accuracy on new clips").round(2).to_string())

fig, ax = plt.subplots()
results = pd.DataFrame(search.cv_results_)
ax.errorbar(
    results["param_temperature"].astype(float),
    results["mean_test_score"],
    yerr=results["std_test_score"],
    marker="o",
    capsize=3,
)
ax.set(xscale="log", xlabel="temperature", ylabel="accuracy in cross-validation")
ax.set_xticks([1, 2, 4], ["1", "2", "4"])
ax.minorticks_off()
plt.show()

# %%
# What doubts look like
# ---------------------
# Probabilities of one clip, as its student sees them: the higher the temperature, the
# more the wrong classes count.

clip = X_test[:1]
proba = pd.Series(teacher.predict_proba(clip)[0], index=teacher.classes_)
softened = pd.DataFrame({t: proba ** (1 / t) for t in (1, 2, 4)})
softened /= softened.sum()
ax = softened.plot.bar(ylabel="probability", title=f"A clip of {y_test[0]}")
ax.legend(title="temperature")
plt.tight_layout()
plt.show()

# %%
# Frame by frame
# --------------
# The student is an ordinary classifier, and needs no teacher any more. It also decides
# on every frame of a clip.

scaler, swishnet = search.best_estimator_.student_
frames, times = swishnet.predict_frames_proba(scaler.transform(clip))
fig, ax = plt.subplots()
ax.plot(times[0] * view.hop_length / sr, frames[0].T, label=swishnet.classes_)
ax.set(xlabel="seconds", ylabel="probability", title=f"A clip of {y_test[0]}")
ax.legend()
plt.show()
