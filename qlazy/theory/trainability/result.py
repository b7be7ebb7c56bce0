"""What the question "is it flat?" leaves: figures, a decision, sentences, a table, a plot, files."""

from __future__ import annotations

import html
import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, final

import torch

from qlazy.base.errors import folder_of
from qlazy.base.storage import load_arrays, read_as, save_arrays
from qlazy.base.tables import Table
from qlazy.theory.trainability.algebra import LieAlgebra
from qlazy.theory.trainability.concentration import Concentration
from qlazy.theory.trainability.expressibility import Expressibility
from qlazy.theory.trainability.fisher import FisherSpectrum
from qlazy.theory.trainability.gradients import GradientVariance, Measured
from qlazy.theory.trainability.scaling import POWER, RATE, RESOLVED, Scaling

if TYPE_CHECKING:
    from qlazy.drawing.style import Figure, Place, Style

Decision = Literal["flat", "not flat", "undecided", "one size"]

NAME = "trainability.npz"

CALLED = {"fisher": "quantum Fisher information", "algebra": "Lie algebra"}
"""What is said for the name of a figure."""

NARROW = 20
"""Up to so many qubits 2^-n is a number to read beside a variance, and 4^n - 1 one to read at all."""

CAPTION = (
    "Flat: the largest variance of a derivative over uniform angles vanishes exponentially with the number of qubits, "
    "whatever power of it is allowed beside. Not flat: it does not vanish (at most "
    f"{RATE:g} halvings a qubit and n^-{POWER:g}, at 95 %), or falls as a power (an exponential beside it at most "
    f"{RATE:g}). Undecided: the intervals allow neither, a size is not resolved, or there are fewer than four. "
    "One size: no sizes were given, and none of this can be told."
)


class AtSize(NamedTuple):
    """What was measured of a circuit of n qubits."""

    qubits: int
    params: int
    samples: int
    largest: Measured
    total: Measured
    kernels: tuple[Concentration, ...] = ()

    def kernel(self, name: str) -> Concentration | None:
        """The "tangent" or "fidelity" kernel's, or None."""
        return next((found for found in self.kernels if found.kernel == name), None)


