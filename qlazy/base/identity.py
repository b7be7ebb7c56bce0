"""What tells one value from another: a digest of all that decides what it computes.

Numbers, arrays and containers count by value. Functions count by their bytecode with constants, defaults, closure and
the globals that they name, these by value too; comments, line numbers and files do not. Objects count by their class
(of the user's own: the code of all its methods; of a library: its name and the library's version) and attributes.
A class of qlazy may say itself what decides: by a method ``keyed_by(x)``, for inputs like ``x``.

What cannot be told (open files, generators, what is read from the clock or the environment) raises UnkeyedError.
"""

from __future__ import annotations

import builtins
import decimal
import dis
import enum
import functools
import importlib
import io
import sys
import threading
import types
import weakref
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from hashlib import sha256
from importlib import metadata
from pathlib import PurePath
from typing import Any, NoReturn, final

import numpy as np
import torch

from qlazy.base.torch_private import default_device

_NUMBERS = (bool, int, float, complex, str, bytes, type(None), type(...), type(NotImplemented), range, slice)
_LIBRARIES = frozenset({*sys.stdlib_module_names, "pennylane", "torch", "numpy", "scipy", "numba", "qlazy"}) - {
    "__main__", "builtins",
}  # fmt: skip
_OUTSIDE = frozenset({
    "time", "random", "secrets", "os", "io", "pathlib", "socket", "subprocess", "urllib", "tempfile", "uuid",
    "datetime",
})  # fmt: skip
"""Modules that read what no value shows."""
_READING = frozenset({"load", "loadtxt", "genfromtxt", "fromfile", "memmap", "open_memmap", "open", "imread"})
"""Functions of libraries that read files, beside those whose names begin with ``read_``."""
_BY_TEXT = {"sys": frozenset({"modules", "argv", "_getframe"}), "importlib": frozenset({"import_module"})}
"""What of these modules reaches others by a text."""
_OUTSIDE_BUILTINS = frozenset({"open", "eval", "exec", "globals", "input", "__import__", "compile"})
_NOT_DECIDING = frozenset({
    "__module__", "__doc__", "__dict__", "__weakref__", "__qualname__", "__annotations__", "__annotate__",
    "__annotate_func__", "__annotations_cache__", "__firstlineno__", "__static_attributes__", "__abstractmethods__",
    "_abc_impl", "__dataclass_fields__", "__dataclass_params__", "__match_args__", "__parameters__", "__orig_bases__",
    "__repr__", "__str__", "__hash__", "_repr_html_", "__slotnames__",
})  # fmt: skip
_LOCKS = (type(threading.Lock()), type(threading.RLock()))
_MISSING = object()


class UnkeyedError(Exception):
    """A value that cannot be told from others, with the reason."""


def identity(value: Any, x: torch.Tensor | None = None) -> str:
    """64 hexadecimal digits that are the same only for values that decide the same. Raises UnkeyedError.

    ``x`` are inputs (n, ...), for models that are told by what they do with inputs of their shape.
    """
    try:
        return _Walk(x).of(value).hex()
    except RecursionError:
        raise UnkeyedError("it is nested too deeply") from None


def numerics() -> dict[str, str]:
    """What else decides numbers: Python, whose bytecode differs, and torch's settings."""
    return {
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "default dtype": str(torch.get_default_dtype()),
        "default device": default_device(),
        "precision of products": torch.get_float32_matmul_precision(),
    }


