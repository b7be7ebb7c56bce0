"""A source text with positions, and the one error of the reader, which shows where it stands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from openqasm3 import ast

MAX_CHARACTERS = 1_000_000
_VERSION_2 = re.compile(r"(?:\s|//[^\n]*|/\*.*?\*/)*+OPENQASM\s+2(?:\.[0-9]+)?\s*;", re.DOTALL)


class QasmError(ValueError):
    """An OpenQASM text that cannot be read, with the place.

    ``file`` (None for a text without one), ``line`` and ``column`` (both from 1) and ``message``; the text of
    the exception also shows the line with a caret under the column.
    """

    def __init__(
        self, message: str, file: str | None = None, line: int = 1, column: int = 1, shown: str = ""
    ):
        self.message, self.file, self.line, self.column = message, file, line, column
        super().__init__(f"{file or '<text>'}:{line}:{column}: {message}{shown}")


def is_file(path: Path) -> bool:
    """Whether there is a file at ``path``; no for what cannot be a path at all."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


class Source:
    """A text and where it came from."""

    def __init__(self, text: str, path: Path | None = None, include_from: Sequence[Path] = ()):
        self.path = path
        self.include_from = (*(() if path is None else (path.parent,)), *include_from)
        """The folders whose files may be included: that of the file itself, and those given."""
        self.file = None if path is None else str(path)
        self.text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        self.lines = self.text.split("\n")
        self.version_2 = _VERSION_2.match(self.text) is not None  # set too where one that includes it says so
        self._check()

    @staticmethod
    def read(path: Path, include_from: Sequence[Path] = ()) -> Source:
        """The file at ``path``; a missing, huge or binary file is a `QasmError`."""
        try:
            with path.open("rb") as stream:
                content = stream.read(4 * MAX_CHARACTERS + 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise QasmError(f"cannot be read: {reason}", str(path)) from error
        try:
            return Source(content[: 4 * MAX_CHARACTERS].decode("utf-8"), path, include_from)
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            column = error.start - content.rfind(b"\n", 0, error.start)
            message = f"not a text file: byte 0x{content[error.start]:02x} is not UTF-8"
            raise QasmError(message, str(path), line, column) from error

    def included(self, name: str) -> Path | None:
        """The file that ``include "name"`` stands for: beside this one, or in a folder that is allowed; None for none.

        Raises PermissionError for a file outside of the folders that are allowed, links followed, unread.
        """
        beside = () if self.path is None else (self.path.parent,)
        found = [place / name for place in (*beside, *self.include_from) if is_file(place / name)]
        allowed = [folder.resolve() for folder in self.include_from]
        inside = [path for path in found if any(path.resolve().is_relative_to(folder) for folder in allowed)]
        if found and not inside:
            raise PermissionError(name)
        return inside[0] if inside else None

    def _check(self) -> None:
        if len(self.text) > MAX_CHARACTERS:
            raise QasmError(f"the text must be at most {MAX_CHARACTERS:,} characters long", self.file)
        if "\0" in self.text:
            line = self.text.count("\n", 0, self.text.index("\0")) + 1
            column = self.lines[line - 1].index("\0") + 1
            raise QasmError("not a text file: it holds a NUL character", self.file, line, column)

    def error(self, message: str, line: int, column: int) -> QasmError:
        """An error at ``line`` (from 1) and ``column`` (from 0, as the parser counts)."""
        shown = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        column = max(0, min(column, len(shown)))
        start = max(0, column - 80)
        # Tabs stay tabs below the line, so that the caret stays below its character.
        margin = re.sub(r"[^\t]", " ", shown[start:column])
        excerpt = f"\n    {shown[start : start + 160]}\n    {margin}^"
        return QasmError(message, self.file, line, column + 1, excerpt)

    def error_at(self, node: ast.QASMNode, message: str) -> QasmError:
        """An error at the start of ``node``."""
        if node.span is None:
            return self.error(message, 1, 0)
        line, column = node.span.start_line, node.span.start_column
        if isinstance(node, ast.Identifier):
            column = self._column_of_name(node.name, line, column)
        return self.error(message, line, column)

    def _column_of_name(self, name: str, line: int, column: int) -> int:
        """Undo a flaw of the parser: the column of some names is their offset in the whole text."""
        if not 0 < line <= len(self.lines):
            return column
        relative = column - sum(len(text) + 1 for text in self.lines[: line - 1])
        return relative if self.lines[line - 1].startswith(name, relative) and relative >= 0 else column

    def header(self) -> str:
        """The comment block at the head of the text, without its markers."""
        comments = []
        for line in self.lines:
            stripped = line.strip()
            if stripped.startswith("//"):
                comments.append(stripped.removeprefix("//").removeprefix(" ").rstrip())
            elif comments or not re.fullmatch(r"(OPENQASM\b[^;]*;)?", stripped):
                break
        return "\n".join(comments)
