"""Misspelt names are answered with the one that is meant, whatever their letters' case."""

import pytest

import qlazy
from qlazy.base.errors import did_you_mean
from qlazy.studies import STUDIES, find_study

KNOWN = {
    "data sets": (qlazy.load_data, ["digits", "moons", "breast_cancer"], ValueError),
    "circuits": (qlazy.load_circuit, ["hardware_efficient", "qaoa_ring"], ValueError),
    "studies": (find_study, list(STUDIES), ValueError),
    "names": (lambda name: getattr(qlazy, name), ["Circuit", "compare", "load_data"], AttributeError),
}


@pytest.mark.parametrize("misspell", [str.upper, lambda name: name[:-1], lambda name: name[0] + name])
@pytest.mark.parametrize("kind", KNOWN)
def test_what_was_meant_is_told(kind, misspell):
    take, names, error = KNOWN[kind]
    for name in names:
        with pytest.raises(error, match=rf"\(did you mean '{name}'\?\)"):
            take(misspell(name))


def test_columns_are_near_in_any_case(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("length,Label\n" + "".join(f"{k},{k % 2}\n" for k in range(12)))
    for told in ("label", "LABEL", "Lable"):
        with pytest.raises(ValueError, match=r"\(did you mean 'Label'\?\)"):
            qlazy.load_data(path, target=told)


def test_nothing_is_told_where_nothing_is_near():
    assert did_you_mean("qzx", ["digits", "moons"]) == ""


def test_a_table_of_pandas_is_told_where_it_goes_in_one_line():
    pandas = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match=r"from_arrays.*but is") as raised:
        qlazy.load_data(pandas.DataFrame({"u": range(40), "v": range(40)}), target="v")
    assert "\n" not in str(raised.value)
