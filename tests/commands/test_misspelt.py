"""What is misspelt is refused with what it comes nearest to, and what cannot be read is told before anything runs."""

from __future__ import annotations

import random
import string

import pytest

import qlazy
from qlazy.base.errors import did_you_mean, folder_of, require_choice
from qlazy.checking.panels import PANELS
from qlazy.commands import COMMANDS
from qlazy.commands import main as cli
from qlazy.comparison.figures.all import ORDER
from qlazy.comparison.specs import require_readable
from qlazy.quantum.corpus import names, program_names
from qlazy.training.methods import Method
from tests.comparison.test_figures import made_up


def misspelt(word: str, rng: random.Random) -> str:
    """Two neighbours exchanged, a letter left out or one put in."""
    at = rng.randrange(1, len(word) - 1)
    kind = rng.randrange(3)
    if kind == 0 and word[at] != word[at + 1]:
        return f"{word[:at]}{word[at + 1]}{word[at]}{word[at + 2 :]}"
    return (
        word[:at] + word[at + 1 :]
        if kind == 1
        else word[:at] + rng.choice(string.ascii_lowercase) + word[at:]
    )


KNOWN = {
    "commands": tuple(COMMANDS),
    "panels": tuple(PANELS),
    "figures": ORDER,
    "families": (*names(), *program_names()),
}


@pytest.mark.parametrize("kind", KNOWN)
def test_a_slip_in_a_word_is_traced_to_it(kind: str) -> None:
    """What is named is as near to the slip as the word itself, by the measure of difflib."""
    import difflib

    rng = random.Random(kind)
    for _ in range(60):
        word = rng.choice([word for word in KNOWN[kind] if len(word) > 4])
        slip = misspelt(word, rng)
        if slip in KNOWN[kind]:
            continue
        said = did_you_mean(slip, KNOWN[kind])
        assert said.startswith(" (did you mean '")
        named = said.removeprefix(" (did you mean '").removesuffix("'?)")
        ratios = [difflib.SequenceMatcher(None, one, slip).ratio() for one in (named, word)]
        assert ratios[0] >= ratios[1]


@pytest.mark.parametrize("value", ["zzzzzz", "", 3, None, ["lazy"], "x" * 10**6])
def test_nothing_is_guessed_where_nothing_is_near(value: object) -> None:
    assert did_you_mean(value, COMMANDS) == ""


def test_a_choice_of_words_says_what_was_meant() -> None:
    with pytest.raises(
        ValueError, match=r"^`solver` must be one of .*, but is 'RK54' \(did you mean 'RK45'\?\)$"
    ):
        require_choice("solver", "RK54", ("RK45", "DOP853"))


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["comapre", "mlp"], "did you mean 'compare'?"),
        (["studdy"], "did you mean 'study'?"),
        (["compare", "mlp", "--setps", "5"], "did you mean '--steps'?"),
        (["check", "mlp:2", "--lerning-rate", "0.1", "--steps", "3"], "did you mean '--learning-rate'?"),
        (["compare", "mlp", "--loss", "sqare"], "did you mean 'square'?"),
        (["kernel", "hardware_eficient"], "did you mean 'hardware_efficient'?"),
        (["compare", "mpl"], "did you mean 'mlp'?"),
        (["compare", "hardware_efficient:layers"], "did you mean 'layers=3'?"),
        (["circuits", "hardware_efficient:n=4,layers="], "did you mean 'layers=3'?"),
        (["kernel", "mlp:2", "--data", "hidden_manifold:dimensions=3"], "did you mean 'dimension'?"),
    ],
)
@pytest.mark.usefixtures("elsewhere")
def test_the_command_line_says_what_was_meant(words: list[str], meant: str, capsys) -> None:
    assert cli.main(words) == cli.USAGE
    said = capsys.readouterr().err
    assert meant in said
    assert said.count("\n") == 1


def test_options_that_are_far_from_all_are_refused_alone(capsys) -> None:
    assert cli.main(["compare", "mlp", "--quantum-supremacy"]) == cli.USAGE
    assert "did you mean" not in capsys.readouterr().err


def test_metrics_figures_and_panels(tmp_path) -> None:
    comparison = made_up(("one",))
    with pytest.raises(ValueError, match=r"`metric` must be one of .*\(did you mean 'kernel change'\?\)"):
        comparison.values("one", "kernel_change")
    with pytest.raises(ValueError, match=r"`name` must be one of .*but is 'gapp' \(did you mean 'gap'\?\)"):
        comparison.figure("gapp")
    data = qlazy.load_data("moons", train=8, test=4)
    with pytest.raises(
        ValueError, match=r"`panels` must be .*\['lazy', 'clasical'\] \(did you mean 'classical'\?\)"
    ):
        qlazy.check("mlp:2", data, panels=("lazy", "clasical"))


CIRCUIT = """
import pennylane as qml

open("ran", "w").close()

@qml.qnode(qml.device("default.qubit", wires=1))
def circuit(inputs, weights):
    return qml.expval(qml.Z(0))
"""


