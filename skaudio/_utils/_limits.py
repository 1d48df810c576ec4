"""Bounds on what reading a file may take: multiples of its size."""

from __future__ import annotations

FACTOR = 16  # what a file holds may be that many times as large as the file,
FLOOR = 16 * 2**20  # and as many bytes more, for small files


class Budget:
    """Counts what the content of a file takes, and refuses too much before it is made.

    Parameters
    ----------
    n_bytes : int
        Size of the file.
    floor : int, default=16 MiB
        What it may take in addition to `FACTOR` times its size.

    Examples
    --------
    >>> from skaudio._utils._limits import Budget
    >>> budget = Budget(10, floor=100)
    >>> budget.take(200, "an array")
    >>> budget.take(200, "another array")
    Traceback (most recent call last):
        ...
    ValueError: another array takes what the file holds above 260 bytes, ...
    """

    def __init__(self, n_bytes: int, floor: int = FLOOR) -> None:
        self.n_bytes = n_bytes
        self.most = self.left = FACTOR * n_bytes + floor

    def take(self, n_bytes: int, what: str) -> None:
        """Refuse ``n_bytes`` more if that is too much together with the rest."""
        self.left -= n_bytes
        if self.left < 0 or n_bytes < 0:
            raise ValueError(
                f"{what} takes what the file holds above {self.most} bytes, the limit "
                f"for a file of {self.n_bytes} bytes: it is damaged, or made to "
                "exhaust memory. If you trust it, raise FACTOR in "
                "skaudio._utils._limits"
            )
