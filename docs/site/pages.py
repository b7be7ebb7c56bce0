"""What the site shows beside docs/: the README as its home, the changes, notebooks, circuits, and the API by groups.

MkDocs calls the functions whose names begin with ``on_``. Links between files of the repository lead to their pages.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbconvert import MarkdownExporter

ROOT = Path(__file__).parents[2]
PLACES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "LICENSE": "license.txt",
    "CITATION.cff": "citation.txt",
    "circuits/README.md": "circuits/index.md",
    "circuits/programs/README.md": "circuits/programs/index.md",
}
"""Files of the repository that are pages, and where the site has them."""

LINK = re.compile(r"\]\(([^()\s#]+)(#[^()\s]*)?\)")
FETCHED = re.compile(r"""<(?:script|img|iframe|link rel="stylesheet")[^>]*(?:src|href)="https?:[^"]*\"""")
NAMES = re.compile(r"`(\w+)`")


def place(path: str) -> str | None:
    """Where the site has a file of the repository, or None."""
    if path in PLACES:
        return PLACES[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path.startswith("examples/") and path.endswith(".ipynb"):
        return str(Path(path).with_suffix(".md"))
    return path if path.startswith("circuits/") and path.endswith(".qasm") else None


def relinked(text: str, source: str) -> str:
    """The text of a file of the repository, its links leading to pages of the site."""
    here = posixpath.dirname(place(source) or "")

    def link(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), found[1]))
        target = place(path) if (ROOT / path).exists() else None
        return found[0] if target is None else f"]({posixpath.relpath(target, here or '.')}{found[2] or ''})"

    return LINK.sub(link, text)


def notebook_page(path: Path) -> tuple[str, dict[str, bytes]]:
    """A notebook as Markdown, with the images that its cells left, by name."""
    notebook = nbformat.read(path, as_version=4)
    exporter = MarkdownExporter()
    text, found = exporter.from_notebook_node(
        notebook, {"unique_key": path.stem, "output_files_dir": f"{path.stem}_files"}
    )
    return text, dict(found["outputs"])


@dataclass(frozen=True)
class Group:
    """A part of docs/reference.md: its title, and the full names of what it lists."""

    title: str
    objects: tuple[str, ...]

    @property
    def page(self) -> str:
        return f"api/{re.sub(r'[^a-z]+', '_', self.title.lower())}.md"


def homes() -> dict[str, str]:
    """The module of every public name, read from the face without running it."""
    tree = ast.parse((ROOT / "qlazy" / "__init__.py").read_text(encoding="utf-8"))
    (table,) = (
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign | ast.Assign)
        and ast.unparse(node.target if isinstance(node, ast.AnnAssign) else node.targets[0]) == "_NAMES"
        and node.value is not None
    )
    return {name: f"qlazy.{module}" for module, names in ast.literal_eval(table).items() for name in names}


def objects_of(row: str, known: dict[str, str]) -> list[str]:
    """The full names in a row of the list of names: of the face, or of a module that the row begins with."""
    cells = row.split("|")
    module = re.fullmatch(r" `(qlazy\.[\w.]+)` ", cells[1])
    if module:
        return [f"{module[1]}.{name}" for name in NAMES.findall(cells[2])]
    return [f"{known[name]}.{name}" for name in NAMES.findall(cells[1])]


def groups() -> list[Group]:
    """The parts of the list of names, with the full names of what they hold."""
    known = homes()
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    parts = [part.partition("\n") for part in text.split("\n## ")[1:]]
    return [
        Group(
            title,
            tuple(
                name for row in body.splitlines() if row.startswith("| `") for name in objects_of(row, known)
            ),
        )
        for title, _, body in parts
    ]


def api_page(group: Group) -> str:
    return "\n\n".join([f"# {group.title}", *(f"::: {name}" for name in group.objects)]) + "\n"


def with_links_to_the_api(text: str) -> str:
    """The list of names, each name leading to what its docstring says."""
    known = homes()
    pages = {name: group.page for group in groups() for name in group.objects}

    def linked(row: str) -> str:
        for name in objects_of(row, known):
            short = name.rpartition(".")[2]
            row = row.replace(f"`{short}`", f"[`{short}`]({pages[name]}#{name})", 1)
        return row

    return "\n".join(linked(row) if row.startswith("| `") else row for row in text.split("\n"))


def made_here() -> Iterator[tuple[str, str | bytes]]:
    """Files that the site has and docs/ has not: where they stand, and what they hold."""
    for source, target in PLACES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        yield target, relinked(text, source) if target.endswith(".md") else text
    for path in sorted((ROOT / "circuits").rglob("*.qasm")):
        yield str(path.relative_to(ROOT)), path.read_bytes()
    for path in sorted((ROOT / "examples").glob("*.ipynb")):
        text, images = notebook_page(path)
        yield f"examples/{path.stem}.md", relinked(text, f"examples/{path.name}")
        yield from ((f"examples/{name}", image) for name, image in images.items())
    for group in groups():
        yield group.page, api_page(group)


@event_priority(100)
def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is made here to what stands in docs/, before plugins see it."""
    for path, content in made_here():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Lead the links of a page of docs/ to pages of the site."""
    source = page.file.src_uri
    if page.file.generated_by:
        return markdown
    text = relinked(markdown, f"docs/{source}")
    return with_links_to_the_api(text) if source == "reference.md" else text


def on_page_content(html: str, **_: Any) -> str:
    """Docstrings name what they refer to by roles; here the name is enough."""
    return re.sub(r":(?:mod|class|func|meth):(<code>)~?", r"\1", html)


def on_post_page(output: str, page: Page, **_: Any) -> str:
    """Refuse a page that a browser could not show without a network."""
    fetched = FETCHED.findall(output)
    if fetched:
        raise PluginError(f"{page.file.src_uri} must fetch nothing, but has {fetched[0]}")
    return output
