"""What a pickle will ask for, found without running it.

A pickle is a program for a machine with a stack and a memory of numbered places. It is
gone through here with sizes in place of objects, so that a few bytes that ask for much
memory or time are refused before they are obeyed.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from skaudio._utils._limits import Budget

# what training tools keep next to weights; read as nothing, and then dropped
BOOKKEEPING = (
    "pytorch_lightning.",
    "lightning.",
    "lightning_fabric.",
    "argparse.Namespace",
    "omegaconf.",
    "pathlib.",
    "numpy.",
)
# what a pickle of tensors calls; others of torch make arrays of any size from nothing
CALLS = {
    *("builtins.complex", "__builtin__.complex", "builtins.set", "__builtin__.set"),
    "collections.Counter",
    "collections.OrderedDict",
    "torch.Size",
    "torch.device",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor_v3",
    "torch.serialization._get_layout",
}
LEGACY_PICKLES = 5  # one after another in files of torch before 1.6
WORK = 2**20  # objects that a small program may handle
OBJECT = 64  # bytes of an object without what it holds
_BY_CODE = {opcode.code.encode("latin1"): opcode for opcode in pickletools.opcodes}
_PUT = {"PUT", "BINPUT", "LONG_BINPUT"}
_GET = {"GET", "BINGET", "LONG_BINGET"}
_CALLS = {"REDUCE", "NEWOBJ", "NEWOBJ_EX", "OBJ"}
# change what is below their operands, and leave it there
_FILL = {"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"}


@dataclass(slots=True, eq=False)
class _Held:
    """Stands for an object: as many of them as it takes to write it out in full."""

    size: int = 1
    value: Any = None  # text, or the items of a tuple


_PLAIN = _Held()  # numbers and other constants


@dataclass(frozen=True)
class Call:
    """A function that the program calls, and what it passes where that is text."""

    name: str  # "" where the program computes it
    texts: tuple[str | None, ...]


def calls_of(file: IO[bytes], n_bytes: int) -> list[Call]:
    """Go through a pickle and list its calls.

    Parameters
    ----------
    file : binary file
        At the start of the pickle; it is left behind its end.
    n_bytes : int
        Size of the file.

    Returns
    -------
    calls : list of Call
        What the pickle would call.

    Raises
    ------
    ValueError
        If it is damaged, or asks for much more than its size.

    Examples
    --------
    >>> import io, pickle
    >>> from skaudio._utils._pickle_scan import calls_of
    >>> content = pickle.dumps(range(3), protocol=2)
    >>> calls_of(io.BytesIO(content), len(content))[0].name
    '__builtin__.xrange'
    """
    machine = _Machine(n_bytes)
    try:
        for opcode, argument in _opcodes(file):
            machine.step(opcode, argument)
    except (IndexError, KeyError, AttributeError) as error:
        raise ValueError("it takes what is not there") from error
    return machine.calls


def _opcodes(file: IO[bytes]) -> Iterator[tuple[Any, Any]]:
    """As `pickletools.genops`, which cannot read text of Python 2 beyond ASCII."""
    opcode = None
    while opcode is None or opcode.name != "STOP":
        opcode = _BY_CODE[file.read(1)]
        if opcode.name == "STRING":
            yield opcode, file.readline().decode("latin1")
        else:
            yield opcode, None if opcode.arg is None else opcode.arg.reader(file)


class _Machine:
    def __init__(self, n_bytes: int) -> None:
        self.n_bytes = n_bytes
        self.work, self.memory_left = Budget(n_bytes, floor=WORK), Budget(n_bytes)
        self.stack: list[_Held] = []
        self.marks: list[int] = []  # heights of the stack
        self.memory: dict[int, _Held] = {}
        self.calls: list[Call] = []

    def step(self, opcode: Any, argument: Any) -> None:
        name = opcode.name
        if name in _PUT or name == "MEMOIZE":
            self._put(len(self.memory) if argument is None else argument)
        elif name in _GET:
            self._push(self.memory[argument])
        elif name == "DUP":
            self._push(self.stack[-1])
        elif name == "POP":
            marked = self.marks[-1:] == [len(self.stack)]
            (self.marks if marked else self.stack).pop()
        elif name == "MARK":
            self.marks.append(len(self.stack))
        elif opcode.stack_after:
            self._push(self._result(name, self._pop(opcode), argument))
        else:
            self._pop(opcode)

    def _put(self, place: int) -> None:
        if not 0 <= place <= self.n_bytes:
            raise ValueError(
                f"it has {self.n_bytes} bytes and remembers object {place}"
            )
        self.memory[place] = self.stack[-1]

    def _push(self, held: _Held) -> None:
        if isinstance(held.value, tuple):
            self.work.take(held.size, "a tuple of tuples")  # as hashing it takes time
        self.stack.append(held)

    def _pop(self, opcode: Any) -> list[_Held]:
        """What an opcode takes from the stack, from bottom to top."""
        before = opcode.stack_before
        if pickletools.stackslice in before:
            start = self.marks.pop() - before.index(pickletools.markobject)
        else:
            start = len(self.stack) - len(before)
        if start < 0:
            raise IndexError
        taken = self.stack[start:]
        del self.stack[start:]
        return taken

    def _result(self, name: str, taken: list[_Held], argument: Any) -> _Held:
        size = 1 + sum(held.size for held in taken)
        if name in _FILL:
            if taken[0] is _PLAIN:
                raise IndexError("a number holds nothing")
            taken[0].size = size - 1
            return taken[0]
        if not taken and not isinstance(argument, str) and argument is not None:
            return _PLAIN
        self.memory_left.take(OBJECT, "an object")
        if name in _CALLS:
            self._call(name, taken)
        return _Held(size, self._value(name, taken, argument))

    def _value(self, name: str, taken: list[_Held], argument: Any) -> Any:
        if name in ("TUPLE", "EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"):
            return tuple(taken)
        if name == "STACK_GLOBAL":
            module, qualified = (held.value for held in taken)
            return f"{module}.{qualified}"
        if name == "INST":
            self.calls.append(Call(argument.replace(" ", "."), _texts(taken)))
        if name == "GLOBAL":
            return argument.replace(" ", ".")
        return argument if isinstance(argument, str) and not taken else None

    def _call(self, name: str, taken: list[_Held]) -> None:
        function, *arguments = taken
        if name != "OBJ":
            arguments = list(arguments[0].value or ())
        # what it is passed may have grown since the tuple was made
        self.work.take(sum(held.size for held in arguments), "a call")
        known = function.value if isinstance(function.value, str) else ""
        self.calls.append(Call(known, _texts(arguments)))


def _texts(arguments: list[_Held]) -> tuple[str | None, ...]:
    return tuple(
        held.value if isinstance(held.value, str) else None for held in arguments
    )


def check_torch(content: bytes) -> None:
    """Refuse a file of torch that takes far more than its size.

    Parameters
    ----------
    content : bytes
        A ZIP archive, or pickles as torch wrote them before 1.6.

    Raises
    ------
    UnpicklingError
        If it does, is damaged, or calls what tensors have no need of.
    BadZipFile
        If it is no archive, or a checksum in it is wrong.
    """
    try:
        calls = _calls(content)
    except ValueError as error:
        raise pickle.UnpicklingError(str(error)) from error
    for call in calls:
        is_text = call.name == "_codecs.encode" and call.texts[1:] == ("latin1",)
        if not (call.name in CALLS or is_text or call.name.startswith(BOOKKEEPING)):
            raise pickle.UnpicklingError(f"it calls {call.name or 'something'}")


def _calls(content: bytes) -> list[Call]:
    """What the pickles in a file of torch call."""
    stream = io.BytesIO(content)
    if not content.startswith(b"PK"):  # as torch decides it, whatever follows
        pickles = (calls_of(stream, len(content)) for _ in range(LEGACY_PICKLES))
        return [call for calls in pickles for call in calls]
    calls = []
    with zipfile.ZipFile(stream) as archive:
        check_archive(archive, len(content))
        _check_members(archive)
        for member in archive.infolist():
            if ".pkl" in member.orig_filename.lower():
                with archive.open(member) as file:
                    calls += calls_of(file, member.file_size)
    return calls


def check_archive(archive: zipfile.ZipFile, n_bytes: int) -> None:
    """Refuse an archive that unpacks to far more than its size."""
    budget = Budget(n_bytes)
    for member in archive.infolist():
        budget.take(member.file_size, repr(member.filename))


def _check_members(archive: zipfile.ZipFile) -> None:
    """Refuse members with a wrong checksum, which torch does not look at."""
    members: list[Any] = archive.infolist()
    if not any(member.CRC for member in members):  # torch was told to leave them out
        for member in members:
            member.CRC = None  # not compared
    if damaged := archive.testzip():
        raise zipfile.BadZipFile(f"the checksum of {damaged!r} is wrong")
