"""Digests of objects of other people's classes."""

from __future__ import annotations

import os
import pickle
import sys
from dis import get_instructions
from hashlib import blake2b
from types import CodeType, FunctionType, MemberDescriptorType, ModuleType
from typing import Any

from skaudio.cache._keys import DIGEST, content_of_file

OURS = ("skaudio", "sklearn", "builtins", "abc", "__main__")  # known by version or code


class _Digest(pickle.Pickler):
    """Writes nothing and digests everything, tensors by their values.

    Classes and functions of notebooks and scripts, which change within a session, by
    their code and by what that refers to; those of packages by their names.
    """

    def __init__(self) -> None:
        self.digest = blake2b(digest_size=DIGEST)
        super().__init__(self, protocol=5)
        self.fast = True  # equal values give equal bytes, however often they occur
        self.seen: set[int] = set()  # what refers to itself would never end

    def write(self, data: Any) -> int:
        self.digest.update(data)
        return len(data)

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, ModuleType):
            return tuple, ((obj.__name__,),)
        if _is_written_here(obj):
            parts: list[Any] = [obj.__qualname__]
            if id(obj) not in self.seen:
                self.seen.add(id(obj))
                parts += _parts_of(obj)
            return tuple, (parts,)
        if "torch" not in sys.modules:
            return NotImplemented
        return _reduced_by_torch(obj)


def _reduced_by_torch(obj: Any) -> Any:
    import torch
    from torch.nn.utils import parametrize

    if isinstance(obj, torch.nn.Module) and parametrize.is_parametrized(obj):
        # of a class made on the fly, which torch refuses to pickle
        state = {k: v for k, v in obj.__dict__.items() if "state_dict" not in k}
        return tuple, ((type(obj).__bases__, state),)
    if not isinstance(obj, torch.Tensor):
        return NotImplemented
    values = obj.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
    digest = blake2b(values.data, digest_size=DIGEST).hexdigest()
    return tuple, ((str(obj.dtype), tuple(obj.shape), digest),)


def _is_written_here(obj: Any) -> bool:
    """Whether it is a class or a function of a notebook or script, or has no name.

    Pickles hold these by their names, under which there may be others later.
    """
    if isinstance(obj, FunctionType):
        module = sys.modules.get(obj.__module__)
        is_known = getattr(module, obj.__qualname__, None) is obj
        return obj.__module__ == "__main__" or not is_known
    return isinstance(obj, type) and obj.__module__ == "__main__"


def _parts_of(obj: Any) -> list[Any]:
    """What a class, with its bases in the same place, or a function depends on."""
    if isinstance(obj, FunctionType):
        names = sorted(_names_in(obj.__code__) & obj.__globals__.keys())
        return [
            _code_of(obj.__code__),
            obj.__defaults__,
            obj.__kwdefaults__,
            [(name, obj.__globals__[name]) for name in names],
            [cell.cell_contents for cell in obj.__closure__ or ()],
        ]
    return [
        # of methods of classes, and of properties
        (name, getattr(member, "__func__", getattr(member, "fget", member)))
        for cls in obj.__mro__
        if cls.__module__ == "__main__"
        for name, member in vars(cls).items()
        if isinstance(member, FunctionType) or _is_plain(name, member)
    ]


def _is_plain(name: str, member: Any) -> bool:
    """Whether a member of a class was written there, and not made by Python."""
    made = isinstance(member, MemberDescriptorType) or name == "_abc_impl"
    return name[:2] != "__" and not made


def _code_of(code: CodeType) -> Any:
    inside = [_constant(part) for part in code.co_consts]
    return code.co_code, code.co_names, repr(inside)


def _constant(part: Any) -> Any:
    if isinstance(part, CodeType):
        return _code_of(part)
    # sets are in another order in every process
    return sorted(map(repr, part)) if isinstance(part, frozenset) else part


def _names_in(code: CodeType) -> set[str]:
    """Names that a function and those inside of it look up outside."""
    found = {i.argval for i in get_instructions(code) if i.opname == "LOAD_GLOBAL"}
    inside = (part for part in code.co_consts if isinstance(part, CodeType))
    return found.union(*map(_names_in, inside))


def content_digest(model: Any) -> str | None:
    """Digest of all that an object holds; None if it cannot be pickled."""
    digest = _Digest()
    try:
        digest.dump(model)
    except Exception:  # whatever a foreign __getstate__ raises
        return None
    return digest.digest.hexdigest()


def why_no_digest(model: Any) -> str:
    """Why `content_digest` gives none."""
    try:
        _Digest().dump(model)
    except Exception as error:  # as above
        return f"{type(error).__name__}: {error}"
    return "at first it could not be"


def files_of(cls: type) -> list[str]:
    """Digests of the files that a class and its bases of other packages are from."""
    names = {c.__module__ for c in cls.__mro__}
    modules = [sys.modules.get(n) for n in names if n.partition(".")[0] not in OURS]
    files = [getattr(module, "__file__", None) or "" for module in modules]
    contents = {os.fspath(file): content_of_file(file) for file in files}
    return sorted("" if c is None else c.tobytes().hex() for c in contents.values())
