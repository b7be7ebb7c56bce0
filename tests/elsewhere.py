"""The suite as it runs for somebody else: ``python -m tests.elsewhere SEED [PART ...]``, parts of tests/.

From a copy that cannot be written to, by a user without rights or a home (where root starts it), with the locale of
Turkey (where it is installed), in an order of chance, on one core that another program keeps busy. Whatever of this
cannot be had is said. Ends with pytest's exit code, the first that is not 0.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
LOCALE = "tr_TR.UTF-8"
BUSY = "import os\nown = os.getppid()\nwhile os.getppid() == own: pass"  # ends with what started it
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", ".hypothesis", ".*_cache", "__pycache__", "build", "dist", "qlazy-out", "shared"
)


def locale() -> str:
    """The locale of Turkey, whose small I has no dot; the plainest where it is not installed, which is said."""
    import locale

    try:
        locale.setlocale(locale.LC_ALL, LOCALE)
    except locale.Error:
        print(f"the locale {LOCALE} is not installed: C in its place", flush=True)
        return "C"
    locale.setlocale(locale.LC_ALL, "C")
    return LOCALE


class User(NamedTuple):
    """Who runs the suite: options of a child process, and what stands before its command."""

    options: dict[str, Any] = {}  # noqa: RUF012 - not changed
    before: tuple[str, ...] = ()


def user() -> User:
    """Nobody; where nobody may not run this Python root without its capabilities; where there is no root, this user."""
    if os.getuid():
        print("not started by root: as this user, not as nobody", flush=True)
        return User()
    nobody = pwd.getpwnam("nobody")
    who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    try:
        subprocess.run([sys.executable, "-c", ""], check=True, cwd="/", **who)  # type: ignore[call-overload]
    except (OSError, subprocess.CalledProcessError):
        print("nobody may not run this Python: as root without capabilities", flush=True)
        return User({}, ("setpriv", "--bounding-set=-all", "--inh-caps=-all"))
    return User(who)


def unwritable(folder: Path) -> None:
    """Take away the right to write, from the owner too."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            readable = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH
            entered = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH
            path.chmod(readable | (entered if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0))


@contextmanager
def copied() -> Iterator[tuple[Path, Path]]:
    """A copy of the project that cannot be written to, and a folder for temporary files that can."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o755)
        copy, scratch = Path(place, "copy"), Path(place, "scratch")
        shutil.copytree(ROOT, copy, ignore=NOT_COPIED, symlinks=True)
        unwritable(copy)
        scratch.mkdir()
        scratch.chmod(0o777)
        try:
            yield copy, scratch
        finally:
            for path in (copy, *(path for path in copy.rglob("*") if path.is_dir())):
                path.chmod(0o755)


@contextmanager
def busy() -> Iterator[None]:
    """Another program on the same core, which never rests."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with subprocess.Popen([sys.executable, "-c", BUSY]) as other:
        try:
            yield
        finally:
            other.kill()


def main(arguments: list[str]) -> int:
    seed, *parts = arguments
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    who, language = user(), locale()
    worst = 0
    with copied() as (copy, scratch), busy():
        environment = {
            **kept, "LC_ALL": language, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(copy), "TMPDIR": str(scratch),
            "HOME": "/nonexistent",
            "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip
        for part in parts or ["tests"]:
            command = [
                *who.before, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                "-p", "tests.shuffling", "--shuffle", seed, part,
            ]  # fmt: skip
            code = subprocess.run(command, cwd=copy, env=environment, **who.options).returncode
            worst = worst or code
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
