"""The runs of a comparison as tasks: which are missing, which are made side by side, and by which workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from qlazy.base.execution import Results, in_processes, on_cluster, on_threads, progress_bar
from qlazy.comparison.compare.seeded import SeededModel
from qlazy.comparison.run import Run, is_saved
from qlazy.training.effort import count_kept, count_run, timed
from qlazy.training.lanes import Lane, Outcome, train_lanes

if TYPE_CHECKING:
    from qlazy.base.execution import Client


class RunTask(NamedTuple):
    """One run: of the seeded model in this place, at one scale, kept in a folder if there is one."""

    which: int
    alpha: float
    folder: Path | None

    def kept(self, seeded: Sequence[SeededModel]) -> Path:
        """The folder of the run itself."""
        assert self.folder is not None
        return self.folder / "runs" / seeded[self.which].key(self.alpha)


def tasks_of(seeded: Sequence[SeededModel], alphas: Iterable[float], folder: Path | None) -> list[RunTask]:
    """A task for each model and scale, kept in a folder unless its model cannot be told from others."""
    kept = [None if folder is None or one.told is None else folder for one in seeded]
    return [RunTask(index, float(alpha), kept[index]) for index in range(len(seeded)) for alpha in alphas]


def make_runs(seeded: Sequence[SeededModel], tasks: Sequence[RunTask]) -> list[Run | None]:
    """As :func:`make_runs_here`; one that is saved is not handed back, for whoever reads it finds it in its folder."""
    made = make_runs_here(seeded, tasks)
    return [run if task.folder is None else None for task, run in zip(tasks, made, strict=True)]


def make_runs_here(seeded: Sequence[SeededModel], tasks: Sequence[RunTask]) -> list[Run | None]:
    """Make runs of one model on the same data side by side, where that is possible, and one after another otherwise.

    One with a folder is saved; None stands for one that is there by now.
    """
    wanted = [task for task in tasks if task.folder is None or not is_saved(task.kept(seeded))]
    with timed():
        outcomes = _side_by_side(seeded, wanted, SeededModel.lane)
    trained = [task for task in wanted if not seeded[task.which].anchor.is_exact]  # all of them or none
    linear = _side_by_side(seeded, trained, SeededModel.linear_lane) or [None] * len(wanted)
    made: dict[RunTask, Run] = {}
    for i, task in enumerate(wanted):
        one = seeded[task.which]
        made[task] = one.run(task.alpha, _trained(one, task.alpha, outcomes[i]), linear[i])
        if task.folder is not None:
            made[task].save(task.kept(seeded))
    return [made.get(task) for task in tasks]


def _trained(one: SeededModel, alpha: float, outcome: Outcome | None) -> Outcome:
    """The run, trained unless it has been, and counted where somebody watches."""
    if outcome is None:
        with timed():
            outcome = one.train(alpha)
    count_run(one.model, one.initial, one.data.x_train, one.anchor.method, outcome.trace)
    return outcome


def _side_by_side(
    seeded: Sequence[SeededModel], tasks: Sequence[RunTask], lane: Callable[[SeededModel, float], Lane]
) -> Sequence[Outcome | None]:
    """What each task's lane came to; None for all where there are no lanes."""
    if not tasks:
        return []
    one, lanes = seeded[tasks[0].which], [lane(seeded[task.which], task.alpha) for task in tasks]
    found = train_lanes(lanes, one.data, steps=one.steps, loss=one.loss, record=one.record)
    return [None] * len(tasks) if found is None else found


def _groups(seeded: Sequence[SeededModel], tasks: Sequence[RunTask], workers: int) -> list[list[int]]:
    """The places of tasks of one model on the same data, in as many groups as there are workers or more."""
    groups: dict[tuple[str, int], list[int]] = {}
    for place, task in enumerate(tasks):
        one = seeded[task.which]
        groups.setdefault((one.name, id(one.data)), []).append(place)
    found = []
    for group in groups.values():
        size = -(-len(group) // workers)
        found += [group[i : i + size] for i in range(0, len(group), size)]
    return found


def all_runs(
    seeded: Sequence[SeededModel],
    tasks: Sequence[RunTask],
    workers: int,
    client: Client | None,
    progress: bool,
) -> list[tuple[str, Run]]:
    """Every task's run with its key, in the order of the tasks; only those that are missing are made."""
    missing = [i for i, task in enumerate(tasks) if task.folder is None or not is_saved(task.kept(seeded))]
    count_kept(len(tasks) - len(missing), len(tasks))
    made: dict[int, Run] = {}
    bar = progress_bar(total=len(tasks), initial=len(tasks) - len(missing), unit="run", progress=progress)
    with bar:
        left = [tasks[i] for i in missing]
        groups = _groups(
            seeded, left, workers if client is None else len(client.scheduler_info()["workers"]) or 1
        )
        for index, runs in _made(seeded, [[left[i] for i in group] for group in groups], workers, client):
            for place, run in zip(groups[index], runs, strict=True):
                if run is not None:
                    made[missing[place]] = run
            one = seeded[left[groups[index][0]].which]
            bar.set_description(one.name, refresh=False)
            bar.update(len(runs))
    return [
        (
            seeded[task.which].key(task.alpha),
            made[i] if i in made else seeded[task.which].kept(task.alpha, task.kept(seeded)),
        )
        for i, task in enumerate(tasks)
    ]


def _made(
    seeded: Sequence[SeededModel], tasks: Sequence[Sequence[RunTask]], workers: int, client: Client | None
) -> Results:
    if client is not None:
        return on_cluster(make_runs, seeded, tasks, client)
    if workers > 1:
        return in_processes(make_runs, seeded, tasks, workers)
    return on_threads(make_runs_here, seeded, tasks, 1)
