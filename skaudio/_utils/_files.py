"""Files that are there complete or not at all."""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

PART = re.compile(r"(?P<name>.+)\.[0-9a-f]{32}\.part", re.DOTALL)
FORGOTTEN = 24 * 3600.0  # seconds without a change after which a writer was killed


def size_of_file(path: str | os.PathLike[str]) -> int:
    """Bytes of a file; an OSError names what is no file, such as a folder.

    Parameters
    ----------
    path : str or path-like
        What is to be read.

    Returns
    -------
    n_bytes : int
        Its size.

    Examples
    --------
    >>> import tempfile
    >>> from skaudio._utils._files import size_of_file
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     size_of_file(file.name)
    0
    """
    found = os.stat(path)
    name = os.fspath(path)
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(
            errno.EISDIR, "Wanted a file, but this is a directory", name
        )
    if not stat.S_ISREG(found.st_mode):  # reading a pipe or device need not end
        raise OSError(
            errno.EINVAL, "Wanted a file, but this is a device, pipe or socket", name
        )
    return found.st_size


@contextmanager
def replacing(path: str | os.PathLike[str], *, tidy: bool = True) -> Iterator[Path]:
    """Write to a file beside ``path``, which takes its place at the end of the block.

    If the block raises, ``path`` stays as it was and nothing is left beside it. The
    name beside it is another one each time, so that several processes may write: the
    last one wins. What a killed process left is deleted a day later, by the next that
    writes to ``path``.

    Parameters
    ----------
    path : str or path-like
        The file to write, in a folder that exists.
    tidy : bool, default=True
        Whether to look for what killed processes left, which lists the folder.

    Yields
    ------
    part : Path
        What to write to.

    Raises
    ------
    OSError
        Before the block, if the folder does not exist or ``path`` is a folder. An
        error within the block, such as a full disk, names ``path``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skaudio._utils._files import replacing
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder, "notes.txt")) as part:
    ...         n_characters = part.write_text("complete")
    ...     [file.name for file in Path(folder).iterdir()]
    ['notes.txt']
    """
    path = Path(path)
    _check_place(path)
    if tidy:
        remove_leftovers(path.parent, path.name)
    part = path.with_name(f"{path.name}.{uuid4().hex}.part")
    try:
        yield part
        os.replace(part, path)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(part), part):
            raise
        what = f"{error.strerror}; nothing was written"
        raise OSError(error.errno, what, str(path)) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _check_place(path: Path) -> None:
    if not path.parent.is_dir():
        raise FileNotFoundError(
            errno.ENOENT, "The folder to write to does not exist", str(path.parent)
        )
    if path.is_dir():
        raise IsADirectoryError(
            errno.EISDIR,
            "Wanted the name of a file, but this is a directory",
            str(path),
        )


def remove_leftovers(folder: Path, name: str | None = None) -> None:
    """Delete what `replacing` left of files of that name, or all, a day ago.

    Parameters
    ----------
    folder : Path
        Where they are.
    name : str or None
        File that they were to become; None for any.
    """
    long_ago = time.time() - FORGOTTEN
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = PART.fullmatch(entry.name)
            if match is None or name not in (None, match["name"]):
                continue
            with suppress(OSError):  # another process was faster
                if entry.stat(follow_symlinks=False).st_mtime < long_ago:
                    os.unlink(entry.path)
