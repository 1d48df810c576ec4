"""A network that a user wrote, behind the interface of those of the package."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from skaudio.nn.blocks import Dropout

SIZES = ("n_bins", "n_steps", "rate", "views", "n_outputs")
OF_ONE_VIEW = SIZES[:3]
_DRAWING = threading.RLock()  # torch's generator is one for all threads


class OwnNetwork(nn.Module):
    """Build a network from the sizes that its constructor names, and run it.

    In training it draws random numbers from a generator of its own, whatever layers it
    is made of: torch's global generator is as it was after every step.

    Parameters
    ----------
    views : mapping of str to (int, float or None)
        Number of bins and steps per second of every view.
    n_outputs : int
        Number of classes or tags.
    network : type
        Class of the network. Its constructor takes ``n_outputs`` and, by these names
        and as far as it has them, ``n_bins``, ``n_steps`` and ``rate`` of a single
        view. One that has ``views`` takes any number of views: their bins, steps of a
        segment and rates by name.
    n_steps : mapping of str to int
        Steps of a segment of every view.
    arguments : mapping of str to object, default={}
        Further arguments of the constructor.

    Attributes
    ----------
    network : Module
        Maps segments (clips, bins, steps), or a dictionary of these by name of the
        view, to logits (clips, n_outputs).
    view_names, branch_names : tuple of str
        Names of the views, and of the only output.
    decision : str
        Name of the output that decides.
    hidden_layers, stages, output_layers : tuple
        Those of the network, if it has any.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import FrameLevelCNN, OwnNetwork
    >>> net = OwnNetwork({"mel": (40, 50.0)}, 5, FrameLevelCNN, {"mel": 729})
    >>> net({"mel": torch.zeros(2, 40, 729)})["output"].shape
    torch.Size([2, 5])
    """

    fixed_length = True  # it is told the length, whether or not it asks for it
    memory_format = torch.contiguous_format  # so that ``view`` works in its forward
    is_foldable = False  # what is called conv and norm may stand in any order

    def __init__(
        self,
        views: Mapping[str, tuple[int, float | None]],
        n_outputs: int,
        network: Callable[..., nn.Module],
        n_steps: Mapping[str, int],
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.view_names: tuple[str, ...] = tuple(views)
        self.decision = "output"
        self.branch_names: tuple[str, ...] = (self.decision,)
        self.n_outputs = n_outputs
        self.takes_all = "views" in parameters_of(network)
        sizes = _sizes(views, n_outputs, n_steps, self.takes_all)
        wanted = {k: v for k, v in sizes.items() if k in parameters_of(network)}
        self.draws = Dropout(0.0)  # for its generator
        self.network = network(**wanted, **(arguments or {}))
        inside: Any = self.network
        layers = getattr(inside, "hidden_layers", ())
        self.hidden_layers = tuple(f"network.{name}" for name in layers)
        self.stages = tuple(
            tuple(f"network.{name}" for name in stage)
            for stage in getattr(inside, "stages", [[name] for name in layers])
        )
        outputs = getattr(inside, "output_layers", ())
        self.output_layers = tuple(f"network.{name}" for name in outputs)

    def forward(self, views: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Logits (clips, n_outputs), by the name "output"."""
        inputs = {name: views[name] for name in self.view_names}
        x: Any = inputs if self.takes_all else inputs[self.view_names[0]]
        logits = self._drawn(x) if self.training else self.network(x)
        shape = len(next(iter(inputs.values()))), self.n_outputs
        if not isinstance(logits, Tensor) or logits.shape != shape:
            got = getattr(logits, "shape", type(logits).__name__)
            got = tuple(got) if isinstance(got, torch.Size) else got
            raise ValueError(
                f"{type(self.network).__name__}.forward must return a tensor (clips, "
                f"n_outputs) of logits, here of shape {shape}; got {got}."
            )
        return {self.decision: logits}

    def _drawn(self, x: Any) -> Any:
        """Outputs in training, with random numbers of the private generator."""
        generator = self.draws.generator
        if generator is None:  # of no training, as in torch
            return self.network(x)
        device = generator.device
        seed = torch.randint(2**62, (1,), generator=generator, device=device)
        devices = [device] if device.type == "cuda" else []
        with _DRAWING, torch.random.fork_rng(devices=devices):
            torch.manual_seed(int(seed))
            return self.network(x)


def parameters_of(network: Callable[..., Any]) -> Mapping[str, Any]:
    """Parameters of a network's constructor, by name."""
    return inspect.signature(network).parameters


def check_own_network(network: Any, arguments: Mapping[str, Any]) -> None:
    """Refuse classes that cannot be built from sizes and arguments.

    Parameters
    ----------
    network : type
        Class of a network.
    arguments : mapping of str to object
        Further arguments of its constructor.

    Raises
    ------
    TypeError
        If it is no class of modules, or its constructor lacks a parameter.
    ValueError
        If an argument is one of the sizes.
    """
    if not (isinstance(network, type) and issubclass(network, nn.Module)):
        raise TypeError(
            "module must be a class of torch.nn.Module, not yet an object of it; got "
            f"{network!r:.80}."
        )
    known, name = parameters_of(network), network.__name__
    if "n_outputs" not in known:
        raise TypeError(
            f"{name}.__init__ must have a parameter n_outputs, the number of classes "
            f"or tags, and may have {', '.join(SIZES[:-1])}; it has {list(known)}."
        )
    both = [size for size in OF_ONE_VIEW if size in known and "views" in known]
    if both:
        raise TypeError(
            f"{name}.__init__ has views, of all of them, and {both[0]}, of a single "
            "one. Take one of the two."
        )
    own = [size for size in SIZES if size in arguments]
    if own:
        raise ValueError(
            f"module_params has {own[0]!r}, which follows from the data in fit. Leave "
            "it out."
        )
    takes_any = any(p.kind is p.VAR_KEYWORD for p in known.values())
    unknown = [key for key in arguments if key not in known and not takes_any]
    missing = [
        key
        for key, p in known.items()
        if p.default is p.empty
        and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        and key not in (*SIZES, *arguments)
    ]
    if unknown or missing:
        what = f"has no {unknown[0]!r}" if unknown else f"needs {missing[0]!r}"
        raise ValueError(
            f"{name}.__init__ {what}: module_params are its arguments next to "
            f"{', '.join(SIZES)}; got {list(arguments)}."
        )


def _sizes(
    views: Mapping[str, tuple[int, float | None]],
    n_outputs: int,
    n_steps: Mapping[str, int],
    takes_all: bool,
) -> dict[str, Any]:
    """What a network may ask for, by name."""
    if takes_all:
        every = {
            name: {"n_bins": n_bins, "n_steps": n_steps[name], "rate": rate}
            for name, (n_bins, rate) in views.items()
        }
        return {"n_outputs": n_outputs, "views": every}
    ((name, (n_bins, rate)),) = views.items()
    steps = n_steps[name]
    own = {"n_bins": n_bins, "n_steps": steps, "rate": rate}
    return {"n_outputs": n_outputs, **own}
