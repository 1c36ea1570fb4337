"""Pickles of tensors, read as data: an interpreter of opcodes that has nothing to call.

Python's unpickler imports what a file names and calls it. This one knows a few names as words, and makes dictionaries,
lists, plain values and tensors of them; a file that says anything else is refused.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

MAX_DIMENSIONS = 64
"""Of a tensor: torch has no more."""

MAX_OPCODES = 2_000_000
"""A network with 10,000 tensors has a fifth of it."""


class Unreadable(Exception):
    """A pickle that is damaged, or holds something else than tensors and plain values."""


@dataclass(frozen=True)
class Word:
    """The name of a class or function. It stands for itself: nothing is imported."""

    name: str


@dataclass(frozen=True)
class Storage:
    """Where a tensor's numbers are in the file."""

    type: str
    """Of torch, such as FloatStorage."""
    key: str
    count: int
    """Numbers in it."""


@dataclass(frozen=True)
class TensorView:
    """A tensor as the file describes it: where in its storage it is."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


STORAGES: Final = frozenset(
    f"{kind}Storage" for kind in ("Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
)
ORDERED_DICT = Word("collections.OrderedDict")
TENSOR = Word("torch._utils._rebuild_tensor_v2")
PARAMETER = Word("torch._utils._rebuild_parameter")
WORDS: Final = {word.name: word for word in (ORDERED_DICT, TENSOR, PARAMETER)} | {
    f"torch.{name}": Word(name) for name in STORAGES
}

_PLAIN: Final = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINSTRING", "SHORT_BINSTRING"} | {
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES")
}
_CONSTANTS: Final = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES: Final = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MARK: Final = object()


def read(stream: BinaryIO, tensor: Callable[[TensorView], Any]) -> Any:
    """What a pickle holds. The stream is behind its end afterwards.

    Args:
        stream: that can tell where it is.
        tensor: what stands for a tensor in the result. It may raise Unreadable.

    Raises:
        Unreadable: says what is wrong with it, in a few words.
    """
    machine = _Machine(tensor)
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if opcode.name == "STOP":
                return machine.result()
            if count >= MAX_OPCODES:
                raise Unreadable(f"it has more than {MAX_OPCODES} opcodes")
            machine.step(opcode.name, argument)
    except (ValueError, IndexError, KeyError, OverflowError, MemoryError) as error:  # a length that nobody has room for
        raise Unreadable("its pickle is damaged") from error
    raise Unreadable("its pickle is damaged: it has no end")


class _Machine:
    def __init__(self, tensor: Callable[[TensorView], Any]) -> None:
        self._tensor = tensor
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def result(self) -> Any:
        (value,) = self._stack
        return value

    def step(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _PLAIN:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _TUPLES:
            stack.append(tuple(self._pop(_TUPLES[name])))
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = self._top()
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name == "GLOBAL":
            stack.append(_word(*argument.split(" ", 1)))
        elif name not in ("PROTO", "FRAME"):
            if name not in _STEPS:
                raise Unreadable(f"it has the opcode {name}, which no file of tensors needs")
            _STEPS[name](self)

    def _top(self) -> Any:
        if self._stack[-1] is _MARK:
            raise Unreadable("its pickle is damaged: a mark where a value belongs")
        return self._stack[-1]

    def _pop(self, count: int) -> list[Any]:
        taken = self._stack[len(self._stack) - count :] if count else []
        if len(taken) != count or any(value is _MARK for value in taken):
            raise Unreadable("its pickle is damaged: values are missing")
        del self._stack[len(self._stack) - count :]
        return taken

    def _pop_to_mark(self) -> list[Any]:
        taken: list[Any] = []
        while (value := self._stack.pop()) is not _MARK:
            taken.append(value)
        return taken[::-1]

    def mark(self) -> None:
        self._stack.append(_MARK)

    def empty_dict(self) -> None:
        self._stack.append({})

    def empty_list(self) -> None:
        self._stack.append([])

    def tuple(self) -> None:
        self._stack.append(tuple(self._pop_to_mark()))

    def memoize(self) -> None:
        self._memo[len(self._memo)] = self._top()

    def append(self) -> None:
        self._extend(self._pop(1))

    def appends(self) -> None:
        self._extend(self._pop_to_mark())

    def set_item(self) -> None:
        self._update(self._pop(2))

    def set_items(self) -> None:
        self._update(self._pop_to_mark())

    def stack_global(self) -> None:
        module, name = self._pop(2)
        self._stack.append(_word(module, name))

    def persistent_id(self) -> None:
        (what,) = self._pop(1)
        self._stack.append(_storage(what))

    def reduce(self) -> None:
        callee, arguments = self._pop(2)
        if callee == ORDERED_DICT and arguments == ():
            self._stack.append({})
        elif callee == PARAMETER and isinstance(arguments, tuple) and len(arguments) == 3:
            self._stack.append(arguments[0])
        elif callee == TENSOR and isinstance(arguments, tuple) and len(arguments) in (6, 7):
            self._stack.append(self._tensor(_view(*arguments[:4])))
        else:
            raise Unreadable("it makes something else than a tensor")

    def build(self) -> None:
        """An ordered dictionary may have attributes (torch's own: ``_metadata``). They are left out."""
        self._pop(1)
        if type(self._top()) is not dict:
            raise Unreadable("it gives a state to an object, which no file of tensors needs")

    def _extend(self, values: list[Any]) -> None:
        if type(self._top()) is not list:
            raise Unreadable("its pickle is damaged: no list to append to")
        self._top().extend(values)

    def _update(self, items: list[Any]) -> None:
        entries = self._top()
        if type(entries) is not dict or len(items) % 2:
            raise Unreadable("its pickle is damaged: no dictionary to fill")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) not in (str, int):  # a tuple in tuples could take for ever to hash
                raise Unreadable(f"it has a {type(key).__name__} as a key: expected names")
            entries[key] = value


_STEPS: Final[dict[str, Callable[[_Machine], None]]] = {
    "MARK": _Machine.mark,
    "EMPTY_DICT": _Machine.empty_dict,
    "EMPTY_LIST": _Machine.empty_list,
    "TUPLE": _Machine.tuple,
    "MEMOIZE": _Machine.memoize,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "STACK_GLOBAL": _Machine.stack_global,
    "BINPERSID": _Machine.persistent_id,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
}


def _word(module: object, name: object) -> Word:
    full = f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) else "something without a name"
    if full not in WORDS:
        raise Unreadable(f"it holds {full[:80]!r}")
    return WORDS[full]


def _storage(what: object) -> Storage:
    match what:
        case ("storage", Word(name=kind), str(key), str(), int(count)) if kind in STORAGES and count >= 0:
            return Storage(kind, key, count)
        case ("storage", Word(name=kind), str(key), str(), int(count), None) if kind in STORAGES and count >= 0:
            return Storage(kind, key, count)  # before 2020; the last is of a view
    raise Unreadable("it has a tensor whose numbers are of a kind that is not known")


def _view(storage: object, offset: object, size: object, stride: object) -> TensorView:
    if not isinstance(storage, Storage) or not isinstance(size, tuple) or not isinstance(stride, tuple):
        raise Unreadable("it has a tensor without a storage or a shape")
    if len(size) > MAX_DIMENSIONS:  # their product could take for ever
        raise Unreadable(f"it has a tensor of {len(size)} dimensions")
    numbers = (offset, *size, *stride)
    if len(size) != len(stride) or not all(type(number) is int and 0 <= number < 1 << 48 for number in numbers):
        raise Unreadable("it has a tensor of an impossible shape")
    return TensorView(storage, offset, size, stride)  # type: ignore[arg-type]
