"""skaudio: audio classification the scikit-learn way.

Views of sound (log-mel, gammatone, CQT, raw waveform), networks from papers behind
plain estimators, and classical baselines, all in scikit-learn Pipelines.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

__version__ = "0.1.0"

# Threads of libgomp spin while they wait, 300,000 turns by default: beside other busy
# processes that makes training many times slower. 10,000 are as fast on idle cores
# (benchmarks/speed/waiting_threads.py). It is decided when torch is loaded; see
# `nn.devices`.
if "torch" not in sys.modules and not {
    *("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
} & {*os.environ}:
    os.environ["GOMP_SPINCOUNT"] = "10000"

_SUBPACKAGES = (
    "cache",
    "datasets",
    "embedding",
    "ensemble",
    "export",
    "inspection",
    "metrics",
    "mixture",
    "model_selection",
    "neural_network",
    "nn",
    "papers",
    "persistence",
    "preprocessing",
    "segmentation",
    "views",
)

__all__ = ["__version__", "show_versions", *_SUBPACKAGES]


def __getattr__(name: str) -> Any:
    if name in _SUBPACKAGES:
        return importlib.import_module(f"skaudio.{name}")
    raise AttributeError(f"module 'skaudio' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


def show_versions() -> None:
    """Print the versions of Python and of every dependency, for bug reports.

    Examples
    --------
    >>> import skaudio
    >>> skaudio.show_versions()  # doctest: +ELLIPSIS
    skaudio...
    """
    import platform
    import sys
    from importlib import metadata

    rows = [("skaudio", __version__), ("python", sys.version.split()[0])]
    rows.append(("platform", platform.platform()))
    for package in (
        "numpy scipy pandas scikit-learn joblib torch skorch librosa soundfile soxr "
        "pooch tqdm safetensors matplotlib"
    ).split():
        try:
            rows.append((package, metadata.version(package)))
        except metadata.PackageNotFoundError:
            rows.append((package, "not installed"))
    width = max(len(name) for name, _ in rows)
    sys.stdout.write("".join(f"{name:<{width}}  {v}\n" for name, v in rows))
