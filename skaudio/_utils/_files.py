"""Files that are there complete or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write to a file beside ``path``, which takes its place at the end of the block.

    If the block raises, ``path`` stays as it was and nothing is left beside it. The
    name beside it is another one each time, so that several processes may write.

    Parameters
    ----------
    path : str or path-like
        The file to write, in a folder that exists.

    Yields
    ------
    part : Path
        What to write to.

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
    part = path.with_name(f"{path.name}.{uuid4().hex}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
