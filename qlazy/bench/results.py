"""What a benchmark found: values, their table, and their JSON beside a figure."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from qlazy.base.storage import atomic_write

OWN = "qlazy"


@dataclass(frozen=True)
class Measurement:
    """One tool on one workload: seconds of the first call, tracing and compiling included, and of later ones.

    ``problem`` says why there are no times, or not all of them. ``error`` is how far the result was from
    the reference, relative to its largest entry or 1; ``words`` are those that a Pauli propagation left, ``flops``
    what a call of qlazy takes at least, where that is counted.
    """

    tool: str
    workload: str
    way: str = ""
    dtype: str = "float64"
    first: float | None = None
    later: tuple[float, ...] = ()
    problem: str = ""
    error: float | None = None
    import_seconds: float | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    words: int | None = None
    flops: int | None = None

    @property
    def median(self) -> float | None:
        return statistics.median(self.later) if self.later else None

    def __str__(self) -> str:
        problem = f"  {self.problem}" if self.problem else ""
        return f"{self.tool}: first {_seconds(self.first)}, later {_seconds(self.median)}{problem}"


@dataclass(frozen=True)
class Report:
    """All measurements, what the workloads are, how and where they were run."""

    measurements: tuple[Measurement, ...]
    titles: Mapping[str, str]
    settings: Mapping[str, Any]
    machine: Mapping[str, Any]
    published: Mapping[str, int] = field(default_factory=dict)
    """Words that others have published to be left, by workload."""

    def table(self) -> str:
        """A block for each workload, the fastest tool first: seconds, and how many times qlazy's they are."""
        return "\n\n".join([self._heading(), *(self._block(name) for name in self.titles)])

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write ``bench.json`` with every single time, ``bench.md`` with a row a workload, and a figure.

        Returns the paths.
        """
        from qlazy.bench.figure import bench_figure
        from qlazy.drawing.files import save

        texts = {
            "bench.json": json.dumps(self.to_json(), indent=1, ensure_ascii=False),
            "bench.md": summary(self),
        }
        paths = [Path(folder) / name for name in texts]
        for path in paths:
            with atomic_write(path) as file:
                file.write(texts[path.name].encode())
        times = {name: self.medians(name) for name in self.titles}
        if not any(times.values()):
            return paths
        return [*paths, *save(bench_figure(times, self.caption), Path(folder), "bench")]

    @staticmethod
    def load(folder: str | os.PathLike[str]) -> Report:
        """What :meth:`save` left in a folder."""
        found = json.loads((Path(folder) / "bench.json").read_text())
        names = [field.name for field in fields(Measurement)]
        measurements = [{n: entry[n] for n in names if n in entry} for entry in found["measurements"]]
        described = found["workloads"].items()
        return Report(
            measurements=tuple(Measurement(**{**m, "later": tuple(m["later"])}) for m in measurements),
            titles={name: about["title"] for name, about in described},
            settings=found["settings"],
            machine=found["machine"],
            published={n: about["published"] for n, about in described if about.get("published")},
        )

    def after(self, earlier: Report) -> Report:
        """This report, and those workloads of an earlier one that were not run again."""
        kept = tuple(m for m in earlier.measurements if m.workload not in self.titles)
        titles = {**earlier.titles, **self.titles}
        return replace(
            self,
            measurements=kept + self.measurements,
            titles={name: titles[name] for name in sorted(titles)},
            published={**earlier.published, **self.published},
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values of everything, with medians and minima."""
        return {
            "machine": dict(self.machine),
            "settings": dict(self.settings),
            "workloads": {
                name: {"title": title, "published": self.published.get(name)}
                for name, title in self.titles.items()
            },
            "measurements": [
                {**asdict(m), "median": m.median, "min": min(m.later, default=None)}
                for m in self.measurements
            ],
        }

    def of(self, workload: str) -> tuple[Measurement, ...]:
        """The measurements of a workload in the dtype of the run, the fastest first."""
        found = [m for m in self.measurements if m.workload == workload and m.dtype == self.settings["dtype"]]
        return tuple(sorted(found, key=lambda m: (m.median is None, m.median, m.tool != OWN)))

    def medians(self, workload: str) -> dict[str, float]:
        """Seconds of a later call by tool, the fastest first."""
        return {m.tool: m.median for m in self.of(workload) if m.median is not None}

    def _heading(self) -> str:
        return (
            f"{self.caption}\n"
            "Seconds: first call (tracing and compiling included), median and minimum of later ones on new "
            "parameters and inputs;\n/qlazy: how many times qlazy's median. Every result was first held to qlazy's."
        )

    @property
    def caption(self) -> str:
        """What it ran on: cores, vector instructions, threads, precision."""
        parts = (
            _counted(self.machine["cores"], "core"), self.machine["vectors"],
            _counted(self.settings["threads"], "thread"), self.settings["dtype"],
        )  # fmt: skip
        return ", ".join(filter(None, parts))

    def _block(self, name: str) -> str:
        own = self.medians(name).get(OWN)
        rows = [("", "first", "median", "min", "/qlazy", ""), *(_row(m, own) for m in self.of(name))]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:5], widths[1:5]), row[5]]).rstrip()
            for row in rows
        ]
        return "\n".join([f"{name}  {self.titles[name]}", *lines, *self._notes(name)])

    def _notes(self, name: str) -> list[str]:
        own = next((m for m in self.of(name) if m.tool == OWN), None)
        if own is None or own.median is None or own.first is None:
            return []
        notes = []
        if name in self.published:
            notes.append(f"published: {self.published[name]:,} words; qlazy: {own.words:,}")
        notes.append(
            f"qlazy's first call in a fresh process, its code compiled: {own.first - own.median:.2f} s over later ones"
        )
        if own.flops is not None:
            rate = 1e-9 * own.flops / own.median
            notes.append(
                f"qlazy: {rate:.1f} GFLOP/s of adjoint sweep, all Python time included; a matrix product "
                f"reaches {self.machine['gflops']}"
            )
        for other in self.measurements:
            is_other = other.tool == OWN and other.workload == name and other.dtype != own.dtype
            if is_other and other.median is not None:
                notes.append(
                    f"qlazy in {other.dtype}: {_seconds(other.median)}, {own.median / other.median:.2f}x as fast"
                )
        return notes


