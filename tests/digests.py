"""Digests of fitted weights and predictions: equal before and after a redesign.

    python tests/digests.py before.json --write     in the old state
    python tests/digests.py before.json             in the new one: what differs

Bits depend on the processor and on torch, so both must run on one machine. The script
imports the package that is installed; set PYTHONPATH for another checkout.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

NEW = "seconds", "test_score"  # columns of a history that are never compared


def find(name: str, *modules: str) -> Any:
    """A public name, wherever this checkout keeps it."""
    for module in modules:
        found = getattr(importlib.import_module(f"skaudio.{module}"), name, None)
        if found is not None:
            return found
    raise ImportError(name)


def digest(*values: Any) -> str:
    out = hashlib.sha256()
    for value in values:
        if isinstance(value, np.ndarray) and value.dtype == object:
            out.update(digest(*value).encode())
        elif isinstance(value, np.ndarray):
            out.update(f"{value.dtype}{value.shape}".encode())
            out.update(np.ascontiguousarray(value).data)
        else:
            out.update(repr(value).encode())
    return out.hexdigest()[:16]


def of_net(clf: Any, X: Any) -> dict[str, str]:
    weights = [t.cpu().numpy() for t in clf.net_.module_.state_dict().values()]
    history = [{k: v for k, v in row.items() if k not in NEW} for row in clf.history_]
    out = {
        "weights": digest(*weights),
        "proba": digest(clf.predict_proba(X)),
        "history": digest(history),
    }
    if hasattr(clf, "blending_history_"):
        out["blending"] = digest(clf.blending_history_)
    return out


def sounds(n: int = 24, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from skaudio.datasets import make_sounds

    X, y = make_sounds(n_clips=n, n_classes=3, sr=8000, duration=0.6, random_state=seed)
    return X, y, np.arange(n) // 2


def networks() -> dict[str, dict[str, str]]:
    from skaudio.neural_network import (
        Augmentation,
        CRNNClassifier,
        FrameLevelCNNClassifier,
        MultiViewBlendingClassifier,
        PlateauSchedule,
        SampleCNNClassifier,
    )
    from skaudio.views import GammatoneView, MelView, RawView, make_view_union

    plateau = PlateauSchedule(n_stages=3, patience=0)
    scaler = find("ViewScaler", "preprocessing", "views")
    X, y, groups = sounds()
    X_new, y_new, _ = sounds(9, seed=1)
    tags = np.stack([y == y[0], np.arange(len(y)) % 2 == 0], axis=1).astype(int)
    small = {"width": 0.06, "max_epochs": 3, "batch_size": 8, "random_state": 0}
    small["device"] = "cpu"
    inside = {**small, "segment_length": 0.3}
    union = make_view_union("mel", "gammatone", "raw", sr=8000)
    views = scaler().fit_transform(union.fit_transform(X))
    new = scaler().fit(union.transform(X)).transform(union.transform(X_new))
    mel, raw = MelView(sr=8000, n_mels=16), RawView(sr=8000)
    out = {}

    def add(name: str, clf: Any, X: Any, y: Any, new: Any, **fit: Any) -> None:
        out[name] = of_net(clf.fit(X, y, **fit), new)

    crnn = CRNNClassifier
    add("crnn mel", crnn(**small), views.select(["mel"]), y, new.select(["mel"]))
    add("crnn raw", crnn(**small), views.select(["raw"]), y, new.select(["raw"]))
    array, other = views["mel"], new["mel"]
    add("crnn array", crnn(segment_length=10, **small), array, y, other)
    add(
        "crnn float64",
        crnn(optimizer="adamw", lr_schedule="warmup-decay", **small),
        array.astype(float),
        y,
        other.astype(float),
    )
    add(
        "crnn held out, weights, sgd",
        crnn(
            validation_fraction=0.3,
            class_weight="balanced",
            optimizer="sgd",
            attention="temporal",
            lr_schedule="constant",
            **inside,
        ),
        views.select(["mel"]),
        y,
        new.select(["mel"]),
        groups=groups,
    )
    add(
        "crnn two sources, plateau",
        crnn(
            validation_fraction=1,
            lr_schedule=plateau,
            optimizer="nesterov",
            lr=0.01,
            **{**inside, "max_epochs": 6},
        ),
        views.select(["mel"]),
        y,
        new.select(["mel"]),
        groups=groups,
    )
    add(
        "crnn tags",
        crnn(validation_fraction=0.3, class_weight="balanced", **small),
        views.select(["mel"]),
        tags,
        new.select(["mel"]),
        groups=groups,
    )
    add(
        "crnn mixup outside",
        crnn(augmentation=Augmentation(mix="mixup", freq_mask=0.2), **inside),
        views.select(["mel"]),
        y,
        new.select(["mel"]),
    )
    many = Augmentation(
        gain=6.0,
        shift=True,
        snr=(5.0, 20.0),
        mix="between-class",
        freq_mask=0.2,
        time_mask=0.2,
    )
    add(
        "crnn views inside, augmented",
        crnn(views=mel, augmentation=many, **inside),
        X,
        y,
        X_new,
    )
    add(
        "crnn views inside, mixup, log",
        crnn(
            views=GammatoneView(sr=8000, scale="log"),
            augmentation=Augmentation(mix="mixup", mix_alpha=0.5),
            **inside,
        ),
        X,
        y,
        X_new,
    )
    blend = MultiViewBlendingClassifier
    for rule in ("adaptive", "paper", "fixed-reference", "uniform", "none"):
        add(
            f"blending {rule}",
            blend(blending=rule, validation_fraction=0.3, **inside),
            views,
            y,
            new,
            groups=groups,
        )
    add(
        "blending, views inside, watched",
        blend(views=union, validation_fraction=0.3, augmentation=many, **inside),
        X,
        y,
        X_new,
        groups=groups,
        X_test=X_new,
        y_test=y_new,
    )
    add(
        "blending tags, uniform, all clips",
        blend(blending="uniform", validation_fraction=None, **inside),
        views,
        tags,
        new,
    )
    sample = SampleCNNClassifier
    tiny = {**small, "width": 0.02}
    add(
        "samplecnn",
        sample(sr=8000, sizes=(3,) * 7, validation_fraction=0.3, **tiny),
        X,
        y,
        X_new,
    )
    add(
        "samplecnn tags, code",
        sample(
            sr=8000,
            sizes=(3,) * 7,
            filters="code",
            top_kernel=3,
            validation_fraction=0.3,
            **tiny,
        ),
        X,
        tags,
        X_new,
    )
    frame = FrameLevelCNNClassifier
    add(
        "frame level mel",
        frame(n_modules=3, validation_fraction=0.3, **tiny),
        views.select(["mel"]),
        y,
        new.select(["mel"]),
    )
    add(
        "frame level raw",
        frame(
            n_modules=3,
            win_length=27,
            hop_length=9,
            views=raw,
            validation_fraction=0.3,
            **tiny,
        ),
        X,
        y,
        X_new,
    )
    out["embeddings"] = embeddings(X, y, X_new, tiny)
    out["checkpoint"] = resumed(crnn(**inside), views.select(["mel"]), y)
    return out


def embeddings(X: Any, y: Any, X_new: Any, tiny: dict[str, Any]) -> dict[str, str]:
    from skaudio.embedding import LayerEmbedder, PretrainedEmbedder, save_weights
    from skaudio.neural_network import SampleCNNClassifier

    net = SampleCNNClassifier(sr=8000, sizes=(3,) * 7, validation_fraction=0.3, **tiny)
    layers = LayerEmbedder(net, layers=(-3, -1)).fit(X, y)
    module = layers.estimator_.net_.module_.network
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "small.safetensors")
        save_weights(module, path, sr=8000)
        published = PretrainedEmbedder(path, layers=(-2, -1), device="cpu", sr=8000)
        published.fit(X)
        rows, frames = published.transform(X_new), published.transform_frames(X_new)
    return {
        "layers": digest(layers.transform(X_new)),
        "pretrained": digest(rows),
        "pretrained frames": digest(*frames),
    }


def resumed(clf: Any, X: Any, y: Any) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "state.pt")
        clf.fit(X, y, checkpoint=path)
        clf.fit(X, y, checkpoint=path)
    return of_net(clf, X)


def views() -> dict[str, dict[str, str]]:
    from skaudio.views import CQTView, GammatoneView, MelView, MFCCView, RawView

    statistics = find("FrameStatistics", "preprocessing", "views")
    X, _, _ = sounds(4)
    ragged = [X[0], X[1][:3000], X[2].astype(float)]
    out = {}
    for view in (
        MelView(sr=8000),
        MelView(sr=8000, scale="log1p", power=1.0, top_db=None),
        MelView(sr=8000, scale="log"),
        MelView(sr=8000, scale="linear"),
        GammatoneView(sr=8000),
        GammatoneView(sr=8000, power=2.0, scale="log"),
        CQTView(sr=8000, n_bins=60),
        CQTView(sr=8000, n_bins=60, scale="linear", power=2.0),
        CQTView(sr=8000, n_bins=60, scale="log"),
        MFCCView(sr=8000, delta=2),
        RawView(sr=8000),
    ):
        name = f"{view}".replace("\n", " ")
        whole = view.fit_transform(X)
        out[name] = {
            "array": digest(whole),
            "ragged": digest(view.fit_transform(ragged)),
            "statistics": digest(statistics().fit_transform(whole)),
        }
    return out


def others() -> dict[str, dict[str, str]]:
    from sklearn.pipeline import make_pipeline

    from skaudio.ensemble import FrameClassifier, LateFusionClassifier
    from skaudio.mixture import GMMClassifier
    from skaudio.neural_network import CRNNClassifier
    from skaudio.views import MFCCView, make_view_union

    X, y, _groups = sounds()
    mfcc = make_pipeline(
        MFCCView(sr=8000),
        FrameClassifier(GMMClassifier(n_components=2, random_state=0)),
    )
    union = make_view_union("mel", "raw", sr=8000)
    fusion = LateFusionClassifier(
        CRNNClassifier(width=0.05, max_epochs=1, random_state=0, device="cpu")
    )
    return {
        "gmm": {"proba": digest(mfcc.fit(X, y).predict_proba(X))},
        "late fusion": {
            "proba": digest(
                fusion.fit(union.fit_transform(X), y).predict_proba(union.transform(X))
            )
        },
    }


def table() -> dict[str, dict[str, str]]:
    import torch

    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return networks() | views() | others()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    found = table()
    if arguments.write:
        arguments.table.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
        return 0
    wanted = json.loads(arguments.table.read_text())
    different = [
        f"{name}: {key}"
        for name in wanted
        for key in wanted[name]
        if found.get(name, {}).get(key) != wanted[name][key]
    ]
    sys.stdout.write("\n".join(different) + f"\n{len(different)} differ\n")
    return bool(different)


if __name__ == "__main__":
    sys.exit(main())
