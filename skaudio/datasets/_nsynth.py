"""NSynth: notes of instruments, with the balanced training notes of COALA."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from skaudio._data_home import cache_folder
from skaudio.datasets._archives import (
    Archive,
    Stated,
    extract_tar,
    fetch,
    path_exists,
)
from skaudio.datasets._base import (
    encode_labels,
    make_bunch,
    set_subsets,
)
from skaudio.datasets._faults import fault, refuse_many_faulty, without_faulty

AUDIO_URL = (
    "https://storage.googleapis.com/download.magenta.tensorflow.org/datasets/nsynth"
)
LIST_URL = (
    "https://raw.githubusercontent.com/xavierfav/coala/"
    "b791ad6bb5c4f7b8f8f8fa8e0c5bd5b89b0ecbc3/json"
)
LIST = "nsynth_selected_sounds_per_class.json"
CHECKSUMS: dict[str, str | None] = {
    "train": "md5:fde6665a93865503ba598b9fac388660",
    "valid": "md5:87e94a00a19b6dbc99cf6d4c0c0cae87",
    "test": "md5:5e6f8719bf7e16ad0a00d518b78af77d",
    LIST: "sha256:97acc26e18aed1f82476d36738847137386344135a4c590e3d32636afc8ed163",
}
DOWNLOADS = {"train": 23_815_298_079, "valid": 1_068_767_009, "test": 349_501_546}
CLIP = 4 * 16_000 * 2  # bytes
RECORD = 2**10  # bytes of a note in the table; they have about 700
LIST_BYTES = 622_531
TABLE = "examples.json"
COLUMNS = (
    *("note", "note_str", "instrument", "instrument_str", "pitch", "velocity"),
    *("sample_rate", "qualities", "qualities_str", "instrument_family"),
    *("instrument_family_str", "instrument_source", "instrument_source_str"),
)

DESCR = """\
NSynth: notes of musical instruments
------------------------------------
305,979 notes of 4 s (16 kHz, 16 bit, mono) of 1,006 instruments from commercial sample
libraries in 11 families: each held for 3 s, at every pitch of a piano (MIDI 21 to 108)
that the instrument has and up to five velocities. 289,205 are for training, 12,678 for
validation and 4,096 for testing; instruments of the training notes are in neither of
the other parts. One family, synth_lead, is not tested.

The balanced training notes are those that COALA was measured with: 2,000 of each of the
10 families that are tested, as its authors listed them.

Licence: Creative Commons Attribution 4.0 (CC BY 4.0). The list of the balanced training
notes is published under the MIT licence.

