"""Folders of classes: which files are sound, and which are left out."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from skaudio._utils._text import shortened

# what libsndfile reads; its formats without a header (.raw) and for data of other kinds
# (.mat) are left to tables
EXTENSIONS = frozenset(
    ".wav .wave .bwf .rf64 .w64 .flac .ogg .oga .opus .mp3 .mp2 .mp1 .mpga .aif .aiff "
    ".aifc .au .snd .caf .voc .sph .nist .sf .ircam .8svx .svx .iff .avr .htk .paf "
    ".pvf .sds .wve .xi".split()
)
# texts, tables, pictures and notes, which nobody takes for sound
SILENT = frozenset(
    ".txt .md .rst .csv .tsv .json .jsonl .xml .yaml .yml .toml .ini .cfg .html .htm "
    ".pdf .doc .docx .xls .xlsx .log .py .ipynb .sh .npy .npz .pkl .h5 .hdf5 .mat .lab "
    ".textgrid .jams .mid .midi .lrc .srt .cue .m3u .m3u8 .pls .bib .tex .md5 .sha1 "
    ".sha256 .jpg .jpeg .png .gif .bmp .svg .webp .tif .tiff .db .part .crc".split()
)
SILENT_NAMES = frozenset(
    "readme license licence copying authors notice changelog makefile".split()
)
NO_FILE = "pipes, devices or links that lead nowhere"
NO_EXTENSION = "without extension"
Place = tuple[int, int]  # device and number of a folder


@dataclass
class Listing:
    """Sound files of the classes in a folder.

    Parameters
    ----------
    classes : dict of str to list of str
        Files of every class that has some, sorted.
    empty : list of str
        Folders of classes without sound.
    left_out : Counter of str
        How many files with which extension no reader takes.
    loose : int
        Sound files beside the folders of classes.
    """

    classes: dict[str, list[str]] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    loose: int = 0

    def complaints(self) -> list[str]:
        """What is left out, in words; nothing if all is well."""
        found = []
        if self.left_out:
            counts = ", ".join(f"{n} {what}" for what, n in self.left_out.most_common())
            found.append(
                f"files that no reader takes are left out ({counts}): convert them to "
                "WAV or FLAC"
            )
        if self.loose:
            found.append(
                "sound files beside the folders of classes are left out "
                f"({self.loose}): move them into one"
            )
        if self.empty:
            named = shortened(map(repr, self.empty), limit=10)
            found.append(
                "folders of classes without a sound file are left out "
                f"({len(self.empty)}): {named}"
            )
        return found


def list_classes(folder: str | os.PathLike[str]) -> Listing:
    """Sound files below every sub-folder, which is a class.

    Links are followed. Within a class every folder is read once, however many links
    lead to it, and none that holds the class. Hidden names are skipped.

    Parameters
    ----------
    folder : str or path-like
        With a sub-folder per class.

    Returns
    -------
    listing : Listing
        What is there, and what is left out.

    Raises
    ------
    OSError
        If a folder may not be read.
    """
    listing = Listing()
    above = _places_above(folder)
    for entry in _entries(folder):
        if not _is_folder(entry):
            if _extension(entry.name) in EXTENSIONS and _is_file(entry):
                listing.loose += 1
            continue
        if _place(entry.path) in above:
            continue
        files, left_out, n_silent = _sounds(entry.path, above)
        listing.left_out += left_out
        if files:
            listing.classes[entry.name] = sorted(files, key=_parts)
        elif left_out or not n_silent:
            listing.empty.append(entry.name)
    return listing


def _sounds(folder: str, above: Iterable[Place]) -> tuple[list[str], Counter[str], int]:
    """Sound files at any depth, extensions left out, number of texts and the like."""
    files: list[str] = []
    left_out: Counter[str] = Counter()
    n_silent = 0
    seen = set(above)
    own, linked = deque([folder]), deque[str]()
    while own or linked:  # own folders first: they are named without a link
        here = (own or linked).popleft()
        if _place(here) in seen:
            continue
        seen.add(_place(here))
        for entry in _entries(here):
            extension = _extension(entry.name)
            if _is_folder(entry):
                (linked if entry.is_symlink() else own).append(entry.path)
            elif extension in SILENT or entry.name.lower() in SILENT_NAMES:
                n_silent += 1
            elif not _is_file(entry):
                left_out[NO_FILE] += 1
            elif extension in EXTENSIONS:
                files.append(entry.path)
            else:
                left_out[extension or NO_EXTENSION] += 1
    return files, left_out, n_silent


def _entries(folder: str | os.PathLike[str]) -> list[os.DirEntry[str]]:
    """What is in a folder, by name, without hidden names."""
    with os.scandir(folder) as found:
        shown = [e for e in found if not e.name.startswith((".", "__MACOSX"))]
    return sorted(shown, key=lambda entry: entry.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except PermissionError:
        raise
    except OSError:  # a link that leads to itself
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except PermissionError:
        raise
    except OSError:
        return False


def _place(folder: str | os.PathLike[str]) -> Place:
    found = os.stat(folder)
    return found.st_dev, found.st_ino


def _places_above(folder: str | os.PathLike[str]) -> set[Place]:
    """A folder and all that it lies in, which a link within it may lead back to."""
    here = os.path.realpath(folder)
    places = {_place(here)}
    while os.path.dirname(here) != here:
        here = os.path.dirname(here)
        places.add(_place(here))
    return places


def _extension(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _parts(path: str) -> list[str]:
    return path.split(os.sep)
