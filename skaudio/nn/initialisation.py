"""Random weights from a private generator, whatever torch's global settings are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_DEFAULT_DTYPE = {torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn}
_CREATE = _DEFAULT_DTYPE | {
    *(torch.full, torch.tensor, torch.arange, torch.linspace, torch.eye),
    *(torch.hann_window, torch.hamming_window, torch.as_tensor),
    *(torch.randint, torch.randperm),
}
_DRAW = {
    *(torch.rand, torch.randn, torch.randint, torch.randperm, torch.normal),
    *(torch.bernoulli, torch.multinomial, torch.poisson),
    *(torch.Tensor.uniform_, torch.Tensor.normal_, torch.Tensor.bernoulli_),
    *(torch.Tensor.random_, torch.Tensor.exponential_, torch.Tensor.log_normal_),
    *(torch.Tensor.cauchy_, torch.Tensor.geometric_),
}


class _Initialisation(TorchFunctionMode):
    """Draws from one generator; tensors are float32 on the CPU unless said otherwise.

    Only the thread that enters it is concerned.
    """

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.generator = generator

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in _CREATE and kwargs.get("device") is None:
            kwargs["device"] = "cpu"
        if func in _DEFAULT_DTYPE and kwargs.get("dtype") is None:
            kwargs["dtype"] = torch.float32
        # functions of torch.nn.init have the argument, and pass None on
        takes_generator = func in _DRAW or "generator" in kwargs
        if takes_generator and kwargs.get("generator") is None:
            kwargs["generator"] = self.generator
        return func(*args, **kwargs)


@contextmanager
def seeded_initialisation(seed: int) -> Iterator[None]:
    """Build modules whose weights depend on a seed, and on no global setting of torch.

    torch's layers draw their weights from the global generator, in the default dtype
    and on the default device. In this context they draw the same numbers as after
    ``torch.manual_seed(seed)``, without touching that generator: other threads may use
    it meanwhile.

    Parameters
    ----------
    seed : int
        Of the private generator.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn.initialisation import seeded_initialisation
    >>> weights = []
    >>> for _ in range(2):
    ...     with seeded_initialisation(0):
    ...         weights.append(torch.nn.Linear(3, 2).weight)
    >>> torch.equal(*weights)
    True
    """
    with _Initialisation(torch.Generator().manual_seed(seed)):
        yield
