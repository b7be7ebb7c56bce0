"""Kept results that are damaged and used again: what is not what was written must be refused or made anew.

``python -m tests.damage KIND COUNT SEED FOLDER``; KIND "all" shares COUNT among all. A case copies the folder of a
result, damages one file, and uses it: a job is started again in its folder, a result is loaded. Good is what a quiet
folder gives, to the byte, and a refusal (ValueError or OSError) that names the file. Anything else is a broken promise:
an answer that differs, another exception, more than a gigabyte of memory. Prints counts as JSON.

A file that is loaded by itself may be a whole one of another result: nobody said which was meant. These are counted
apart, as "another".
"""

from __future__ import annotations

import io
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.lib import format as npy
from tqdm import tqdm

import qlazy
from qlazy.base.storage import load_arrays, save_arrays
from tests.killing import finished_files
from tests.makers import curved_function, inputs

Fingerprint = dict[str, bytes]
MEMORY = 2**30
DIGESTS = ("files", "digest")
BATCH = 20
"""Cases of a child process."""


class Kind(NamedTuple):
    """How a result comes into a folder, by a variant of its settings; and what using the folder gives."""

    make: Callable[[Path, int], object]
    use: Callable[[Path], Fingerprint]
    alone: bool = False
    """Whether a file is loaded by its name, with nothing that says which is meant."""


# -- results -------------------------------------------------------------------------------------------------------


def _data() -> qlazy.Dataset:
    return qlazy.load_data("digits", features=3, train=10, test=10)


def compare(folder: Path, variant: int = 0) -> object:
    return qlazy.compare(
        {"net": qlazy.mlp([3, 2, 1])}, _data(), alphas=(1, 10), seeds=(variant,), steps=3, out=folder, progress=False
    )  # fmt: skip


def check(folder: Path, variant: int = 0) -> object:
    return qlazy.check(
        qlazy.mlp([3, 2, 1]), _data(), panels=("lazy",), alphas=(1, 10), seeds=2, steps=3 + variant, out=folder,
        progress=False,
    )  # fmt: skip


def tiles(folder: Path, variant: int = 0) -> object:
    model, params, _ = curved_function()
    return qlazy.tiled_kernel(
        model, params, inputs(5, 3) + variant, store=folder, tile=2, workers=1, progress=False
    )  # fmt: skip


def subset(folder: Path, variant: int = 0) -> object:
    return qlazy.select_subset(
        qlazy.mlp([3, 2, 1]), _data(), selector=qlazy.subset.SmallLoss(), epochs=2, batch_size=5, seed=variant,
        out=folder, progress=False,
    )  # fmt: skip


def study(folder: Path, variant: int = 0) -> object:
    from qlazy.base.tables import Table
    from qlazy.studies.experiments import Outcome, carry_out
    from qlazy.studies.result import Finding
    from tests.studies.test_result import Sizes

    def outcome(name: str) -> Outcome:
        finding = Finding(name, "third", 1.0 + variant, 1 / 3, relation="")
        return Outcome([finding], {name: np.array([1 / 3, variant])}, [Table(name, ("a",), (("1",),))])

    parts = {name: lambda name=name: outcome(name) for name in ("first", "second")}
    return carry_out("none", Sizes(3 + variant), parts, lambda result: {}, out=folder, progress=False)


def contents_of(folder: Path) -> Fingerprint:
    """Of files of arrays what is read from them: not all that a zip holds is looked at, but by digests of files."""
    found = finished_files(folder)
    if "comparison.json" in found:
        index = {
            name: value for name, value in json.loads(found["comparison.json"]).items() if name not in DIGESTS
        }
        found["comparison.json"] = json.dumps(index).encode()
    for name in found:
        if name.endswith(".npz"):
            arrays, settings = load_arrays(folder / name)
            parts = [
                (key, arrays[key].dtype.str, arrays[key].shape, arrays[key].tobytes())
                for key in sorted(arrays)
            ]
            found[name] = repr((parts, settings)).encode()
    return found


