"""The Python of every page in docs/ runs as it stands, page by page, and its links lead somewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

import qlazy
from qlazy.studies import STUDIES
from qlazy.studies.report import SOURCES, SYMBOLS

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


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links: as GitHub makes it, and as the site does."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    plain = [re.sub(r"[^\w\s-]", "", title).strip().lower() for title in titles]
    return {title.replace(" ", "-") for title in plain if not re.search(r"\s\s|--", title)}


@pytest.mark.parametrize(
    "page",
    [*PAGES, ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"],
    ids=lambda page: page.stem,
)
def test_links_lead_to_headings(page) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]*)#([^)]+)\)", text)
    wrong = [
        (path, name) for path, name in links if name not in anchors((page.parent / path) if path else page)
    ]
    assert wrong == []


def places(nav: object) -> list[str]:
    """The pages of a navigation, in its order."""
    if isinstance(nav, str):
        return [nav]
    return [page for part in (nav.values() if isinstance(nav, dict) else nav) for page in places(part)]


def test_the_site_shows_every_page_once() -> None:
    """Pages, notebooks, and one of the API for each group of names; the rest are files from outside of docs/."""
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    shown = places(site["nav"])
    groups = re.findall(
        r"^## (.*)$", (ROOT / "docs" / "reference.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    expected = [
        *(page.name for page in PAGES),
        *(f"examples/{path.stem}.md" for path in (ROOT / "examples").glob("*.ipynb")),
        *(f"api/{title.lower().replace(' ', '_')}.md" for title in groups),
        *("index.md", "changelog.md", "contributing.md", "circuits/index.md", "circuits/programs/index.md"),
    ]
    assert sorted(shown) == sorted(expected)


def test_the_gallery_draws_what_it_shows() -> None:
    """Each of its pictures by a block or a command of the page, and small."""
    page = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[[^\]]+\]\(gallery/(.*?)\)", page)
    drawn = re.findall(r"""savefig\("(.*?)", \*\*paper\)|--draw (\S+)""", page)
    assert sorted(shown) == sorted("".join(names) for names in drawn)
    assert {path.name for path in (ROOT / "docs" / "gallery").iterdir()} == set(shown)
    assert max(path.stat().st_size for path in (ROOT / "docs").rglob("*.png")) < 150_000


def test_every_study_cites_its_paper() -> None:
    """On its own page and in docs/studies.md, by the same number."""
    page = (ROOT / "docs" / "studies.md").read_text(encoding="utf-8")
    rows = {row.split("`")[1]: row for row in page.splitlines() if row.startswith("| `")}
    assert set(SOURCES) == set(SYMBOLS) == set(STUDIES) <= set(rows)
    for study, source in SOURCES.items():
        first = next(row for row in page.splitlines() if row.startswith(f"| `{study}`"))
        assert re.findall(r"arXiv (\d+\.\d+)", source) == re.findall(r"arXiv (\d+\.\d+)", first)


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


def test_members_that_the_site_hides_are_there_and_are_taught_nowhere() -> None:
    """A name that has gone would hide another one day, and one that a page calls is for users."""
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    hidden = {name for names in re.findall(r'"!\^\(([\w|]+)\)\$"', site) for name in names.split("|")}
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "qlazy").rglob("*.py"))
    taught = "".join(path.read_text(encoding="utf-8") for path in (*PAGES, ROOT / "README.md"))
    assert len(hidden) > 15
    assert not [name for name in hidden if f"def {name}(" not in code and f"    {name}:" not in code]
    assert not [name for name in hidden if re.search(rf"(?<!qlazy)\.{name}\(", taught)]
