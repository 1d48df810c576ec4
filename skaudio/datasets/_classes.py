"""Data sets of whole recordings that are sorted into folders of classes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skaudio.datasets._archives import Stated, extract_tar
from skaudio.datasets._base import encode_labels, make_bunch, set_subsets
from skaudio.datasets._faults import fault, refuse_many_faulty, without_faulty

TABLE = "clips.csv"


def unpack_classes(
    archive: Path,
    folder: Path,
    member: re.Pattern[str],
    stated: Stated,
    *,
    classes: Mapping[str, int],
    max_faulty: int,
) -> None:
    """Extract the files of every class, and note which can't be read.

    Parameters
    ----------
    archive : Path
        A .tar.gz file.
    folder : Path
        Where to write files and their table.
    member : re.Pattern
        Of members that are wanted, with the groups "file" (where to write it) and
        "class" (None of what is no sound).
    stated : Stated
        Sizes that are published.
    classes : mapping of str to int
        How many files each class has.
    max_faulty : int
        With more files that can't be read it is another data set.

    Raises
    ------
    ValueError
        If there are more or fewer files, or too many can't be read.
    """
    import pandas as pd

    labels: dict[str, str] = {}

    def name_of(path: str) -> str | None:
        match = member.fullmatch(path)
        if match is None:
            return None
        file = match["file"]
        if match["class"]:
            labels[file] = match["class"]
        return file

    extract_tar(archive, name_of, folder, stated)
    counts = {name: Counter(labels.values())[name] for name in classes}
    if counts != dict(classes):
        raise ValueError(f"it holds {counts} files of its classes: {dict(classes)}")
    files = sorted(labels)
    table = pd.DataFrame({"filename": files, "class": [labels[f] for f in files]})
    table["fault"] = [fault(folder / file) for file in files]
    refuse_many_faulty(table, max_faulty)
    table.to_csv(folder / TABLE, index=False)


def load_classes(
    final: Path,
    what: str,
    percent: Mapping[str, int],
    random_state: Any,
    descr: str,
) -> Any:
    """Bunch of the files that can be read, with a random split within every class.

    Every file is its own source. Which part it is in does not depend on others that
    can't be read.
    """
    import pandas as pd

    frame = pd.read_csv(final / TABLE, keep_default_na=False)
    frame["subset"] = random_parts(frame["class"], percent, random_state)
    frame["path"] = [str(final / file) for file in frame["filename"]]
    frame = without_faulty(frame, what)
    target, names = encode_labels(frame["class"])
    data = make_bunch(frame, target, names, group="filename", fold=None, descr=descr)
    data.groups = data.groups.astype(str)
    set_subsets(data, frame["subset"])
    return data


def random_parts(
    labels: Any, percent: Mapping[str, int], random_state: Any
) -> np.ndarray:
    """Part of a split that each row is in: rows of a class are shuffled, then cut.

    Shares add up to 100. Cuts are rounded down; classes come in order of their names.
    """
    labels = np.asarray(labels)
    random = check_random_state(random_state)
    cuts = np.cumsum(list(percent.values()))[:-1]
    parts = np.empty(len(labels), dtype=object)
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        pieces = np.split(rows, len(rows) * cuts // 100)
        for part, piece in zip(percent, pieces, strict=True):
            parts[piece] = part
    return parts.astype(str)