References: J. Engel, C. Resnick, A. Roberts, S. Dieleman, M. Norouzi, D. Eck and
K. Simonyan, "Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders",
34th International Conference on Machine Learning, 2017, 1068-1077.
X. Favory, K. Drossos, T. Virtanen and X. Serra, "COALA: Co-Aligned Autoencoders for
Learning Semantically Enriched Audio Representations", ICML workshop on self-supervision
in audio and speech, 2020.
"""


@dataclass(frozen=True)
class Layout:
    """Published contents of the data set, which a download must match."""

    notes: dict[str, int] = field(
        default_factory=lambda: {"train": 289_205, "valid": 12_678, "test": 4_096}
    )
    balanced_families: int = 10
    balanced_notes: int = 2000  # of each
    max_faulty: int = 10  # more than these, and it is another data set


LAYOUT = Layout()


def fetch_nsynth(
    *,
    subset: str = "balanced",
    parts: Sequence[str] = ("train", "valid", "test"),
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    n_retries: int = 3,
    delay: float = 1.0,
) -> Any:
    """Load the paths and instrument families of NSynth, downloading it if necessary.

    =================   =====================================================
    Classes             10 families of instruments (full: 11)
    Notes               36,774 (full: 305,979) of 4 s, 16 kHz, mono
    Published split     20,000 (full: 289,205) train, 12,678 valid, 4,096 test
    Download            23.8 GB train, 1.1 GB valid, 0.35 GB test
    On disk             2.6 GB (full: 37 GB) train, 1.6 GB valid, 0.5 GB test
    =================   =====================================================

    While a part is unpacked, the disk has to hold both the download and the notes.

    Parameters
    ----------
    subset : {"balanced", "full"}, default="balanced"
        Notes to train on: the list of 2,000 of each of 10 families that was published
        with [2]_, or all of them. The archive of both is the same; only the notes that
        were asked for are unpacked, and it is deleted then. Validation and test notes
        are always all.
    parts : sequence of {"train", "valid", "test"}, default=("train", "valid", "test")
        Parts of the split to return. No other is downloaded.
    data_home : str, path-like or None, default=None
        Folder to keep data sets in; None as in
        :func:`~skaudio.datasets.get_data_home`.
    download_if_missing : bool, default=True
        If False, raise an OSError instead of downloading.
    return_X_y : bool, default=False
        Return ``(paths, target)`` instead of a Bunch.
    n_retries : int, default=3
        Further attempts when the download breaks off.
    delay : float, default=1.0
        Seconds between attempts.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        paths : ndarray of shape (n_clips,), dtype str
            Files: train, valid, test, and by name within each part.
        target : ndarray of shape (n_clips,), dtype int
            Index of the family of each note in ``target_names``.
        target_names : ndarray of shape (n_classes,), dtype str
            Families of the notes that are returned, sorted.
        groups : ndarray of shape (n_clips,), dtype str
            Instrument of each note.
        subset : ndarray of shape (n_clips,), dtype str
            "train", "valid" or "test".
        train, valid, test : ndarray of int
            Rows of the three parts, empty for one that is not among `parts`.
        folds : None
            There is a split, and no folds.
        cv : cross-validation splitter or None
            A `cv` argument for X with all clips in order: a single split that trains
            on "train" and tests on "test"; "valid" is in neither, and is there to
            choose settings by; it is tested on if "test" is not among `parts`. None if
            there is nothing to train on or nothing to test on.
        frame : DataFrame with n_clips rows
            The published table, with the columns ``subset`` and ``path`` added: note,
            instrument, family and source, each as a number and as text; pitch and
            velocity as in MIDI; sampling rate; ``qualities``, ten zeros and ones, and
            ``qualities_str``, the words of the ones, such as ``["bright", "reverb"]``.
        DESCR : str
            Description, licence and references.
    (paths, target) : tuple
        If `return_X_y` is True.

    Raises
    ------
    OSError
        If a part is missing and may not or cannot be downloaded, or if what was
        downloaded is not the data set. What arrived before a connection broke is kept
        and completed by the next call; the cache never holds half a part.

    Warns
    -----
    UserWarning
        If a note is missing or unreadable. It is left out of everything that is
        returned, and named. Put a good file in its place and the next call has it.

    Notes
    -----
    The md5 checksums of the archives are those that the publisher's server states and
    that the HEAR benchmark's preprocessing checks. The list of the balanced notes is
    taken from one fixed commit of the GitHub repository xavierfav/coala; its sha256 was
    computed from the commit. All have to match. Beyond that the number of notes and
    their names are checked. The headers of all files are read once, when they are
    unpacked. With more than 10 notes of a part that are missing or unreadable, it is
    not installed.

    Once all training notes are there, the balanced ones are taken from them.

    References
    ----------
    .. [1] J. Engel, C. Resnick, A. Roberts, S. Dieleman, M. Norouzi, D. Eck
       and K. Simonyan, "Neural Audio Synthesis of Musical Notes with WaveNet
       Autoencoders", ICML 2017, 1068-1077.
    .. [2] X. Favory, K. Drossos, T. Virtanen and X. Serra, "COALA: Co-Aligned
       Autoencoders for Learning Semantically Enriched Audio Representations", ICML
       workshop on self-supervision in audio and speech, 2020.

    Examples
    --------
    >>> from skaudio.datasets import fetch_nsynth
    >>> notes = fetch_nsynth(parts=["train", "test"])  # doctest: +SKIP
    >>> notes.paths.shape, notes.cv.get_n_splits()  # doctest: +SKIP
    ((24096,), 1)
    """
    wanted = _check(subset, parts)
    home = cache_folder("nsynth", data_home)
    options: dict[str, Any] = {
        "download_if_missing": download_if_missing,
        "n_retries": n_retries,
        "delay": delay,
    }
    folders, balanced = {}, None
    if subset == "balanced" and "train" in wanted:
        balanced = _fetch_list(home, options)
    for part in wanted:
        only = balanced if part == "train" else None
        folders[part] = _fetch_part(home, part, only, options)
    data = _load(folders, balanced)
    return (data.paths, data.target) if return_X_y else data


def _check(subset: str, parts: Sequence[str]) -> list[str]:
    """The parts that are wanted, in their usual order."""
    if subset not in ("balanced", "full"):
        raise ValueError(f"subset must be 'balanced' or 'full'; got {subset!r}.")
    if isinstance(parts, str) or not {*parts} or not {*parts} <= {*LAYOUT.notes}:
        raise ValueError(
            f"parts must be a sequence of one or more of {list(LAYOUT.notes)}; got "
            f"{parts!r}."
        )
    return [part for part in LAYOUT.notes if part in parts]


def _fetch_list(home: Path, options: Mapping[str, Any]) -> set[str]:
    """Names of the balanced training notes."""
    folder = home / "balanced"
    fetch(
        "the list of the balanced notes of NSynth",
        [Archive(f"{LIST_URL}/{LIST}", LIST, CHECKSUMS[LIST])],
        folder,
        _unpack_list,
        largest=LIST_BYTES,
        **options,
    )
    return {*(folder / "notes.txt").read_text("utf-8").split()}


def _unpack_list(archives: list[Path], folder: Path) -> None:
    notes = json.loads(archives[0].read_text("utf-8"))
    n_families, n_notes = LAYOUT.balanced_families, LAYOUT.balanced_notes
    if len(notes) != n_families or any(len({*of}) != n_notes for of in notes.values()):
        raise ValueError(f"it does not list {n_notes} notes of {n_families} families")
    names = sorted(name for of in notes.values() for name in of)
    (folder / "notes.txt").write_text("".join(f"{name}\n" for name in names), "utf-8")


def _fetch_part(
    home: Path, part: str, only: set[str] | None, options: Mapping[str, Any]
) -> Path:
    """The folder of a part, or of those of its notes that are wanted."""
    folder, name = home / part, f"nsynth-{part}.jsonwav.tar.gz"
    url, kept = f"{AUDIO_URL}/{name}", name
    if only is not None and not path_exists(folder):
        folder, kept = home / f"{part}-balanced", f"balanced-{name}"
    fetch(
        f"the {part} part of NSynth",
        [Archive(url, kept, CHECKSUMS[part])],
        folder,
        partial(_unpack, part, only),
        largest=DOWNLOADS[part],
        **options,
    )
    return folder


def _load(folders: Mapping[str, Path], balanced: set[str] | None) -> Any:
    import pandas as pd

    frames = []
    for part, folder in folders.items():
        frame = pd.read_csv(
            folder / "notes.csv", keep_default_na=False, dtype={"qualities": str}
        )
        if part == "train" and balanced is not None:
            frame = frame[frame["note_str"].isin(balanced)]
        paths = [str(folder / file) for file in _files(frame["note_str"])]
        frames.append(frame.assign(subset=part, path=paths))
    frame = without_faulty(pd.concat(frames, ignore_index=True), "NSynth")
    frame["qualities"] = [[int(digit) for digit in row] for row in frame["qualities"]]
    frame["qualities_str"] = [row.split() for row in frame["qualities_str"]]
    target, names = encode_labels(frame["instrument_family_str"])
    data = make_bunch(
        frame, target, names, group="instrument_str", fold=None, descr=DESCR
    )
    data.groups = data.groups.astype(str)
    set_subsets(data, frame["subset"])
    if "train" not in folders or len(folders) == 1:
        data.cv = None
    return data


def _files(names: Iterable[str]) -> list[str]:
    return [f"audio/{name}.wav" for name in names]


def _unpack(
    part: str, only: set[str] | None, archives: list[Path], folder: Path
) -> None:
    """Extract the notes and their table; note which files can't be read."""
    n_notes = LAYOUT.notes[part]
    stated = Stated(
        DOWNLOADS[part], n_notes * (CLIP + RECORD), CLIP, text=n_notes * RECORD
    )
    found = extract_tar(archives[0], _namer(part, only), folder, stated)
    if TABLE not in found:
        raise ValueError(f"{TABLE} is missing")
    table = _table(folder / TABLE, n_notes, only)
    (folder / TABLE).unlink()
    files = _files(table["note_str"])
    others = sorted({*found} - {TABLE, *files})
    if others:
        raise ValueError(f"it holds {len(others)} other notes: {others[0]}")
    table["fault"] = [fault(folder / file) for file in files]
    refuse_many_faulty(table.assign(filename=files), LAYOUT.max_faulty)
    table.to_csv(folder / "notes.csv", index=False)


