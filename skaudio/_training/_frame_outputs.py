"""`FrameOutputs`: decisions on every frame, by networks that make them in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skaudio._segments import to_steps
from skaudio._training._estimator import SegmentEstimator, check_finite
from skaudio._utils._container import stack_or_object


class FrameOutputs(SegmentEstimator):
    """A `SegmentClassifier` on one view, whose network has the methods of `SwishNet`.

    They are ``frames(x, window)`` and ``context(window)``.
    """

    _target: Any

    def predict_frames_proba(self, X):
        """Predict class probabilities of every frame of a view, with times.

        A frame is decided on by the window around it that is as long as a training
        segment, as far as the clip goes. All frames of a clip are computed in one pass.

        Parameters
        ----------
        X : Views, or array-like of shape (n_clips, n_bins, n_frames)
            Clips, as in `fit`.

        Returns
        -------
        proba : ndarray of shape (n_clips, n_classes, n_frames)
            Class probabilities over time, in the order of ``classes_``. Or, if clips
            differ in length, a 1-D object array of (n_classes, n_frames_i) arrays.
        timestamps : ndarray of shape (n_clips, n_frames)
            Seconds from the start of a clip to the centres of its frames; a 1-D object
            array if clips differ in length. Plain arrays have no rate, in contrast to
            views: they get numbers of frames, from 0.
        """
        check_is_fitted(self)
        ((name, rate),) = self._spec.rates.items()
        proba: list[np.ndarray] = []
        for data in self._datasets(X):
            for clip in data.clips[name]:
                logits = self.net_.frames(clip, self._window)
                proba.append(self._target.activate(logits)[0])
                check_finite(proba[-1][None], name, first=len(proba) - 1)
        times = [np.arange(of_clip.shape[1]) / rate for of_clip in proba]
        return stack_or_object(proba), stack_or_object(times)

    @property
    def frame_context(self) -> tuple[int, int]:
        """Frames before and after a frame that its probabilities may depend on."""
        check_is_fitted(self)
        before, after = self.net_.module_.network.context(self._window)
        return int(before), int(after)

    @property
    def _window(self) -> int:
        """Frames that a decision is made on."""
        (rate,) = self._spec.rates.values()
        return to_steps(self._spec.seconds, rate)
