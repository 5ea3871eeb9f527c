"""The site: every public name and every page has its place, and links lead somewhere."""

import ast
import re
import tomllib
from importlib import import_module, util
from pathlib import Path

import pytest

import sqsnn

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
PAGES = [path for path in PAGES if path.relative_to(DOCS).parts[0] != "repository"]
DOCUMENTED = re.findall(
    r"^\.\. auto\w+:: (\S+)$",
    "\n".join(path.read_text("utf-8") for path in (DOCS / "reference").glob("*.md")),
    re.MULTILINE,
)
# Rooms whose names stand in the reference; of others, only what is also a name of `sqsnn`.
ROOMS = ("data", "encoding", "learning", "readout", "hardware")


def found(name):
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError:
        return getattr(found(module), attribute)


def public_names():
    tree = ast.parse((Path(sqsnn.__file__).parent / "__init__.pyi").read_text("utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    names = [alias.asname for node in imports if node.module for alias in node.names]
    names += [f"{room}.{name}" for room in ROOMS for name in found(f"sqsnn.{room}").__all__]
    return [f"sqsnn.{name}" for name in names if name != "circuits"]


def test_every_public_name_stands_in_the_reference_once():
    assert len(DOCUMENTED) == len(set(DOCUMENTED)) > 80
    here = {id(found(name)) for name in DOCUMENTED}
    no_call = {"sqsnn.hardware.ibm", "sqsnn.readout.READOUTS"}  # a module, and a table
    missing = {name for name in public_names() if id(found(name)) not in here}
    assert missing == no_call


def test_every_page_stands_in_a_table_of_contents():
    listed = {"index"}
    for path in PAGES:
        for block in re.findall(r"```\{toctree\}\n(.*?)```", path.read_text("utf-8"), re.DOTALL):
            names = [line for line in block.splitlines() if line and not line.startswith(":")]
            listed |= {str((path.parent / name).relative_to(DOCS)) for name in names}
    assert {str(path.relative_to(DOCS).with_suffix("")) for path in PAGES} == {
        name for name in listed if not name.startswith(("repository", "tutorials/[", "The lab"))
    }


@pytest.fixture(scope="module")
def conf():
    spec = util.spec_from_file_location("conf", DOCS / "conf.py")
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("text", "source", "followed"),
    [
        ("[log](../bench/LOG.md)", "docs/results.md", "[log](repository/bench/LOG.md)"),
        ("[a](results.md#b)", "docs/networks.md", "[a](results.md#b)"),
        ("[a](docs/results.md)", "README.md", "[a](../results.md)"),
        ("![p](docs/images/raster.png)", "README.md", "![p](../images/raster.png)"),
        ("[x](studies/tasks.toml)", "bench/README.md", "[x](../../../bench/studies/tasks.toml)"),
        ("[house](bench)", "README.md", "`bench/`"),
        ("[n](02-x.ipynb)", "docs/tutorials/01-y.ipynb", "[n](02-x.ipynb)"),
        ("[s](../../bench/LOG.md)", "docs/tutorials/01-y.ipynb", "[s](../repository/bench/LOG.md)"),
        ("[#](#here) [w](https://a.b/c)", "README.md", "[#](#here) [w](https://a.b/c)"),
    ],
)
def test_links_of_the_repository_lead_to_the_same_place_on_the_site(conf, text, source, followed):
    assert conf.follow(text, source) == followed


def test_the_page_on_installing_lists_every_extra():
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text("utf-8"))["project"]
    for page in (DOCS / "install.md", DOCS.parent / "README.md"):
        listed = re.findall(r"^\| `(\w+)` \|", page.read_text("utf-8"), re.MULTILINE)
        assert set(project["optional-dependencies"]) <= set(listed), page.name