def again(job: Callable[[Path], object]) -> Callable[[Path], Fingerprint]:
    """What a folder holds after the job was started again in it."""

    def use(folder: Path) -> Fingerprint:
        job(folder)
        return contents_of(folder)

    return use


def loaded(load: Callable[[Path], object]) -> Callable[[Path], Fingerprint]:
    """What a loaded result saves: equal values give equal bytes."""

    def use(folder: Path) -> Fingerprint:
        value = load(folder)
        with tempfile.TemporaryDirectory() as copy:
            value.save(Path(copy, "copy"))  # type: ignore[attr-defined]
            one = Path(copy, "copy")
            return {"": one.read_bytes()} if one.is_file() else finished_files(one)

    return use


def of_tiles(folder: Path) -> Fingerprint:
    return {"": qlazy.TiledKernel.load(folder).to_dense().numpy().tobytes()}


def tiles_again(folder: Path) -> Fingerprint:
    """Tiles that are there are held to their seals when they are read."""
    tiles(folder)
    return of_tiles(folder)


def _history(folder: Path, variant: int = 0) -> None:
    model = qlazy.mlp([3, 2, 1])
    trained = qlazy.train(model, model.init(variant), _data(), steps=3)
    trained.save(folder / "history.npz")


def _subset_file(folder: Path, variant: int = 0) -> None:
    found = qlazy.select_subset(
        qlazy.mlp([3, 2, 1]), _data(), selector=qlazy.subset.SmallLoss(), epochs=2, batch_size=5, seed=variant,
        progress=False,
    )  # fmt: skip
    found.save(folder / "subset.npz")


def _self_trained(folder: Path, variant: int = 0) -> None:
    found = qlazy.self_train(
        qlazy.mlp([3, 2, 1]), _data(), inputs(6, 3), steps=4, warmup=2, seed=variant, progress=False
    )
    found.save(folder / "self_trained.npz")


def _trainability(folder: Path, variant: int = 0) -> None:
    circuit = qlazy.load_circuit("hardware_efficient", n=2, layers=1)
    qlazy.trainability(circuit, samples=10, seed=variant, progress=False).save(folder)


def _features(folder: Path, variant: int = 0) -> None:
    qlazy.compare(
        {"net": qlazy.mlp([3, 2, 1])}, _data(), alphas=(1,), seeds=(variant, 2), steps=3, features=True,
        progress=False,
    ).save(folder)  # fmt: skip


KINDS: dict[str, Kind] = {
    "compare": Kind(compare, again(compare)),
    "check": Kind(check, again(check)),
    "tiles": Kind(tiles, tiles_again),
    "subset": Kind(subset, again(subset)),
    "study": Kind(study, again(study)),
    "comparison": Kind(compare, loaded(qlazy.Comparison.load)),
    "features": Kind(_features, loaded(qlazy.Comparison.load)),
    "verdict": Kind(check, loaded(qlazy.Verdict.load)),
    "store": Kind(tiles, of_tiles),
    "history": Kind(_history, loaded(lambda folder: qlazy.History.load(folder / "history.npz")), alone=True),
    "trainability": Kind(_trainability, loaded(qlazy.Trainability.load), alone=True),
    "chosen": Kind(
        _subset_file, loaded(lambda folder: qlazy.subset.Subset.load(folder / "subset.npz")), alone=True
    ),
    "self-trained": Kind(
        _self_trained,
        loaded(lambda folder: qlazy.self_training.SelfTrained.load(folder / "self_trained.npz")),
        alone=True,
    ),
}


# -- damage --------------------------------------------------------------------------------------------------------


def flipped(path: Path, others: list[Path], rng: random.Random) -> None:
    contents = bytearray(path.read_bytes())
    if contents:
        contents[rng.randrange(len(contents))] ^= 1 << rng.randrange(8)
    path.write_bytes(contents)


def cut(path: Path, others: list[Path], rng: random.Random) -> None:
    contents = path.read_bytes()
    path.write_bytes(contents[: rng.randrange(len(contents) or 1)])


