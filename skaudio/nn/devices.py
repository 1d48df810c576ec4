"""Devices and threads: their choice, moving tensors, batches that halve if need be."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor

# any of them says how threads wait; `skaudio` sets the second one if it comes before
# torch, and whoever sets one of them has chosen
DECIDES = "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"
DECIDED = any(name in os.environ for name in DECIDES)

Item = TypeVar("Item")
Result = TypeVar("Result")


def resolve_device(device: str) -> str:
    """Return the device to train on: ``"auto"`` is a CUDA device if there is one."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if not is_available(device):
        raise ValueError(
            f"device={device!r} asks for a device that torch does not find on this "
            "machine. Use 'auto', which takes a GPU if there is one, or 'cpu'."
        )
    return device


def available_device(device: str) -> str:
    """Return the device to predict on: a model from a GPU also runs without one."""
    if device != "auto" and not is_available(device):
        return "cpu"
    return resolve_device(device)


def is_available(device: str) -> bool:
    """Whether tensors can be put on a device of this machine.

    Parameters
    ----------
    device : str
        As torch names it: "cpu", "cuda", "cuda:1", "mps", "xpu" and so on.

    Raises
    ------
    ValueError
        If torch knows no such kind of device.
    """
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise ValueError(
            f"device={device!r} is not a device of torch. Use 'auto', 'cpu', 'cuda', "
            "or 'cuda:1' for the second GPU."
        ) from error
    if kind in ("cpu", "meta"):
        return kind == "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError, ImportError):
        return False
    return True


def has_bfloat16(device: str) -> bool:
    """Whether a device multiplies numbers of bfloat16, and does not imitate it.

    Parameters
    ----------
    device : str
        As torch names it, one that there is.
    """
    kind = torch.device(device).type
    if kind == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    if kind != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    names = "_is_avx512_bf16_supported", "_is_amx_tile_supported"
    return any(getattr(torch.cpu, name, bool)() for name in names)


def without_autocast(device: str | torch.device) -> AbstractContextManager[Any]:
    """Context in which types of numbers are those of the tensors, whatever is around.

    Parameters
    ----------
    device : str or torch.device
        Where is computed.
    """
    kind = torch.device(device).type
    if not torch.amp.is_autocast_available(kind):
        return nullcontext()
    return torch.autocast(kind, enabled=False)


def without_default_device() -> AbstractContextManager[Any]:
    """Context in which torch makes tensors on the CPU, unless it is told where.

    Optimisers do so with their counts of steps, whatever ``torch.set_default_device``
    was given: before torch 2.8 also where a network is on another device.
    """
    is_cpu = torch.empty(0).device.type == "cpu"  # torch 2.6 does not tell otherwise
    return nullcontext() if is_cpu else torch.device("cpu")


@contextmanager
def without_spinning(device: str | torch.device) -> Iterator[None]:
    """Use one thread where torch was loaded so that its threads spin.

    That is, where torch was imported before skaudio and no environment variable says
    how threads wait. Beside other busy processes, threads that spin wait for one that
    does not run. At the end there are as many threads as before.

    Parameters
    ----------
    device : str or torch.device
        Where is computed; other devices than the CPU are left alone.
    """
    if DECIDED or torch.device(device).type != "cpu":
        yield
        return
    before = torch.get_num_threads()  # of this thread: others have their own
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def moved(tensors: Mapping[str, Tensor], device: str) -> dict[str, Tensor]:
    """Copies of ``tensors`` on ``device``, which a GPU fetches in its own time."""
    if not str(device).startswith("cuda"):
        return {name: tensor.to(device) for name, tensor in tensors.items()}
    return {
        name: tensor
        if tensor.is_cuda
        else tensor.pin_memory().to(device, non_blocking=True)
        for name, tensor in tensors.items()
    }


def by_batches(
    compute: Callable[[Any], Result],
    items: Sequence[Item],
    *,
    batch_size: int,
    device: str,
    what: str,
    take: Callable[[Any, int, int], Any] | None = None,
) -> list[Result]:
    """Compute one result per batch, with half the batch when memory is not enough.

    Parameters
    ----------
    compute : callable
        Takes some of the items, in order.
    items : sequence
        What to compute.
    batch_size : int
        How many to take at once.
    device : str
        Where, as torch names it; for the message.
    what : str
        What the items are, for the message.
    take : callable, optional
        ``take(items, start, n)`` makes a batch of the items from ``start`` on, of at
        most ``n`` and at least one of them; a slice by default.

    Returns
    -------
    results : list
        One per batch, in order.
    """
    results: list[Result] = []
    done = 0
    with without_autocast(device), without_spinning(device):
        while done < len(items):
            if take is None:
                batch = items[done : done + batch_size]
            else:
                batch = take(items, done, batch_size)
            try:
                results.append(compute(batch))
            except torch.OutOfMemoryError:
                batch_size = halved(len(batch), device, what)
                continue
            done += len(batch)
    return results


def in_batches(
    compute: Callable[[Sequence[Item]], Iterable[Result]],
    items: Sequence[Item],
    **options: Any,
) -> list[Result]:
    """As `by_batches`, where ``compute`` gives one result for each of its items.

    Parameters
    ----------
    compute : callable
        Takes some of the items and returns as many results.
    items : sequence
        What to compute.
    **options : dict
        Those of `by_batches`.

    Returns
    -------
    results : list
        One per item.
    """
    parts = by_batches(lambda batch: list(compute(batch)), items, **options)
    return [result for part in parts for result in part]


def halved(batch_size: int, device: str, what: str) -> int:
    """Half the batch, if there is one, for a device that is out of memory.

    Parameters
    ----------
    batch_size : int
        What was tried.
    device : str
        Where, as torch names it.
    what : str
        What a batch consists of, for the message.

    Returns
    -------
    batch_size : int
        What to try next.
    """
    if batch_size < 2:
        raise MemoryError(
            f"{device} has no memory for one of the {what}. Use device='cpu', shorter "
            f"{what}, or a smaller width."
        ) from None
    warnings.warn(
        f"{device} is out of memory with {batch_size} {what} at once; going on with "
        f"{batch_size // 2}. Set batch_size={batch_size // 2} to avoid the attempt.",
        UserWarning,
        stacklevel=2,
    )
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    return batch_size // 2
