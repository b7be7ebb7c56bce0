"""What a command found as one JSON document: ``--json`` prints it on stdout, and everything else on stderr."""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

import numpy as np
from torch import Tensor

from qlazy.base.version import __version__

SCHEMA = 1
"""Counted up where a name of a document changes its meaning or goes."""


def add_json(parser: argparse.ArgumentParser) -> None:
    """Whether the result is printed as JSON."""
    parser.add_argument(
        "--json", action="store_true", help="print the result as one JSON document, and words on stderr"
    )


def printed(arguments: argparse.Namespace, code: int) -> str:
    """The document of a command that has run, as text: names in order, numbers in full, one line break at the end."""
    document = {
        "qlazy": __version__,
        "schema": SCHEMA,
        "command": arguments.command,
        "exit_code": code,
        "result": getattr(arguments, "document", {}),
    }
    return json.dumps(plain(document), indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """A value as JSON knows it: NaN as null, infinity as "Infinity" and "-Infinity", arrays as lists."""
    if isinstance(value, Tensor):
        return plain(value.detach().cpu().numpy())
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return value if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(name): plain(entry) for name, entry in value.items()}
    return [plain(entry) for entry in value]
