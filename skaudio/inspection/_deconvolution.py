"""What feature maps of a network respond to in a clip, by deconvolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skaudio._utils._container import stack_or_object
from skaudio.inspection._networks import (
    Model,
    are_several,
    check_features,
    highest,
    layers_of,
    record,
)


def deconvolve(
    estimator: Any,
    X: Any,
    layer: int | str | Sequence[int | str] | None = None,
    feature: int | Sequence[int] | None = None,
    *,
    bias: bool = True,
) -> Any:
    """Follow feature maps of a layer back to the input: what in a clip they are of.

    The activations of one feature go down through the network, those of all others are
    left out: pooling puts every value where the maximum was in the forward pass (the
    first of equal ones), rectifiers rectify, and convolutions are transposed, their
    biases left out. That is the gradient of the layer by the input, applied to the
    activations, in which a rectifier lets through what is positive on its way down
    instead of what was positive on its way up. There is no rectifier at the bottom, so
    that maps may be negative.

    Deconvolution goes through convolutions with any strides, normalisation by running
    statistics, which counts as a part of the convolution, ReLU and its relatives,
    max-pooling, means, changes of shape, sums and concatenations. Whether all that is
    computed between the input and a layer is one of these is seen while it is computed,
    whatever network it is. It holds for the convolutions of `SpectrogramCNNClassifier`,
    `CRNNClassifier`, `MultiViewBlendingClassifier`, `SampleCNNClassifier`,
    `FrameLevelCNNClassifier`, `MobileNetClassifier` and, on patches of 96 frames,
    `CoalaTagClassifier` and `CoalaEmbedder`; not for fully connected and recurrent
    layers, attention, and the gates of `SwishNetClassifier`.

    Parameters
    ----------
    estimator : classifier, Pipeline or Module
        A fitted neural classifier, a pipeline that ends in one, whose steps are
        applied to X, a search or meta-estimator that has fitted one of these, or a
        torch module. It is left as it was.
    X : whatever the estimator takes
        Clips, of any length: they are not cut into segments. With a module, an array
        (n_clips, n_bins, n_frames), a list of arrays (n_bins, n_frames_i), or `Views`.
    layer : int, str, list of these or None, default=None
        Which layer, by its place among ``hidden_layers`` of the network, 0 the lowest,
        or by its name there or in ``named_modules()``. None is the highest that has
        maps. A list takes less time than its layers one by one.
    feature : int, list of int or None, default=None
        Which features of the layer, from 0. None is all of them. No map depends on
        which others are asked for.
    bias : bool, default=True
        Whether convolutions add their biases, and normalisations their shifts, in the
        forward pass, as they do in prediction. The paper's code leaves them out; then
        maps of a clip that is twice as loud are twice as large, if the view is.

    Returns
    -------
    maps : ndarray of shape (n_clips, n_features, n_bins, n_frames)
        In the units of the network's input, standardised where it is. Or, if clips
        differ in length, a 1-D object array of `n_clips` arrays (n_features, n_bins,
        n_frames_i). Of a network on several views, maps are of the view that the layer
        sees. For a list of layers, a list of these.

    Raises
    ------
    TypeError
        If there is no network, or it does something else than listed above below the
        layer. The message says what, where, and which layers have maps.
    ValueError
        If a layer or feature does not exist, or a clip is too short for the layer or
        has values that are not finite.

    See Also
    --------
    auralize : Sound of these maps.
    DeconvolutionDisplay : Draws them.

    Notes
    -----
    Dropout does not take part, nor does its scale. ReLU6 rectifies without its upper
    limit on the way down, and LeakyReLU lets its share of what is negative through.
    Where pooling comes before the rectifier (`CRNNClassifier`, `SampleCNNClassifier`),
    a window in which all is negative has a switch, too: values that come to it from
    above stay at its maximum. Features that are zero everywhere in a clip have maps of
    zeros.

    References
    ----------
    Choi, Kim, Fazekas and Sandler, "Auralisation of deep convolutional neural networks:
    listening to learned features", ISMIR 2015, late-breaking session.

    Zeiler and Fergus, "Visualizing and understanding convolutional networks", ECCV
    2014, Section 2.1.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.inspection import deconvolve
    >>> from skaudio.neural_network import SpectrogramCNNClassifier
    >>> from skaudio.views import STFTView
    >>> X, y = make_sounds(n_clips=8, n_classes=2, sr=8000, random_state=0)
    >>> cnn = SpectrogramCNNClassifier(width=0.1, max_epochs=1, random_state=0)
    >>> model = make_pipeline(STFTView(sr=8000, n_fft=256), cnn).fit(X, y)
    >>> deconvolve(model, X[:2], layer=2, feature=[0, 3]).shape
    (2, 2, 129, 51)
    """
    model = Model.of(estimator)
    names = layers_of(model, layer)
    found: list[list[np.ndarray]] = [[] for _ in names or [""]]
    for row, clip in enumerate(model.clips(X)):
        names = names or [highest(model, clip, bias)]
        recording = record(model, clip, row, names, bias)
        for maps, name in zip(found, names, strict=True):
            features = check_features(feature, recording.n_features(name), name)
            maps.append(recording.maps(name, features).cpu().numpy())
    arrays = [stack_or_object(maps) for maps in found]
    return arrays if are_several(layer) else arrays[0]
