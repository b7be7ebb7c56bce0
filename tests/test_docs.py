"""The Python of every page in docs/ runs as it stands, page by page, and its links lead somewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import qlazy

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_python_runs(page, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": f"docs.{page.stem}"}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(block, page.name, "exec", dont_inherit=True), names)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.stem)
def test_links_lead_somewhere(page) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def test_every_public_name_stands_in_a_page_or_a_notebook() -> None:
    """Where it is used or explained: the list of names does not count."""
    pages = [ROOT / "README.md", *(page for page in PAGES if page.stem != "reference")]
    notebooks = [json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "examples").glob("*.ipynb")]
    cells = ["".join(cell["source"]) for notebook in notebooks for cell in notebook["cells"]]
    known = words("\n".join([*(page.read_text(encoding="utf-8") for page in pages), *cells]))
    assert set(qlazy.__all__) - known - {"__version__"} == set()


def test_the_list_of_names_is_that_of_the_face() -> None:
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`(\w+)`", "".join(rows))) == sorted(set(qlazy.__all__) - {"__version__"})


def test_pages_and_notebooks_import_no_figures_and_no_verdicts() -> None:
    """A result draws itself and speaks for itself."""
    notebooks = sorted((ROOT / "examples").glob("*.ipynb"))
    for path in (ROOT / "README.md", *PAGES, *notebooks):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(from|import) qlazy[.\w]*\.(figures|verdict|report)\b", text), path.name
