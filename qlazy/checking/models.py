"""Models as people have them: QNodes, torch modules, specs, callables that make one."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from qlazy.base.errors import refuse, require
from qlazy.checking.targets import is_model, is_python, is_qnode, load_target
from qlazy.comparison.specs import build_models, require_readable
from qlazy.data.datasets import Dataset
from qlazy.models.model import Model
from qlazy.models.nets import Net
from qlazy.quantum.interop.kinds import refuse_circuits_of_other_tools

Shapes = Mapping[str, int | Sequence[int]]


def named_model(
    model: object, data: Dataset, shapes: Shapes | None = None, inputs: str | None = None
) -> tuple[str, Model]:
    """A model with a name to speak of it, of anything that is one; see :func:`qlazy.check`."""
    if isinstance(model, str):
        if not is_python(model):
            require_readable(model)
            require(shapes is None, "shapes", "be absent for a program, which declares its own", shapes)
            ((name, built),) = build_models([model], data).items()
            return name, built
        loaded = load_target(model)
        return _loaded_name(model, loaded), _model(loaded, shapes, inputs)
    return _name(model), _model(model, shapes, inputs)


def named_models(
    texts: Sequence[str], data: Dataset, shapes: Shapes | None = None, inputs: str | None = None
) -> dict[str, Model]:
    """Models by name, of texts that each name one: a spec, or ``file.py:name``, which gets the short name.

    ``shapes`` and ``inputs`` are those of the QNodes of Python files, each of which takes what it has an argument for.
    Raises ValueError for a text that names no model, is given twice or does not fit the data.
    """
    for text in texts:
        require(list(texts).count(text) == 1, "models", "be given once each", text)
    for text in texts:  # what cannot be read is told before what is run
        if not is_python(text):
            require_readable(text)
    loaded = {text: load_target(text) for text in texts if is_python(text)}
    told = _told_apart(list(loaded.values()), shapes, inputs)
    own = {
        text: (_loaded_name(text, value), _model(value, *part))
        for (text, value), part in zip(loaded.items(), told, strict=True)
    }
    programs = [text for text in texts if text not in own]
    built = build_models(programs, data, [model for _, model in own.values() if not isinstance(model, Net)])
    short = [name for name, _ in own.values()]
    named = {}
    for text in texts:
        name, model = own[text] if text in own else (text, built[text])
        named[name if short.count(name) + programs.count(name) == 1 else text] = model
    return named


def _loaded_name(text: str, loaded: object) -> str:
    return getattr(loaded, "__name__", "") or text.rpartition(":")[2] or type(loaded).__name__


def _told_apart(
    values: Sequence[Any], shapes: Shapes | None, inputs: str | None
) -> list[tuple[Shapes | None, str | None]]:
    """The shapes and the data argument of each of several models: of a QNode those it has an argument for.

    A function that makes a model gets all of them. Refuses what no model takes.
    """
    may_make_one = [not is_model(value) and not inspect.isclass(value) for value in values]
    arguments = [
        set(inspect.signature(value.func).parameters) if is_qnode(value) else set() for value in values
    ]
    known: set[str] = set().union(*arguments)
    if not any(may_make_one):
        must = f"name an argument of a QNode of a Python file ({', '.join(sorted(known)) or 'there is none'})"
        for name in shapes or ():
            require(name in known, "shapes", must, name)
        require(inputs is None or inputs in known, "inputs", must, inputs)
    return [
        (shapes, inputs)
        if maker
        else (
            {k: v for k, v in (shapes or {}).items() if k in own} or None,
            inputs if inputs in own else None,
        )
        for maker, own in zip(may_make_one, arguments, strict=True)
    ]


def _model(value: object, shapes: Shapes | None, inputs: str | None) -> Model:
    maker = None
    if not isinstance(value, nn.Module):  # a net takes PennyLane's TorchLayer itself
        refuse_circuits_of_other_tools("model", value)
    if not is_model(value) and callable(value):
        maker, value = value, _made(value)
    if is_qnode(value):
        from qlazy.quantum.interop.qnodes import circuit_of  # and PennyLane, which the QNode's maker imported

        return circuit_of(value, shapes, inputs)
    require(shapes is None, "shapes", "be absent where the model is no QNode", shapes)
    must = "be a QNode, a qlazy model, a torch module, a function that returns one of them, or a text that names one"
    require(isinstance(value, Model | nn.Module), "model", must, type(value).__name__, TypeError)
    return Net(maker or value) if isinstance(value, nn.Module) else value  # type: ignore[return-value]


def _made(maker: Any) -> object:
    must = "be a model, or return one without arguments (a circuit is a QNode: decorate it with qml.qnode)"
    name = getattr(maker, "__name__", "model")
    try:
        signature = inspect.signature(maker)
    except ValueError:  # of functions that are not written in Python
        refuse("model", must, name)
    variable = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    own = signature.parameters.values()
    needed = [p.name for p in own if p.default is p.empty and p.kind not in variable]
    require(not needed, "model", must, f"{name}({', '.join(needed)})")
    return maker()


def _name(model: object) -> str:
    inner = getattr(model, "qnode", model) if not is_qnode(model) else model
    function = getattr(inner, "func", None)
    program = getattr(model, "program", None)
    return (
        getattr(program, "name", None)
        or getattr(function, "__name__", None)
        or getattr(model, "__name__", None)
        or type(model).__name__.lower()
    )
