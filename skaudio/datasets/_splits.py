"""Names of the parts of a split, in folders and in columns."""

from __future__ import annotations

import re
from collections.abc import Iterable

PARTS = {
    "train": "train training trn",
    "valid": "valid validation val dev development",
    "test": "test testing tst eval evaluation",
}
_NAME = re.compile(
    "|".join(f"(?P<{part}>{'|'.join(names.split())})" for part, names in PARTS.items())
)


def part_of(name: str) -> str | None:
    """The part that a name means: "train", "valid", "test", or None.

    Examples
    --------
    >>> from skaudio.datasets._splits import part_of
    >>> part_of("Validation"), part_of("train-clean-100"), part_of("trainer")
    ('valid', 'train', None)
    """
    first = re.match(r"[a-z]+", name.lower())
    match = _NAME.fullmatch(first[0]) if first else None
    return match.lastgroup if match else None


def parts_of(names: Iterable[str]) -> dict[str, str]:
    """Names that are parts of a split, with their parts; {} if that is no split.

    One part has to be trained on: where none is called so, development is.
    """
    found = {name: part for name in names if (part := part_of(name))}
    present = set(found.values())
    if "train" not in present and {"valid", "test"} <= present:
        found = {n: "train" if p == "valid" else p for n, p in found.items()}
        present = set(found.values())
    return found if "train" in present and len(present) > 1 else {}