def from_events(
    tool: str, workload: str, events: Iterable[Mapping[str, Any]], limit: float | None
) -> Measurement:
    """A measurement from what a worker said: the way with the least median of its later calls counts."""
    firsts: dict[str, Mapping[str, Any]] = {}
    later: dict[str, list[float]] = {}
    problems: list[str] = []
    about: Mapping[str, Any] = {}
    flops: int | None = None
    for event in events:
        match event["event"]:
            case "ready":
                about = event
            case "first":
                firsts[event["way"]] = event
            case "counted":
                flops = event["flops"]
            case "time":
                later.setdefault(event["way"], []).append(event["seconds"])
            case _:
                problems.append(_problem(event, limit, is_started=bool(firsts)))
    way = min(later, key=lambda way: statistics.median(later[way]), default=next(iter(firsts), ""))
    first = firsts.get(way, {})
    return Measurement(
        tool,
        workload,
        way,
        first=first.get("seconds"),
        later=tuple(later.get(way, ())),
        problem="; ".join(problems),
        error=first.get("error"),
        import_seconds=about.get("import_seconds"),
        versions=about.get("versions", {}),
        words=first.get("words"),
        flops=flops,
    )


def _problem(event: Mapping[str, Any], limit: float | None, *, is_started: bool) -> str:
    way = f"{event['way']}: " if event.get("way") else ""
    match event["event"]:
        case "missing":
            return f"not installed: {event['message']}"
        case "disagrees":
            return f"{way}refused, result off by {event['error']:.1e}"
        case "over limit":
            return f"{'stopped at' if is_started else '>'} {limit or 0:g} s"
        case _:
            return f"{way}failed: {event['message']}"


def _row(measurement: Measurement, own: float | None) -> tuple[str, ...]:
    median = measurement.median
    ratio = f"{median / own:.3g}" if median is not None and own else "-"
    shortest = min(measurement.later, default=None)
    words = "" if measurement.words is None else f"{measurement.words:,} words"
    remark = "; ".join(filter(None, [measurement.way, words, measurement.problem]))
    times = map(_seconds, (measurement.first, median, shortest))
    return (measurement.tool, *times, ratio, remark)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count > 1)}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def summary(report: Report) -> str:
    """The table, and below it what the machine and the tools were."""
    header = (
        "workload", "qlazy, s", "fastest peer, s", "times as long", "other peers, times as long", "first call, s"
    )  # fmt: skip
    rows = [_summary_row(report, name) for name in report.titles]
    lines = [_line(header), _line(["---"] * len(header)), *map(_line, rows)]
    notes = [
        f"Medians of later calls, each with new parameters and inputs, tracing and all Python time included; "
        f"{report.caption}. The last column is what qlazy's first call in a fresh process takes beyond a later one, "
        "its code compiled before. Every result was held to qlazy's before it was timed.",
        f"Versions: {', '.join(f'{name} {version}' for name, version in sorted(_versions(report).items()))}.",
    ]
    return "\n".join(lines) + "\n\n" + "\n\n".join(notes) + "\n"


def _summary_row(report: Report, name: str) -> list[str]:
    medians = report.medians(name)
    own = medians.pop(OWN, None)
    title = f"{name} {report.titles[name]}"
    if own is None:
        return [title, "-", "-", "-", "-", "-"]
    peers = list(medians.items())
    fastest = [(f"{tool} {time:.2g}", f"**{_times(time / own)}**") for tool, time in peers[:1]] or [
        ("-", "-")
    ]
    silent = [m for m in report.of(name) if m.median is None and not m.problem.startswith("not installed")]
    left = {m.tool: m.words for m in report.of(name) if m.words is not None}
    if name in report.published:
        published = report.published[name]
        same = [tool for tool, words in left.items() if words == published]
        title += f"; published {published:,} words, left by {', '.join(same) or 'none'}"
    rest = [f"{tool} {_times(seconds / own)}" for tool, seconds in peers[1:]]
    rest += [f"{m.tool} {m.problem}" for m in silent]
    first = next(m.first for m in report.of(name) if m.tool == OWN)
    return [
        title, f"{own:.2g}", *fastest[0],
        ", ".join(rest), "-" if first is None else f"{first - own:.2f}",
    ]  # fmt: skip


def _times(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 9.95 else f"{ratio:.1f}"


def _versions(report: Report) -> dict[str, str]:
    timed: list[Measurement] = [m for m in report.measurements if m.median is not None]
    return {name: version for m in timed for name, version in m.versions.items()}


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