def zeroed(path: Path, others: list[Path], rng: random.Random) -> None:
    contents = bytearray(path.read_bytes())
    start = rng.randrange(len(contents) or 1)
    end = min(len(contents), start + rng.randint(1, 64))
    contents[start:end] = bytes(end - start)
    path.write_bytes(contents)


def swapped(path: Path, others: list[Path], rng: random.Random) -> None:
    """Two pieces of a file exchanged."""
    contents = bytearray(path.read_bytes())
    size = rng.randint(1, max(1, len(contents) // 4))
    if len(contents) >= 2 * size:
        first, second = sorted(rng.sample(range(len(contents) // size), 2))
        first, second = first * size, second * size
        pieces = contents[first : first + size], contents[second : second + size]
        contents[second : second + size], contents[first : first + size] = pieces
    path.write_bytes(contents)


def longer(path: Path, others: list[Path], rng: random.Random) -> None:
    contents = bytearray(path.read_bytes())
    place = rng.choice((0, len(contents), rng.randrange(len(contents) + 1)))
    contents[place:place] = rng.randbytes(rng.randint(1, 40))
    path.write_bytes(contents)


def noise(path: Path, others: list[Path], rng: random.Random) -> None:
    path.write_bytes(rng.randbytes(rng.choice((0, 1, 40, 4000))))


def exchanged(path: Path, others: list[Path], rng: random.Random) -> None:
    """Another file of its kind stands under its name, of the same folder or of one with other settings."""
    alike = [p for p in others if p.suffix == path.suffix and p.name == path.name] or others
    path.write_bytes(rng.choice(alike).read_bytes())


def removed(path: Path, others: list[Path], rng: random.Random) -> None:
    path.unlink()


def a_folder(path: Path, others: list[Path], rng: random.Random) -> None:
    path.unlink()
    path.mkdir()


def a_link(path: Path, others: list[Path], rng: random.Random) -> None:
    path.unlink()
    path.symlink_to(rng.choice((path.parent, path.parent / "nowhere", path, Path("/dev/null"))))


def rewritten(path: Path, others: list[Path], rng: random.Random) -> None:
    """A whole file, as qlazy writes them, whose contents are not those of a result."""
    if path.suffix == ".npz":
        _other_arrays(path, rng)
    else:
        _other_json(path, rng)


def unsealed(path: Path, others: list[Path], rng: random.Random) -> None:
    """As :func:`rewritten`, without the digest or with the old one."""
    if path.suffix != ".npz":
        noise(path, others, rng)
        return
    members = _members(path)
    name = rng.choice(sorted(members))
    change = rng.choice(("drop", "rename", "noise", "deflate", "pickle", "huge"))
    if change == "drop":
        del members[name]
    elif change == "rename":
        members[rng.choice(sorted(members))] = members.pop(name)
    elif change == "noise":
        members[name] = rng.randbytes(len(members[name]))
    elif change == "pickle":
        members[name] = b"\x80\x04\x95" + rng.randbytes(20)
    elif change == "huge":
        head = io.BytesIO()
        npy.write_array_header_1_0(
            head, {"descr": "<f8", "fortran_order": False, "shape": (rng.choice((2**20, 2**33, 2**61)), 7)}
        )
        members[name] = head.getvalue()
    _write(path, members, deflated=change == "deflate")


def bomb(path: Path, others: list[Path], rng: random.Random) -> None:
    """Half a megabyte that unpacks to half a gigabyte, or JSON nested a hundred thousand deep."""
    if path.suffix != ".npz":
        path.write_bytes(rng.choice((b"[" * 10**5, b'{"a":' * 10**5, b"9" * 10**6)))
        return
    members = _members(path)
    name = rng.choice([n for n in members if n.endswith(".npy")] or sorted(members))
    head = io.BytesIO()
    npy.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (2**26,)})
    members[name] = head.getvalue() + bytes(2**29)
    _write(path, members, deflated=True)


DAMAGES = {
    damage.__name__: damage
    for damage in (
        flipped, cut, zeroed, swapped, longer, noise, exchanged, removed, a_folder, a_link, rewritten, unsealed, bomb,
    )
}  # fmt: skip
RARE = {"bomb": 0.02}
"""Weights of damages other than 1: a bomb takes half a second to make."""
ODD = (None, True, -1, 10**9, 1e308, "", "x" * 1000, [], {}, [[[]]], {"a": {"b": None}})


def _members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _write(path: Path, members: dict[str, bytes], deflated: bool) -> None:
    kind = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, contents in members.items():
            archive.writestr(zipfile.ZipInfo(name), contents, kind, 1)


def _other_arrays(path: Path, rng: random.Random) -> None:
    members = _members(path)
    settings = json.loads(members["settings.json"])
    arrays = {n[:-4]: npy.read_array(io.BytesIO(b)) for n, b in members.items() if n.endswith(".npy")}
    name = rng.choice(sorted(arrays) or ["none"])
    changes: dict[str, Callable[[np.ndarray], np.ndarray | None]] = {
        "gone": lambda a: None,
        "short": lambda a: a[: len(a) // 2] if a.ndim else a[None],
        "long": lambda a: np.concatenate([a, a]) if a.ndim else np.stack([a, a]),
        "flat": lambda a: a.reshape(-1, 1, 1, 1),
        "text": lambda a: np.full(a.shape, "text"),
        "complex": lambda a: a.astype(complex) + 1j if a.dtype.kind in "biuf" else a[:0],
        "empty": lambda a: np.zeros((0, *a.shape[1:]), a.dtype) if a.ndim else np.zeros(0, a.dtype),
    }
    if name in arrays and rng.random() < 0.6:
        changed = changes[rng.choice(sorted(changes))](arrays[name])
        arrays = (
            {**arrays, name: changed} if changed is not None else {k: arrays[k] for k in arrays if k != name}
        )
    else:
        _spoil(settings, rng)
    try:
        save_arrays(path, arrays, settings)
    except (TypeError, ValueError):  # nothing that can be written
        path.write_bytes(b"")


def _other_json(path: Path, rng: random.Random) -> None:
    from qlazy.base.storage import write_json

    try:
        value = json.loads(path.read_bytes())
        own = value.pop("digest", None)
    except (ValueError, AttributeError):  # no JSON, or no mapping
        noise(path, [], rng)
        return
    _spoil(value, rng)
    if own is None:
        path.write_text(json.dumps(value))
    else:
        write_json(path, value)


def _spoil(value: dict, rng: random.Random) -> None:
    """Take something out, or put something odd in its place, at any depth."""
    holder: dict | list = value
    while True:
        if not holder:
            return
        key = rng.choice(sorted(holder)) if isinstance(holder, dict) else rng.randrange(len(holder))
        inner = holder[key]  # type: ignore[index, call-overload]
        if isinstance(inner, dict | list) and inner and rng.random() < 0.7:
            holder = inner
            continue
        if rng.random() < 0.3:
            del holder[key]  # type: ignore[arg-type]
        else:
            holder[key] = rng.choice(ODD)  # type: ignore[index, call-overload]
        return


# -- cases ---------------------------------------------------------------------------------------------------------


class Prepared(NamedTuple):
    """A kind with a quiet result, one of other settings, and what using the quiet one gives."""

    name: str
    kind: Kind
    quiet: Path
    other: Path
    expected: Fingerprint


def prepared(name: str, root: Path) -> Prepared:
    kind = KINDS[name]
    for variant, folder in enumerate(("quiet", "other")):
        (root / folder).mkdir(parents=True)
        kind.make(root / folder, variant)
    shutil.copytree(root / "quiet", root / "copy")
    expected = kind.use(root / "copy")
    shutil.rmtree(root / "copy")
    return Prepared(name, kind, root / "quiet", root / "other", expected)


def case(at: Prepared, seed: int, folder: Path) -> dict[str, object]:
    """One case, in ``folder``: what was damaged, and what came of it."""
    rng = random.Random(seed)
    shutil.copytree(at.quiet, folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path = rng.choice(files)
    others = [p for p in (*files, *sorted(at.other.rglob("*"))) if p.is_file() and p != path]
    damage = rng.choices(sorted(DAMAGES), [RARE.get(name, 1.0) for name in sorted(DAMAGES)])[0]
    DAMAGES[damage](path, others, rng)
    about = {"kind": at.name, "seed": seed, "damage": damage, "file": str(path.relative_to(folder))}
    return {**about, "outcome": _outcome(at, damage, folder)}


def _outcome(at: Prepared, damage: str, folder: Path) -> str:
    try:
        found = at.kind.use(folder)
    except (ValueError, OSError) as error:
        named = str(folder) in str(error)
        return "refused" if named else f"no file is named: {type(error).__name__}: {error}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    if found == at.expected:
        return "the same"
    if damage == "rewritten":  # whole and sealed anew: digests are no signatures
        return "forged"
    if at.kind.alone and damage == "exchanged":
        return "another"
    changed = sorted(n for n in found.keys() | at.expected.keys() if found.get(n) != at.expected.get(n))
    return f"accepted, with other {', '.join(changed)}"


GOOD = ("refused", "the same", "another", "forged")


def outcomes(at: Prepared, seeds: list[int], root: Path) -> Iterator[dict[str, object]]:
    """Cases in child processes of a few each, which may not take more than a gigabyte beyond what they start with."""
    for start in range(0, len(seeds), BATCH):
        some = seeds[start : start + BATCH]
        report = root / "report.jsonl"
        report.unlink(missing_ok=True)
        child = os.fork()
        if child == 0:
            _child(at, some, root, report)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        lines = report.read_text().splitlines() if report.exists() else []
        yield from map(json.loads, lines)
        if status or len(lines) != len(some):
            at_fault = {"kind": at.name, "seed": some[min(len(lines), len(some) - 1)]}
            yield {**at_fault, "outcome": f"the process ended with status {status}"}


def _child(at: Prepared, seeds: list[int], root: Path, report: Path) -> None:
    code = 1
    try:
        tqdm.monitor_interval = 0
        warnings.simplefilter("ignore")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with report.open("w") as file:
            for seed in seeds:
                folder = Path(tempfile.mkdtemp(dir=root)) / "case"
                found = case(at, seed, folder)
                grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
                if grown > MEMORY:
                    found["outcome"] = f"took {grown / 2**20:.0f} MiB"
                shutil.rmtree(folder.parent, ignore_errors=True)
                print(json.dumps({**found, "grown": grown}), file=file, flush=True)
        code = 0
    finally:
        os._exit(code)


def run(name: str, count: int, seed: int, root: Path) -> dict[str, object]:
    """Cases of a kind: counts of outcomes, and those that broke a promise."""
    start = time.perf_counter()
    at = prepared(name, root / name)
    seeds = [seed * 10**6 + i for i in range(count)]
    found = list(outcomes(at, seeds, root / name))
    bad = [one for one in found if one["outcome"] not in GOOD]
    counts = Counter(str(one["outcome"]) if one not in bad else "broken" for one in found)
    most = max((int(str(one.get("grown", 0))) for one in found), default=0)
    seconds = time.perf_counter() - start
    return {"kind": name, **counts, "MiB": most >> 20, "seconds": round(seconds, 1), "bad": bad}


def main(arguments: list[str]) -> int:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    which, count, seed, folder = arguments
    names = list(KINDS) if which == "all" else [which]
    broken = 0
    for index, name in enumerate(names):
        share = int(count) // len(names) + (index < int(count) % len(names))
        found = run(name, share, int(seed), Path(folder))
        broken += len(found["bad"])  # type: ignore[arg-type]
        print(json.dumps(found), flush=True)
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
