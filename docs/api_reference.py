"""Writes the API reference from the packages' ``__all__``, so that it is complete."""

from __future__ import annotations

import inspect
from pathlib import Path

import skaudio

HEAD = """\
.. This page is written by docs/api_reference.py: change that, or a docstring.

.. _api:

API reference
=============

Every public name has one import path. Names that start with an underscore are private
and may change without notice.
"""

SECTION = """
.. _{anchor}:

{title}
{rule}

.. automodule:: {module}
   :no-members:
   :no-index:

.. currentmodule:: {module}

.. autosummary::
   :toctree: api/generated/
   :nosignatures:

{names}
"""


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


def render() -> str:
    """The whole page as reStructuredText."""
    page = HEAD
    for module, names in public_names().items():
        title = f"``{module}``"
        page += SECTION.format(
            anchor=module.replace(".", "-") + "-ref",
            title=title,
            rule="-" * len(title),
            module=module,
            names="".join(f"   {name}\n" for name in names),
        )
    return page


def write(folder: Path) -> None:
    """Write ``api.rst`` unless it is the same: sphinx rebuilds what is newer."""
    path = folder / "api.rst"
    page = render()
    if not path.exists() or path.read_text(encoding="utf-8") != page:
        path.write_text(page, encoding="utf-8")
