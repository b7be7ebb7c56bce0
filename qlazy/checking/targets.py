"""What ``qlazy check`` was pointed at: a name in a Python file or module, an OpenQASM file, a family, a net."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle
from torch import nn

from qlazy.base.errors import did_you_mean, refuse
from qlazy.checking.neighbours import own_neighbours
from qlazy.comparison.specs import NET
from qlazy.models.model import Model

_IN_FILE = re.compile(r"(?P<path>.+\.py)(?::(?P<name>[^:]*))?")
_IN_MODULE = re.compile(r"(?P<module>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):(?P<name>[A-Za-z_]\w*(?:\.\w+)*)")


def is_python(text: str) -> bool:
    """Whether a target names something in a Python file or module, and not a family, a program or a net."""
    match = _IN_MODULE.fullmatch(text)
    return bool(_IN_FILE.fullmatch(text)) or (match is not None and not _is_known(match["module"]))


def _is_known(name: str) -> bool:
    """Whether a name is that of a net or a family, and of no module that could be imported: its sizes are misspelt."""
    if name == NET:
        return True
    from qlazy.quantum.corpus import names, program_names

    return name in (*names(), *program_names()) and importlib.util.find_spec(name) is None


def load_target(text: str) -> Any:
    """The object that ``file.py:name`` or ``package.module:name`` names. The file is run, as ``python file.py`` would.

    Without a name, the only QNode, model or module there. Raises ValueError for a file or a name that is not there,
    which lists what is, and for a file that does not run, with the line that stopped it.
    """
    match = _IN_FILE.fullmatch(text)
    if match is not None:
        module, name, where = _run(Path(match["path"])), match["name"], match["path"]
    else:
        match = _IN_MODULE.fullmatch(text)
        assert match is not None, text
        module, name, where = _imported(match["module"]), match["name"], match["module"]
    return _named(module, name, where) if name else _only(module, text)


def _run(path: Path) -> ModuleType:
    if not path.is_file():
        refuse("model", "be a Python file that is there", f"{path}, and there is no such file{_near(path)}")
    with own_neighbours(path):
        return _executed(path)


def _executed(path: Path) -> ModuleType:
    name = path.stem if path.stem.isidentifier() and path.stem not in sys.modules else f"_{abs(hash(path))}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # as an import would, so that what the file defines can be pickled
    if name != path.stem:  # another process cannot import it
        cloudpickle.register_pickle_by_value(module)
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ValueError(f"{path} does not run: {_told(error, path)}") from error
    return module


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise ValueError(f"the module {name} cannot be imported: {_told(error)}") from error
        must = "name a Python file, as FILE.py:NAME, or a module that can be imported"
        refuse("model", must, f"{name}, and there is no such file or module{_near(Path(name))}")
    except Exception as error:
        raise ValueError(f"the module {name} cannot be imported: {_told(error)}") from error


def _near(path: Path) -> str:
    """A Python file beside it with a name like it."""
    found = path.parent.glob("*.py") if path.parent.is_dir() else ()
    return did_you_mean(path.name, sorted(one.name for one in found))


def _told(error: BaseException, path: Path | None = None) -> str:
    """An error of the user's code in one line, with the line of her file that it came from."""
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {error.msg}: {(error.text or '').strip()}"
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__)
        if path is not None and Path(frame.filename).resolve() == path.resolve()
    ]  # fmt: skip
    where = f"line {frames[-1].lineno}: {frames[-1].line}: " if frames else ""
    return f"{where}{type(error).__name__}: {error}"


def _named(module: ModuleType, name: str, where: str) -> Any:
    value: Any = module
    for part in name.split("."):
        found = getattr(value, part, None)
        if found is None:
            hint = did_you_mean(part, candidates(module) if value is module else dir(value))
            refuse("model", f"name something in {where} ({_listed(module)})", f"{name}{hint}")
        value = found
    return value


def _only(module: ModuleType, text: str) -> Any:
    found = candidates(module)
    if len(found) != 1:
        refuse("model", f"name one model, as in {text.rstrip(':')}:NAME ({_listed(module)})", text)
    return next(iter(found.values()))


def _listed(module: ModuleType) -> str:
    return f"there: {', '.join(candidates(module))}" if candidates(module) else "no QNode or module is there"


def candidates(module: ModuleType) -> dict[str, Any]:
    """The QNodes, qlazy models and torch modules that a module defines, by name."""
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and (is_model(value) or _is_net_class(value, module))
    }


def is_model(value: object) -> bool:
    """Whether a value is a model as it stands: a Model, a torch module, or a QNode."""
    return isinstance(value, Model | nn.Module) or is_qnode(value)


def is_qnode(value: object) -> bool:
    """Without an import of PennyLane, which takes seconds: who made a QNode has imported it."""
    pennylane = sys.modules.get("pennylane")
    return pennylane is not None and isinstance(value, pennylane.QNode)


def _is_net_class(value: object, module: ModuleType) -> bool:
    own = inspect.isclass(value) and value.__module__ == module.__name__
    return own and issubclass(value, nn.Module)  # type: ignore[arg-type]
