"""Compiled code on disk, which is no reason to fail: what is damaged is compiled again, what cannot be kept is used.

A file for each entry point and signature, beside the sources or in the user's cache folder, where numba would put it.
It holds a digest of its contents, and is unpickled only where the two agree: a flipped bit in machine code would be
run otherwise. Digests tell mistakes; only the user should be able to write there.
"""

from __future__ import annotations

import pickle
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import numba
from numba.core.caching import FunctionCache
from numba.core.serialize import dumps

from qlazy.base.storage import atomic_write

_DIGEST = 32  # bytes


class KeptFiles:
    """What numba loads and saves compiled code by: the files of one entry point."""

    def __init__(self, folder: Path, name: str, stamp: object) -> None:
        self.folder, self.name, self.stamp = folder, name, stamp

    def path(self, key: object) -> Path:
        """The file of a signature on this processor, with this numba."""
        about = repr((numba.__version__, sys.version, self.stamp, key))
        return self.folder / f"{self.name}.{sha256(about.encode()).hexdigest()[:16]}.nbc"

    def load(self, key: object) -> Any:
        """What was kept, or None. Raises ValueError for a file that is not as it was written."""
        try:
            contents = self.path(key).read_bytes()
        except FileNotFoundError:
            return None
        digest, data = contents[:_DIGEST], contents[_DIGEST:]
        if sha256(data).digest() != digest:
            raise ValueError("it is not as it was written")
        return pickle.loads(data)

    def save(self, key: object, data: object) -> None:
        """Keep it, whole or not at all."""
        contents = dumps(data)
        with atomic_write(self.path(key)) as file:
            file.write(sha256(contents).digest() + contents)

    def flush(self) -> None:
        """Forget all that was kept of this entry point."""
        for path in self.folder.glob(f"{self.name}.*.nbc"):
            path.unlink(missing_ok=True)


class KeptCode(FunctionCache):
    """numba's cache of an entry point, which never raises: it says once why code is compiled again."""

    _said: ClassVar[set[str]] = set()

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        locator = self._impl.locator
        place, stamp = Path(locator.get_cache_path()), locator.get_source_stamp()
        self._cache_file: Any = KeptFiles(place, self._impl.filename_base, stamp)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled code, or None where there is none that can be used."""
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:
            self._say("compiled code on disk is damaged and made anew", error)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep compiled code; where that fails it is there for this process alone."""
        try:
            super().save_overload(sig, data)
        except Exception as error:
            self._say("compiled code cannot be kept on disk, and is compiled again next time", error)

    def _say(self, what: str, error: Exception) -> None:
        if what not in self._said:
            self._said.add(what)
            reason = str(error) or type(error).__name__
            print(f"qlazy: {what} ({self._cache_path}): {reason}", file=sys.stderr)
