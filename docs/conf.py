"""The site: `make site` builds it from docs/, the docstrings and the Markdown of the repository.

Pages are plain Markdown that also reads well without the site. They link to each other, and to
files outside docs/, by relative paths. Sphinx knows documents below docs/ alone, so that Markdown
from outside is mirrored below docs/repository/ before a build, and links follow it there.
"""

import json
import logging
import os
import posixpath
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import sqsnn

ROOT = Path(__file__).parents[1]
MIRROR = "repository"
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s#]*)(#[^()\s]*)?\)")

project = "sqsnn"
version = release = sqsnn.__version__
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build", "demo"]
html_theme = "furo"  # dark mode, narrow screens and search, all without a server
html_title = "sqsnn"
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["site.css"]

# Notebooks are stored with their outputs, which tests check; a build runs none.
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
# A page may open below its title with a heading of any level, as notebooks and tables do.
suppress_warnings = ["myst.header"]

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "none"  # shapes and units stand in the text of `Args:`
default_role = "code"
napoleon_use_rtype = False
napoleon_use_ivar = True

# Their lists of names are fetched when the network is there and SQSNN_LINKS is set: a build must
# neither wait for the network nor warn without it.
_manuals = {
    "python": "https://docs.python.org/3",
    "numpy": "https://numpy.org/doc/stable",
    "torch": "https://docs.pytorch.org/docs/stable",
    "sklearn": "https://scikit-learn.org/stable",
    "qiskit": "https://quantum.cloud.ibm.com/docs/api/qiskit",
}
intersphinx_mapping = (
    {name: (place, None) for name, place in _manuals.items()} if "SQSNN_LINKS" in os.environ else {}
)


logging.getLogger("qiskit").setLevel(logging.WARNING)  # it logs what a docstring's module compiles


def site_path(path: str) -> str | None:
    """Give where a file of the repository lies on the site; None where it is no document."""
    if not path.endswith((".md", ".ipynb")):
        return None
    return path.removeprefix("docs/") if path.startswith("docs/") else f"{MIRROR}/{path}"


def follow(text: str, source: str) -> str:
    """Let the links of a page lead to where their targets lie on the site.

    Args:
        text: The page, in Markdown.
        source: Its path in the repository.
    """
    here = posixpath.dirname(f"docs/{site_path(source)}")

    def replace(link: re.Match[str]) -> str:
        mark, words, target, anchor = link.groups(default="")
        if not target or ":" in target:
            return link[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if (ROOT / path).is_dir():
            return f"`{path}/`"  # a folder has no page
        place = posixpath.relpath(f"docs/{site_path(path)}" if site_path(path) else path, here)
        return f"{mark}[{words}]({place}{anchor})"

    return LINK.sub(replace, text)


def mirror(app: Any) -> None:
    """Copy the Markdown files outside docs/ that are, or will be, part of the repository."""
    order = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    listed = subprocess.run(order, cwd=ROOT, capture_output=True, text=True, check=True)
    for path in listed.stdout.split():
        place = ROOT / "docs" / str(site_path(path))
        if path.startswith("docs/") or not (ROOT / path).is_file():
            continue
        text = "---\norphan: true\n---\n" + follow((ROOT / path).read_text("utf-8"), path)
        if not place.is_file() or place.read_text("utf-8") != text:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, "utf-8")


def on_read(app: Any, name: str, content: list[str]) -> None:
    """Follow the links of the pages in docs/."""
    if name.startswith(MIRROR):
        return
    source = app.env.doc2path(name, base=False)
    if source.suffix == ".md":
        content[0] = follow(content[0], f"docs/{source}")
        return
    notebook = json.loads(content[0])
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = follow("".join(cell["source"]), f"docs/{source}")
    content[0] = json.dumps(notebook)


def plain(app: Any, what: str, name: str, it: Any, options: Any, lines: list[str]) -> None:
    """Escape what our docstrings mean as it stands: |0>, and names that end in an underscore."""
    for number, line in enumerate(lines):
        parts = line.split("`")  # every other part is code
        parts[::2] = [re.sub(r"\||(?<=\w)_(?!\w)", r"\\\g<0>", part) for part in parts[::2]]
        if not line.lstrip().startswith((">>>", "...")):
            lines[number] = "`".join(parts)


def skipped(app: Any, what: str, name: str, it: Any, skip: bool, options: Any) -> bool | None:
    """Leave out members that other packages add, as scikit-learn does."""
    module = getattr(it, "__module__", None) or "sqsnn"
    return True if not module.startswith("sqsnn") else None


def finished(app: Any, error: Exception | None) -> None:
    """Put the live page beside the others; it needs nothing of Sphinx."""
    if error is None and app.builder.format == "html":
        hidden = shutil.ignore_patterns("*.py", "__pycache__")
        shutil.copytree(ROOT / "docs/demo", app.outdir / "demo", ignore=hidden, dirs_exist_ok=True)


def setup(app: Any) -> None:
    """Connect with the events of a build."""
    app.connect("autodoc-process-docstring", plain)
    app.connect("autodoc-skip-member", skipped)
    app.connect("builder-inited", mirror)
    app.connect("source-read", on_read)
    app.connect("build-finished", finished)
