"""A benchmark as a table in Markdown: a row for each workload, how many times qlazy's median each tool takes."""

from __future__ import annotations

from collections.abc import Sequence

from qlazy.bench.results import OWN, Measurement, Report


def summary(report: Report) -> str:
    """The table, and below it what the machine and the tools were."""
    header = (
        "workload", "qlazy, s", "fastest peer, s", "times as long", "other peers, times as long", "first call, s"
    )  # fmt: skip
    rows = [_row(report, name) for name in report.titles]
    lines = [_line(header), _line(["---"] * len(header)), *map(_line, rows)]
    notes = [
        f"Medians of later calls, each with new parameters and inputs, tracing and all Python time included; "
        f"{report.caption}. The last column is what qlazy's first call in a fresh process takes beyond a later one, "
        "its code compiled before. Every result was held to qlazy's before it was timed.",
        f"Versions: {', '.join(f'{name} {version}' for name, version in sorted(_versions(report).items()))}.",
    ]
    return "\n".join(lines) + "\n\n" + "\n\n".join(notes) + "\n"


def _row(report: Report, name: str) -> list[str]:
    medians = report.medians(name)
    own = medians.pop(OWN, None)
    title = f"{name} {report.titles[name]}"
    if own is None:
        return [title, "-", "-", "-", "-", "-"]
    fastest, *others = medians.items() or [("-", float("nan"))]
    silent = [m for m in report.of(name) if m.median is None and not m.problem.startswith("not installed")]
    rest = [f"{tool} {_times(seconds / own)}" for tool, seconds in others]
    rest += [f"{m.tool} {m.problem}" for m in silent]
    first = next(m.first for m in report.of(name) if m.tool == OWN)
    return [
        title, f"{own:.2g}", f"{fastest[0]} {fastest[1]:.2g}", f"**{_times(fastest[1] / own)}**",
        ", ".join(rest), "-" if first is None else f"{first - own:.2f}",
    ]  # fmt: skip


def _times(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 9.95 else f"{ratio:.1f}"


def _versions(report: Report) -> dict[str, str]:
    timed: list[Measurement] = [m for m in report.measurements if m.median is not None]
    return {name: version for m in timed for name, version in m.versions.items()}


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
