"""What the machine itself can do, to measure networks against."""

from __future__ import annotations

import re
import time
from pathlib import Path

import torch


def matrix_rate(device: str, mixed: bool = False) -> float:
    """Floating-point operations per second of large matrix products."""
    a = torch.randn(2048, 2048, device=device)
    a = a.bfloat16() if mixed else a
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        total = sum((a @ a).sum() for _ in range(2))
        float(total)  # waits for the device
        seconds.append((time.perf_counter() - start) / 2)
    return 2 * 2048**3 / min(seconds)


def peak_bytes() -> int:
    """Most memory that this process has held (Linux).

    That of ``resource.getrusage`` would be the parent's, if that is larger.
    """
    status = Path("/proc/self/status").read_text()
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return 1024 * int(kilobytes)
