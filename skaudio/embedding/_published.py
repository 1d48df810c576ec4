"""Published weights by name: a table of them, a file, and a card."""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from textwrap import fill
from typing import Any

from skaudio._weights._catalogue import PUBLISHED, Published
from skaudio._weights._published import DELAY, N_RETRIES, fetch, place_of, unknown


def list_weights(data_home: str | os.PathLike[str] | None = None) -> Any:
    """List the published weights that `PretrainedEmbedder` takes by name.

    Nothing is downloaded.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        Folder to look for files in; None as in
        :func:`~skaudio.datasets.get_data_home`.

    Returns
    -------
    table : DataFrame
        One row per file, with the columns ``name``; ``network``; ``task``; ``rate``,
        the sampling rate in Hz, and ``seconds``, what the network sees at once, both
        missing for encoders of tags; ``parameters``, how many were trained; ``bytes``,
        ``sha256``, missing where they are not known; ``licence``; ``citation``;
        ``address``; ``is_here``, whether the file is on this machine already.

    See Also
    --------
    describe_weights : All that is known about one of them.
    fetch_weights : Download one.

    Examples
    --------
    >>> from skaudio.embedding import list_weights
    >>> table = list_weights().set_index("name")
    >>> print(table.loc["fcn-mtat", ["network", "rate", "parameters"]].to_string())
    network          FCN
    rate           16000
    parameters    447732
    """
    import pandas as pd

    rows = [
        {
            "name": entry.name,
            "network": entry.network,
            "task": entry.task,
            "rate": entry.rate,
            "seconds": entry.seconds,
            "parameters": entry.n_parameters,
            "bytes": entry.n_bytes,
            "licence": entry.licence,
            "citation": entry.citation,
            "address": entry.address,
            "sha256": entry.sha256,
            "is_here": os.path.isfile(place_of(entry, data_home)),
        }
        for entry in PUBLISHED.values()
    ]
    return pd.DataFrame(rows).astype({"rate": "Int64", "bytes": "Int64"})


def fetch_weights(
    name: str,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    *,
    n_retries: int = N_RETRIES,
    delay: float = DELAY,
) -> Path:
    """Return the file of published weights, downloading it if necessary.

    A second file that the network needs, the scaler of COALA, is fetched as well.

    Parameters
    ----------
    name : str
        One of :func:`list_weights`.
    data_home : str, path-like or None, default=None
        Folder to keep weights in, below ``weights``; None as in
        :func:`~skaudio.datasets.get_data_home`. `PretrainedEmbedder` looks for names
        where None leads.
    download_if_missing : bool, default=True
        If False, raise an OSError instead of downloading.
    n_retries : int, default=3
        Further attempts when the download breaks off.
    delay : float, default=1.0
        Seconds between attempts.

    Returns
    -------
    path : Path
        The file, whose content was checked.

    Raises
    ------
    ValueError
        If no published weights have that name; the nearest ones are listed.
    OSError
        If the file is missing and may not or cannot be downloaded, or if what was sent
        is not what was published. What arrived before a connection broke is kept and
        completed by the next call; a file is there complete or not at all.

    See Also
    --------
    PretrainedEmbedder : Takes the name itself.

    Notes
    -----
    A file must have the SHA-256 that is listed, or what git names its content by. Where
    neither is known, the first download must be a file of weights, and its SHA-256 is
    remembered: later ones must have it. A file that does not is downloaded anew. Other
    processes wait while one downloads. Files that you put there yourself are taken.

    Examples
    --------
    >>> from skaudio.embedding import PretrainedEmbedder, fetch_weights
    >>> path = fetch_weights("fcn-mtat")  # doctest: +SKIP
    >>> PretrainedEmbedder("fcn-mtat").fit_transform(X)  # doctest: +SKIP
    """
    entry = _entry(name)
    files = [file for file in (entry.scaler, entry) if file is not None]
    paths = [
        fetch(
            *(file, name, data_home),
            download_if_missing=download_if_missing,
            n_retries=n_retries,
            delay=delay,
        )
        for file in files
    ]
    return paths[-1]


def describe_weights(name: str) -> None:
    """Print what is known about published weights: a model card.

    Nothing is downloaded.

    Parameters
    ----------
    name : str
        One of :func:`list_weights`.

    See Also
    --------
    list_weights : All of them in a table.

    Examples
    --------
    >>> from skaudio.embedding import describe_weights
    >>> describe_weights("coala-cnn")  # doctest: +ELLIPSIS
    coala-cnn
    ---------
    Network:    COALA CNN, 3,533,800 parameters
    Task:       sound tagging, 1,000 tags
    ...
    """
    entry = _entry(name)
    lines = [entry.name, "-" * len(entry.name)]
    lines += [
        fill(
            text,
            width=88,
            initial_indent=f"{title + ':':12}",
            subsequent_indent=" " * 12,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for title, text in card(entry).items()
    ]
    print("\n".join(lines))  # noqa: T201


def card(entry: Published) -> dict[str, str]:
    """Text of a model card, by what it is about."""
    size = "unknown size" if entry.n_bytes is None else f"{entry.n_bytes:,} bytes"
    checksum = (
        f"SHA-256 {entry.sha256}"
        if entry.sha256
        else f"git's SHA-1 {entry.git_blob}"
        if entry.git_blob
        else "unknown checksum"
    )
    seconds = f", {entry.seconds:.3g} s at once" if entry.seconds else ""
    found = {
        "Network": f"{entry.network}, {entry.n_parameters:,} parameters",
        "Task": entry.task,
        "Trained on": entry.data,
        "Input": f"{entry.takes}{seconds}",
        "Output": entry.gives,
        "Embedding": entry.embedding,
        "Licence": entry.licence,
        "Cite": entry.citation,
        "Address": entry.address,
        "File": f"{size}, {checksum}",
        "Mind": " ".join(entry.caveats),
    }
    if entry.tags is not None:
        found["Tags"] = ", ".join(entry.tags)
    if entry.scaler is not None:
        found["Scaler"] = entry.scaler.address
    return {title: text for title, text in found.items() if text}


def html_card(entry: Published) -> str:
    """A model card as a table."""
    rows = "".join(
        f"<tr><th>{escape(title)}</th><td>{escape(text)}</td></tr>"
        for title, text in card(entry).items()
    )
    return (
        f"<details><summary>Published weights: {escape(entry.name)}</summary>"
        f"<table>{rows}</table></details>"
    )


def _entry(name: str) -> Published:
    entry = PUBLISHED.get(name) if isinstance(name, str) else None
    if entry is None:
        raise ValueError(
            f"No published weights have the name {name!r}.{unknown(str(name))}"
        )
    return entry