@final
class _Walk:
    """One digest: of values within values, each once, with those on the way known by their depth."""

    def __init__(self, x: torch.Tensor | None) -> None:
        self._x = x
        self._known: dict[int, tuple[Any, bytes]] = {}  # values are held, so that none takes another's place
        self._open: dict[int, int] = {}

    def of(self, value: Any) -> bytes:
        if isinstance(value, _NUMBERS) and not isinstance(value, enum.Enum):
            return _hash(type(value).__name__, repr(value))
        place = id(value)
        if place in self._known:
            return self._known[place][1]
        if place in self._open:
            return _hash("above", str(len(self._open) - self._open[place]))
        self._open[place] = len(self._open)
        try:
            found = self._found(value)
        finally:
            del self._open[place]
        self._known[place] = (value, found)
        return found

    def _found(self, value: Any) -> bytes:
        inputs = self._x
        if not isinstance(value, Mapping | list | tuple) and _home(type(value)) != "qlazy":
            self._x = None  # what is called by other code is called on inputs that are not known here
        try:
            return self._looked_at(value)
        finally:
            self._x = inputs

    def _looked_at(self, value: Any) -> bytes:
        for kinds, look in _LOOKS:
            if isinstance(value, kinds):
                return look(self, value)
        return self._object(value)

    def _all(self, tag: str, values: Iterable[Any]) -> bytes:
        return _hash(tag, *map(self.of, values))

    def _tensor(self, value: torch.Tensor) -> bytes:
        if value.layout != torch.strided or value.is_meta or value.is_quantized:
            _refuse("a tensor that is not plain")
        plain = value.detach().resolve_conj().resolve_neg().cpu().contiguous()
        about = f"{plain.dtype}{tuple(plain.shape)}{value.requires_grad}{value.device.type}"
        kind = type(value)
        own = b"" if kind in (torch.Tensor, torch.nn.Parameter) else self.of(kind)
        return _hash("tensor", about, own, plain.reshape(-1).view(torch.uint8).numpy().tobytes())

    def _array(self, value: np.ndarray[Any, Any]) -> bytes:
        about = f"{value.dtype.descr}{value.shape}{type(value).__name__}"
        is_plain = type(value) in (np.ndarray, np.memmap) or not hasattr(value, "__dict__")
        own = b"" if is_plain else self._state(value)  # such as a mask
        content = np.asarray(value)
        if value.dtype.hasobject:
            return _hash("array", about, own, self.of(content.tolist()))
        return _hash("array", about, own, np.ascontiguousarray(content).tobytes())

    def _ufunc(self, value: np.ufunc) -> bytes:
        libraries = (name for name in ("numpy", "scipy.special") if _stands_in(name, value))
        if (home := next(libraries, None)) is None:
            _refuse(f"{value.__name__}, a ufunc that is not NumPy's or SciPy's")
        return _hash("ufunc", home, value.__name__, _version(home.split(".")[0]))

    def _text_in_memory(self, value: io.StringIO | io.BytesIO) -> bytes:
        return _hash("in memory", self.of(type(value)), repr((value.getvalue(), value.tell())))

    def _number(self, value: np.generic) -> bytes:
        return _hash(
            "number", value.dtype.str, self.of(value.item()) if value.dtype.hasobject else value.tobytes()
        )

    def _mapping(self, value: Mapping[Any, Any]) -> bytes:
        return _hash(
            "mapping", self._kind(value, dict), *(self.of(part) for pair in value.items() for part in pair)
        )

    def _sequence(self, value: Any) -> bytes:
        own = self._state(value) if type(value) not in (list, tuple) and hasattr(value, "__dict__") else b""
        return _hash("sequence", self._kind(value, list, tuple), own, *map(self.of, value))

    def _set(self, value: AbstractSet[Any]) -> bytes:
        return _hash("set", *sorted(map(self.of, value)))

    def _kind(self, value: Any, *plain: type) -> bytes:
        kind = type(value)
        return kind.__name__.encode() if kind in plain else self.of(kind)

    def _enum(self, value: enum.Enum) -> bytes:
        return _hash("enum", type(value).__name__, value.name, self.of(value.value))

    def _module(self, module: types.ModuleType, names: Iterable[str] | None = None) -> bytes:
        home = _home(module)
        if home in _OUTSIDE:
            _refuse(f"the module {home}, which reads what is outside of the program")
        if is_library(home):
            for name in names or ():
                _require_seen(home, name, getattr(module, name, None))
            return _hash("library", module.__name__, _version(home), _settings(home))
        space = vars(module)
        wanted = sorted(space.keys() if names is None else set(names) & space.keys())
        return _hash(
            "module",
            *(part for name in wanted if not name.startswith("__") for part in (name, self.of(space[name]))),
        )

    def _code(self, code: types.CodeType) -> bytes:
        flags = (code.co_flags, code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
        names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        return _hash(
            "code", code.co_code, getattr(code, "co_exceptiontable", b""), repr((flags, names)),
            *map(self.of, code.co_consts),
        )  # fmt: skip

    def _function(self, function: types.FunctionType) -> bytes:
        names = _names(function.__code__)[2]
        cells = [content_of(cell) for cell in function.__closure__ or ()]
        beside = (function.__defaults__, function.__kwdefaults__)
        within = [
            self._module(cell, names) if isinstance(cell, types.ModuleType) else self.of(cell)
            for cell in cells
        ]
        home = str(function.__globals__.get("__name__", "")).split(".")[
            0
        ]  # `functools.wraps` copies a function's module
        if home in _OUTSIDE:
            _refuse(f"{home}.{function.__name__}, which reads what is outside of the program")
        if is_library(home):
            _require_seen(home, function.__name__, function)
            own = _hash("library", f"{function.__module__}.{function.__qualname__}", _version(home))
            return _hash("function", own, *map(self.of, beside), *within)
        attributes = {name: part for name, part in vars(function).items() if not name.startswith("__")}
        return _hash(
            "function", self._code(function.__code__), *map(self.of, beside), *within, self.of(attributes),
            *self._globals(function),
        )  # fmt: skip

    def _globals(self, function: types.FunctionType) -> Iterator[bytes]:
        """The globals that a function names and the modules it imports, by value."""
        loaded, imported, names = _names(function.__code__)
        if not names.isdisjoint(("str", "repr", "format", "print")):
            yield _hash("format of arrays", repr(sorted(np.get_printoptions().items(), key=str)))
        space = function.__globals__
        for name in loaded:
            value = space.get(name, _MISSING)
            if value is _MISSING:
                if name in _OUTSIDE_BUILTINS:
                    _refuse(f"a function that calls {name}")
                value = getattr(builtins, name, _MISSING)
                if value is _MISSING or isinstance(value, types.BuiltinFunctionType | type):
                    continue
            yield name.encode()
            yield self._module(value, names) if isinstance(value, types.ModuleType) else self.of(value)
        for name in imported:
            try:
                module = sys.modules.get(name) or importlib.import_module(name)
            except ImportError as error:
                _refuse(f"a function that imports {name} ({error})")
            yield self._module(module, names)

    def _builtin(self, value: types.BuiltinFunctionType) -> bytes:
        owner = getattr(value, "__self__", None)
        home = _home(value)
        if home in _OUTSIDE or (home == "builtins" and value.__name__ in _OUTSIDE_BUILTINS):
            _refuse(f"{value.__name__}, which reads what is outside of the program")
        bound = b"" if owner is None or isinstance(owner, types.ModuleType) else self.of(owner)
        return _hash("builtin", home, value.__qualname__, bound)

    def _class(self, kind: type) -> bytes:
        home = _home(kind)
        if (home == "builtins" or is_library(home)) and _stands_in_its_module(kind):
            return _hash("class", f"{kind.__module__}.{kind.__qualname__}", _version(home), _settings(home))
        # The class of an enumeration, a named tuple, a dataclass: all by what stands in it.
        space = {name: part for name, part in sorted(vars(kind).items()) if name not in _NOT_DECIDING}
        bases = [base for base in kind.__bases__ if base is not object]
        return _hash(
            "class", kind.__name__, *map(self.of, bases),
            *(part for name, member in space.items() for part in (name, self._member(member))),
        )  # fmt: skip

    def _member(self, member: Any) -> bytes:
        if isinstance(member, types.MemberDescriptorType | types.GetSetDescriptorType):
            return b"slot"
        return self.of(member)

    def _object(self, value: Any) -> bytes:
        kind = type(value)
        if callable(getattr(kind, "keyed_by", None)):
            return _hash("object", self.of(kind), self.of(value.keyed_by(self._x)))
        inner = getattr(value, "py_func", None) or getattr(
            value, "__wrapped__", None
        )  # numba, functools.cache
        if inner is not None and is_library(_home(kind)):
            return _hash("wrapped", self.of(kind), self.of(inner))
        if isinstance(value, torch.Generator):
            return _hash("generator", self.of(value.get_state()))
        if hasattr(value, "__dict__") or _slots(kind):
            return _hash("object", self.of(kind), self._state(value))
        return self._reduced(value)

    def _state(self, value: Any) -> bytes:
        kind = type(value)
        held = dict(getattr(value, "__dict__", {}))
        held |= {name: getattr(value, name) for name in _slots(kind) if hasattr(value, name)}
        cached = {name for name in held if isinstance(getattr(kind, name, None), functools.cached_property)}
        return self.of({name: part for name, part in held.items() if name not in cached})

    def _reduced(self, value: Any) -> bytes:
        """A value of a library's own making, by what it would be copied from."""
        try:
            parts = value.__reduce_ex__(4)
        except Exception as error:
            raise UnkeyedError(f"a {type(value).__name__} ({error})") from None
        if isinstance(parts, str):
            return _hash("named", self.of(type(value)), parts)
        return _hash("reduced", *map(self.of, parts))


def _parts(*names: str) -> Any:
    return lambda walk, value: walk._all(type(value).__name__, [getattr(value, name, None) for name in names])


def _unfit(walk: _Walk, value: Any) -> NoReturn:
    _refuse(f"a {type(value).__name__}")


_LOOKS: tuple[tuple[Any, Any], ...] = (
    (enum.Enum, _Walk._enum),
    (torch.Tensor, _Walk._tensor),
    (np.ndarray, _Walk._array),
    (np.generic, _Walk._number),
    (np.random.Generator | np.random.RandomState, _unfit),
    (np.ufunc, _Walk._ufunc),
    (io.StringIO | io.BytesIO, _Walk._text_in_memory),
    (io.IOBase, _unfit),
    (type, _Walk._class),
    (types.FunctionType, _Walk._function),
    (types.MethodType, _parts("__func__", "__self__")),
    (types.BuiltinFunctionType, _Walk._builtin),
    (types.CodeType, _Walk._code),
    (types.ModuleType, _Walk._module),
    (staticmethod | classmethod, _parts("__func__")),
    (property, _parts("fget", "fset")),
    (functools.cached_property, _parts("func")),
    (functools.partial, _parts("func", "args", "keywords")),
    (weakref.ref, lambda walk, value: walk._all("weak", [value()])),  # recurrent layers of torch hold some
    (types.GeneratorType | types.CoroutineType | types.FrameType, _unfit),
    (torch.dtype | torch.device | torch.Size | PurePath, lambda walk, value: _hash("value", repr(value))),
    (_LOCKS, lambda walk, value: _hash("lock")),  # decide nothing
    (Mapping, _Walk._mapping),
    (list | tuple, _Walk._sequence),
    (AbstractSet, _Walk._set),
)


def _hash(*parts: str | bytes) -> bytes:
    found = sha256()
    for part in parts:
        content = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        found.update(len(content).to_bytes(8, "little"))
        found.update(content)
    return found.digest()


def _refuse(what: str) -> NoReturn:
    raise UnkeyedError(what)


def _stands_in(module: str, value: np.ufunc) -> bool:
    return getattr(sys.modules.get(module), value.__name__, None) is value


def _require_seen(home: str, name: str, value: object) -> None:
    """Refuse a function of a library that reads files, and what reaches modules by a text."""
    if name in _BY_TEXT.get(home, ()) or (callable(value) and (name in _READING or name.startswith("read_"))):
        _refuse(f"{home}.{name}, which reads what no value shows")


def _settings(home: str) -> str:
    """Settings of a library that decide what its objects compute."""
    return repr(decimal.getcontext()) if home == "decimal" else ""


def content_of(cell: types.CellType, empty: object = None) -> Any:
    """What a cell of a closure holds; ``empty`` for one that is not filled yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return empty


@functools.lru_cache(maxsize=4096)
def _names(code: types.CodeType) -> tuple[tuple[str, ...], tuple[str, ...], frozenset[str]]:
    """Globals, imported modules, and all names in code and the code within it."""
    loaded: dict[str, None] = {}
    imported: dict[str, None] = {}
    names: set[str] = set()
    waiting = [code]
    while waiting:
        one = waiting.pop()
        names.update(one.co_names)
        for step in dis.get_instructions(one):
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                loaded[step.argval] = None
            elif step.opname == "IMPORT_NAME":
                imported[step.argval] = None
        waiting += [constant for constant in one.co_consts if isinstance(constant, types.CodeType)]
    return tuple(loaded), tuple(imported), frozenset(names)


def _slots(kind: type) -> list[str]:
    """The names of an object's slots, in all its classes."""
    found: list[str] = []
    for owner in kind.__mro__:
        slots = vars(owner).get("__slots__", ())
        found += [slots] if isinstance(slots, str) else list(slots)
    return [name for name in found if name not in ("__dict__", "__weakref__")]


def _stands_in_its_module(kind: type) -> bool:
    """Whether the class is the one of its name there: one made by a call of ``type`` claims the module of its maker."""
    found: Any = sys.modules.get(kind.__module__)
    for name in kind.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is kind or kind.__module__ == "builtins"


def _home(value: Any) -> str:
    home = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
    return (home if isinstance(home, str) else "builtins").split(".")[0]


def is_library(home: str) -> bool:
    """Whether a package of this name is Python's, installed, or one that qlazy stands on."""
    return home in _LIBRARIES or is_installed(home)


@functools.lru_cache(maxsize=1024)
def is_installed(home: str) -> bool:
    """Whether the package of this name, one that is loaded, was installed and is not the user's own code."""
    path = getattr(sys.modules.get(home), "__file__", None) or ""
    return "site-packages" in path or "dist-packages" in path


@functools.lru_cache(maxsize=1024)
def _version(home: str) -> str:
    if home in sys.stdlib_module_names:
        return sys.version.split()[0]
    try:
        return metadata.version(home)
    except metadata.PackageNotFoundError:
        return str(getattr(sys.modules.get(home), "__version__", ""))
