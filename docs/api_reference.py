"""Writes the API reference from the packages' ``__all__``, so that it is complete."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sklearn.base
from torch import nn

import skaudio
from skaudio.nn.frontends import FrontEnd

HEAD = """\
.. This page is written by docs/api_reference.py: change that, or a docstring.

.. _api:

API reference
=============

Every public name has one import path. Names that start with an underscore are private
and may change without notice. :ref:`Estimators and transformers <api-fit>` come first,
torch modules, which the estimators build themselves, last.
"""

PART = """
.. _api-{anchor}:

{title}
{rule}
"""

SECTION = """
.. _{anchor}:

{title}
{rule}

.. automodule:: {module}
   :no-members:
   :no-index:

.. currentmodule:: {module}
"""

GROUP = """
{heading}.. autosummary::
   :toctree: api/generated/
   :nosignatures:

{names}"""

# packages in the order of work; one that is in none of these is under "Everything else"
PARTS = {
    ("fit", "Train and predict"): "neural_network ensemble mixture segmentation papers",
    ("hear", "Sound, views and features"): "datasets views preprocessing embedding",
    ("judge", "Split, score and look inside"): "model_selection metrics inspection",
    ("keep", "Keep and serve"): "persistence export cache",
    ("nn", "Torch modules"): "nn",
}
REST = ("else", "Everything else")


def public_names() -> dict[str, list[str]]:
    """Module -> names in its ``__all__``; packages without any are left out."""
    found: dict[str, list[str]] = {"skaudio": []}
    for name in sorted(skaudio.__all__):
        public = getattr(skaudio, name)
        if inspect.ismodule(public):
            found[public.__name__] = sorted(getattr(public, "__all__", []))
        elif callable(public):
            found["skaudio"].append(name)
    return {module: names for module, names in found.items() if names}


def is_network(public: Any) -> bool:
    """A module that keeps the arguments of its constructor, as networks do."""
    return inspect.isclass(public) and "self.config" in inspect.getsource(public)


def derives(*bases: type) -> Callable[[Any], bool]:
    """Whether something is a class with one of these above it."""
    return lambda public: inspect.isclass(public) and issubclass(public, bases)


# the first kind that fits
KINDS: dict[str, Callable[[Any], bool]] = {
    "Estimators": derives(sklearn.base.ClassifierMixin),
    "Transformers": derives(sklearn.base.TransformerMixin),
    "Networks": is_network,
    "Front ends": derives(FrontEnd),
    "Layers and losses": derives(nn.Module),
    "Displays": lambda public: getattr(public, "__name__", "").endswith("Display"),
    "Other classes": inspect.isclass,
    "Functions": callable,
}


def groups(module: str, names: list[str]) -> dict[str, list[str]]:
    """Names of a package by kind."""
    package = importlib.import_module(module)
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for name in names:
        public = getattr(package, name)
        found[next(kind for kind, fits in KINDS.items() if fits(public))].append(name)
    return {kind: names for kind, names in found.items() if names}


def section(module: str, names: list[str]) -> str:
    """A package: its summary, then its names by kind."""
    title = f"``{module}``"
    text = SECTION.format(
        anchor=module.replace(".", "-") + "-ref",
        title=title,
        rule="~" * len(title),
        module=module,
    )
    by_kind = groups(module, names)
    for kind, members in by_kind.items():
        heading = f".. rubric:: {kind}\n\n" if len(by_kind) > 1 else ""
        listed = "".join(f"   {name}\n" for name in members)
        text += GROUP.format(heading=heading, names=listed)
    return text


def render() -> str:
    """The whole page as reStructuredText."""
    packages = public_names()
    parts = {
        key: [f"skaudio.{name}" for name in names.split()]
        for key, names in PARTS.items()
    }
    known = {module for modules in parts.values() for module in modules}
    parts[REST] = [module for module in packages if module not in known]
    page = HEAD
    for (anchor, title), modules in parts.items():
        page += PART.format(anchor=anchor, title=title, rule="-" * len(title))
        for module in modules:
            page += section(module, packages[module])
    return page


def write(folder: Path) -> None:
    """Write ``api.rst`` unless it is the same: sphinx rebuilds what is newer."""
    path = folder / "api.rst"
    page = render()
    if not path.exists() or path.read_text(encoding="utf-8") != page:
        path.write_text(page, encoding="utf-8")