@final
@dataclass(frozen=True, eq=False, repr=False)
class Trainability:
    """Whether a circuit's gradients and kernels vanish, and what its states and generators are able to.

    ``here`` is the circuit itself, ``sizes`` its family in ascending n; what could not be measured stands in
    ``skipped`` with the reason.
    """

    name: str
    """What the circuit is called."""
    here: AtSize
    """The circuit itself."""
    gradients: GradientVariance
    """Variances of its derivatives, by parameter."""
    sizes: tuple[AtSize, ...]
    """Its family, in ascending n."""
    fisher: FisherSpectrum | None
    """The spectrum of its quantum Fisher information; None where it does not apply."""
    algebra: LieAlgebra | None
    """The Lie algebra of its generators; None where it does not apply."""
    expressibility: Expressibility | None
    """How its states compare with random ones; None where it does not apply."""
    skipped: Mapping[str, str]
    """The reason for each figure that could not be measured."""
    seed: int
    """Of the draws."""

    @cached_property
    def gradient_scaling(self) -> Scaling | None:
        """Of the largest variance of a derivative, added over the outputs, over n; None for one size."""
        return self._scaling(lambda at: at.largest)

    @cached_property
    def tangent_scaling(self) -> Scaling | None:
        """Of the spread of the tangent kernel over inputs."""
        return self._scaling(lambda at: _spread(at.kernel("tangent")))

    @cached_property
    def fidelity_scaling(self) -> Scaling | None:
        """Of the spread of the fidelity kernel over inputs."""
        return self._scaling(lambda at: _spread(at.kernel("fidelity")))

    @property
    def decision(self) -> Decision:
        """Flat, not flat or undecided by the gradients over the sizes; "one size" where there are none."""
        if self.gradient_scaling is None:
            return "one size"
        match self.gradient_scaling.course:
            case "exponentially":
                return "flat"
            case "polynomially" | "does not vanish":
                return "not flat"
        return "undecided"

    @property
    def caption(self) -> str:
        """The thresholds, and what undecided means."""
        return CAPTION

    def sentences(self) -> tuple[str, ...]:
        """The claim first, then what it rests on."""
        return (
            *self._of_gradients(),
            *self._of_kernels(),
            *self._of_states(),
            *self._not_measured(),
        )

    def __str__(self) -> str:
        return " ".join(self.sentences())

    def __repr__(self) -> str:
        return (
            f"Trainability({self.name}, {self.decision}, {self.here.qubits} qubits, {len(self.sizes)} sizes)"
        )

    def tables(self) -> tuple[Table, ...]:
        """The figures by size, and those of the circuit itself."""
        return self._by_size(), self._here()

    def table(self) -> str:
        """The tables as text."""
        return "\n\n".join(map(str, self.tables()))

    def _repr_html_(self) -> str:
        text = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in self.sentences())
        return text + "".join(table.html() for table in self.tables()) + f"<p>{html.escape(self.caption)}</p>"

    def plot(self, ax: Place | None = None, style: Style | None = None) -> Figure:
        """Variances and spreads over n, or by parameter; the Fisher spectrum; fidelities beside Haar's.

        ``ax`` is a figure or a subfigure to draw on, ``style`` what ``matplotlib.style.use`` takes.
        """
        from qlazy.theory.trainability.figures import trainability_figure

        named = {
            "gradient variance": self.gradient_scaling,
            "tangent kernel's spread": self.tangent_scaling,
            "fidelity kernel's spread": self.fidelity_scaling,
        }
        scalings = {name: scaling for name, scaling in named.items() if scaling is not None}
        return trainability_figure(self.gradients, scalings, self.fisher, self.expressibility, ax, style)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``trainability.npz`` into a folder; returns its path."""
        return save_arrays(Path(folder_of("folder", folder), NAME), _arrays(self), _settings(self))

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Trainability:
        """What :meth:`save` wrote. Raises ValueError naming a damaged file."""
        path = Path(folder_of("folder", folder), NAME)
        arrays, settings = load_arrays(path)
        with read_as(path, "is damaged or not a trainability"):
            found = _loaded(arrays, settings)
            if json.loads(json.dumps(_settings(found))) != settings:  # which odd types in it would change
                raise ValueError("it is not as it would be written")
            return found

    def _scaling(self, figure: Callable[[AtSize], Measured | None]) -> Scaling | None:
        found = [(at.qubits, figure(at)) for at in self.sizes]
        kept = [(n, one) for n, one in found if one is not None]
        if not kept:
            return None
        sizes, measured = zip(*kept, strict=True)
        return Scaling(sizes, tuple(one.value for one in measured), tuple(one.error for one in measured))

    def _of_gradients(self) -> tuple[str, ...]:
        if self.gradient_scaling is not None:
            what = "The variance of the gradient over random angles, by the parameter where it is largest,"
            return (self.gradient_scaling.sentence(what),)
        largest, n = self.here.largest, self.here.qubits
        seen = largest.value > 0 and largest.error <= RESOLVED * largest.value
        beside = f" ({largest.value * 2.0**n:.3g} times 2^-n)" if seen and n <= NARROW else ""
        beside = beside if seen else ", not told from zero"
        return (
            f"Of one size, n = {n}, the largest variance of a derivative over random angles is {largest}{beside}; "
            "whether it vanishes with n cannot be told from one size (`qlazy.trainability` takes `sizes`).",
        )

    def _of_kernels(self) -> tuple[str, ...]:
        found = []
        for name, scaling in (("tangent", self.tangent_scaling), ("fidelity", self.fidelity_scaling)):
            if scaling is not None:
                found.append(scaling.sentence(f"The spread of the {name} kernel over inputs"))
        return (*found, *self._at_this_size())

    def _at_this_size(self) -> tuple[str, ...]:
        """How many shots show each kernel, in one sentence."""
        kernels = {name: self.here.kernel(name) for name in ("tangent", "fidelity")}
        same = [name for name, one in kernels.items() if one is not None and math.isinf(one.shots)]
        seen = [
            f"about {_count(one.shots)} shots {'a circuit' if name == 'tangent' else 'an entry'} show that the "
            f"entries of the {name} kernel differ (spread {one.spread})"
            for name, one in kernels.items()
            if one is not None and math.isfinite(one.shots)
        ]
        parts = [*seen, *(f"the entries of the {name} kernel do not differ between inputs" for name in same)]
        return (f"At n = {self.here.qubits} {', and '.join(parts)}.",) if parts else ()

    def _not_measured(self) -> tuple[str, ...]:
        """What was not, by its reason."""
        reasons: dict[str, list[str]] = {}
        for what, why in self.skipped.items():
            reasons.setdefault(why, []).append(CALLED.get(what, what))
        return tuple(f"Not measured: {', '.join(names)} ({why})." for why, names in reasons.items())

    def _of_states(self) -> tuple[str, ...]:
        found = []
        if self.fisher is not None:
            redundant = self.fisher.num_params - self.fisher.rank
            verb = "is" if redundant == 1 else "are"
            more = f"; {redundant} of the parameters {verb} redundant" if redundant else ""
            found.append(
                f"At random angles the parameters move the state in {self.fisher.rank} of at most "
                f"{self.fisher.most} directions (the rank of the quantum Fisher information){more}."
            )
        if self.algebra is not None:
            found.append(
                f"The Lie algebra of its generators has dimension {self.algebra}, of {_most(self.algebra)} that there "
                "can be."
            )
        if self.expressibility is not None:
            one = self.expressibility
            found.append(
                f"Expressibility: {one.divergence:.3g} ± {one.error:.1g} nats from Haar's fidelities "
                f"({one.pairs:,} pairs; Haar's own states would show about {one.floor:.2g})."
            )
        return tuple(found)

    def _by_size(self) -> Table:
        head = ("n", "parameters", "draws", "largest variance", "mean ||gradient||²", "tangent spread",
                "shots", "fidelity spread", "shots")  # fmt: skip
        rows = [_row(at) for at in (self.sizes or (self.here,))]
        return Table(f"{self.name}: {self.decision}", head, tuple(rows))

    def _here(self) -> Table:
        rows = [("qubits", str(self.here.qubits)), ("parameters", str(self.here.params))]
        rows.append(("largest variance of a derivative", str(self.here.largest)))
        if self.fisher is not None:
            rows.append(
                ("rank of the quantum Fisher information", f"{self.fisher.rank} of {self.fisher.most}")
            )
        if self.algebra is not None:
            rows.append(("dimension of the Lie algebra", f"{self.algebra} of {_most(self.algebra)}"))
        if self.expressibility is not None:
            one = self.expressibility
            rows.append(("expressibility (nats)", f"{one.divergence:.3g} ± {one.error:.1g}"))
        rows += [(f"not measured: {CALLED.get(what, what)}", why) for what, why in self.skipped.items()]
        return Table("", ("the circuit itself", ""), tuple(rows))


def _most(found: LieAlgebra) -> str:
    return f"{found.most:,}" if found.qubits <= NARROW else f"4^{found.qubits} - 1"


def _spread(found: Concentration | None) -> Measured | None:
    return None if found is None else found.spread


def _row(at: AtSize) -> tuple[str, ...]:
    kernels = [cell for name in ("tangent", "fidelity") for cell in _kernel_cells(at.kernel(name))]
    return (str(at.qubits), str(at.params), f"{at.samples:,}", str(at.largest), str(at.total), *kernels)


def _kernel_cells(found: Concentration | None) -> tuple[str, str]:
    return ("", "") if found is None else (str(found.spread), _count(found.shots))


def _count(number: float) -> str:
    if math.isinf(number):
        return "none will do"
    whole = max(1, math.ceil(number))
    return f"{whole:,}" if whole < 10**6 else f"{whole:.1e}"


def _arrays(found: Trainability) -> dict[str, Any]:
    arrays = {"variances": found.gradients.variances.numpy(), "errors": found.gradients.errors.numpy()}
    if found.fisher is not None:
        arrays["eigenvalues"] = found.fisher.eigenvalues.numpy()
    if found.expressibility is not None:
        arrays["counts"] = found.expressibility.counts
    return arrays


def _settings(found: Trainability) -> dict[str, Any]:
    gradients, fisher, express = found.gradients, found.fisher, found.expressibility
    return {
        "name": found.name,
        "seed": found.seed,
        "here": _written(found.here),
        "sizes": [_written(at) for at in found.sizes],
        "gradients": [
            *gradients.largest,
            *gradients.total,
            gradients.samples,
            gradients.qubits,
            gradients.method,
        ],
        "fisher": None if fisher is None else [list(fisher.ranks), fisher.qubits],
        "algebra": None if found.algebra is None else asdict(found.algebra),
        "expressibility": None if express is None else [express.divergence, express.error, express.qubits],
        "skipped": dict(found.skipped),
    }


def _written(at: AtSize) -> list[Any]:
    kernels = [
        [
            k.kernel,
            *k.mean,
            k.diagonal,
            *k.spread,
            None if math.isinf(k.shots) else k.shots,
            k.inputs,
            k.qubits,
        ]
        for k in at.kernels
    ]
    return [at.qubits, at.params, at.samples, *at.largest, *at.total, kernels]


def _read(at: list[Any]) -> AtSize:
    kernels = tuple(
        Concentration(
            name,
            Measured(*mean),
            diagonal,
            Measured(*spread),
            math.inf if shots is None else shots,
            inputs,
            qubits,
        )
        for name, *mean, diagonal, spread0, spread1, shots, inputs, qubits in at[7]
        for spread in [(spread0, spread1)]
    )
    qubits, params, samples = at[:3]
    return AtSize(qubits, params, samples, Measured(*at[3:5]), Measured(*at[5:7]), kernels)


def _loaded(arrays: dict[str, Any], settings: dict[str, Any]) -> Trainability:
    given, fisher, algebra, express = (
        settings[k] for k in ("gradients", "fisher", "algebra", "expressibility")
    )
    gradients = GradientVariance(
        torch.from_numpy(arrays["variances"]), torch.from_numpy(arrays["errors"]), Measured(*given[:2]),
        Measured(*given[2:4]), *given[4:],
    )  # fmt: skip
    return Trainability(
        settings["name"],
        _read(settings["here"]),
        gradients,
        tuple(_read(at) for at in settings["sizes"]),
        fisher and FisherSpectrum(tuple(fisher[0]), torch.from_numpy(arrays["eigenvalues"]), fisher[1]),
        algebra and LieAlgebra(**algebra),
        express and Expressibility(express[0], express[1], arrays["counts"], express[2]),
        settings["skipped"],
        settings["seed"],
    )