def _namer(part: str, only: set[str] | None) -> Callable[[str], str | None]:
    member = re.compile(
        rf"(?:\./)?nsynth-{part}/(?P<file>{TABLE}"
        r"|audio/(?P<note>[a-z_]+_\d{3}-\d{3}-\d{3})\.wav)"
    )

    def name_of(name: str) -> str | None:
        match = member.fullmatch(name)
        if match is None:
            return None
        note = match["note"]
        return match["file"] if not (note and only) or note in only else None

    return name_of


def _table(path: Path, n_notes: int, only: set[str] | None) -> Any:
    """The published table of the notes, or of those that are wanted."""
    import pandas as pd

    def compact(pairs: list[tuple[str, Any]]) -> Any:
        """A note as a row; the whole file has a gigabyte as dictionaries."""
        record = dict(pairs)
        name = record.get("note_str")
        if name is None or (only is not None and name not in only):
            return record if name is None else None
        return [record.get(column) for column in COLUMNS]

    with open(path, encoding="utf-8") as file:
        notes = json.load(file, object_pairs_hook=compact)
    if len(notes) != n_notes:
        raise ValueError(f"{TABLE} has {len(notes)} notes, not {n_notes}")
    rows = [notes[name] for name in sorted(notes) if notes[name] is not None]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    if table.isna().any(axis=None):
        raise ValueError(f"{TABLE} has notes without all of {', '.join(COLUMNS)}")
    missing = sorted((only or set()) - {*table["note_str"]})
    if missing:
        raise ValueError(f"{TABLE} lacks {len(missing)} wanted notes: {missing[0]}")
    table["qualities"] = ["".join(map(str, row)) for row in table["qualities"]]
    table["qualities_str"] = [" ".join(row) for row in table["qualities_str"]]
    return table