def test_a_name_that_the_file_does_not_have(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_own.py").write_text(CIRCUIT)
    assert cli.main(["check", "my_own.py:circiut"]) == cli.USAGE
    said = capsys.readouterr().err
    assert "name something in my_own.py (there: circuit), but is circiut (did you mean 'circuit'?)" in said


@pytest.mark.parametrize(
    "text",
    ["my_own.pyy:circuit", "./my_own.pyy:circuit", "my_onw.py:circuit", "./my_own.pyy", "my_own.pyy:n=3"],
)
@pytest.mark.parametrize("command", ["check", "compare"])
def test_a_file_that_is_not_there(command: str, text: str, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_own.py").write_text(CIRCUIT)
    assert cli.main([command, text]) == cli.USAGE
    said = capsys.readouterr().err
    assert "there is no such file" in said
    assert "did you mean 'my_own.py'?" in said


def test_a_module_that_a_module_lacks_is_told_as_its_error(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "needs_another_one.py").write_text("import not_installed_anywhere\n")
    assert cli.main(["check", "needs_another_one:circuit"]) == cli.USAGE
    said = capsys.readouterr().err
    assert "cannot be imported" in said
    assert "not_installed_anywhere" in said


@pytest.mark.parametrize("spec", ["mpl", "mlp:16,tan", "hardware_efficient:layers=x", "gone.qasm:n=3"])
def test_specs_are_read_before_files_are_run(spec: str, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_own.py").write_text(CIRCUIT)
    assert cli.main(["compare", "my_own.py:circuit", spec]) == cli.USAGE
    said = capsys.readouterr().err
    assert "weights" not in said
    assert spec.partition(":")[0] in said
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "spec", ["mlp", "mlp:3,relu", *names(), *program_names(), "hardware_efficient:n=3,layers=2"]
)
def test_what_can_be_read_is_let_be(spec: str) -> None:
    require_readable(spec)


def test_a_folder_is_no_file(tmp_path) -> None:
    (tmp_path / "afile").write_text("")
    assert folder_of("out", tmp_path / "new") == tmp_path / "new"
    assert folder_of("out", tmp_path) == tmp_path
    data = qlazy.load_data("moons", train=8, test=4)
    for ask in (
        lambda out: qlazy.compare({"net": qlazy.mlp([2, 2, 1])}, data, out=out),
        lambda out: qlazy.check("mlp:2", data, out=out),
    ):
        with pytest.raises(ValueError, match=r"^`out` must be a folder, but is a file, .*afile$"):
            ask(tmp_path / "afile")
    run = qlazy.compare({"net": qlazy.mlp([2, 2, 1])}, data, alphas=(1,), seeds=1, steps=2, progress=False)
    for write in (run.plot, run.report, run.save, run.runs[0].save, qlazy.Comparison.load):
        with pytest.raises(ValueError, match=r"^`folder` must be a folder, but is a file, .*afile$"):
            write(tmp_path / "afile")


def test_a_folder_without_a_comparison(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="no comparison was saved there") as caught:
        qlazy.Comparison.load(tmp_path)
    assert caught.value.filename == str(tmp_path)
    made_up(("one",)).save(tmp_path)
    assert qlazy.Comparison.load(tmp_path).models == ("one",)


@pytest.mark.parametrize("name", ["adam", "Adam", "sgd", "gd", "lbfgs", "L-BFGS", "flow"])
def test_a_method_by_its_name_alone_is_refused_with_what_runs(name: str) -> None:
    data = qlazy.load_data("moons", train=8, test=4)
    with pytest.raises(
        TypeError, match=r"^`method` must be a method, `qlazy\..*\)`, but is a text"
    ) as caught:
        qlazy.compare({"net": qlazy.mlp([2, 2, 1])}, data, method=name)
    remedy = str(caught.value).split("`")[3]
    assert isinstance(eval(remedy, {"qlazy": qlazy}), Method)  # the remedy is no other slip


@pytest.mark.parametrize(
    ("classes", "outputs", "remedy"),
    [
        ((0, 1), 2, "let the circuit return one expectation value, or take other `classes=`"),
        ((0, 1, 2), 1, "let the circuit return 3 expectation values, or take other `classes=`"),
    ],
)
def test_a_wrong_number_of_outputs_is_refused_with_what_to_change(classes, outputs, remedy) -> None:
    data = qlazy.load_data("digits", classes=classes, features=2, train=12, test=6)
    with pytest.raises(ValueError) as caught:
        qlazy.compare({"net": qlazy.mlp([2, 2, outputs])}, data)
    assert remedy in str(caught.value)
    assert f"a model of {outputs}" in str(caught.value)


def test_one_is_one_and_two_are_several() -> None:
    assert repr(made_up(("m",))).startswith("Comparison(m; 4 scales; ")
    one = made_up(("m",))
    alone = qlazy.Comparison(one.runs[:1], dict(one.settings))
    assert repr(alone) == "Comparison(m; 1 scale; 1 run)"
