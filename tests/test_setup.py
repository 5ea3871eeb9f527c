"""What the wheel says about itself: a README that reads well without the files beside it."""

import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from email.parser import Parser
from pathlib import Path

import pytest
import setuptools

ROOT = Path(__file__).parent.parent
HOME = "https://forge.example/sqsnn"
RELATIVE = re.compile(r"\]\((?!https?://|#)")


@pytest.fixture(scope="module")
def description():
    """The function of setup.py, which builds nothing here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setuptools, "setup", lambda **settings: None)
        patch.chdir(ROOT)
        return runpy.run_path(str(ROOT / "setup.py"))["description"]


@pytest.mark.parametrize(
    ("text", "with_home", "without"),
    [
        ("[how](bench/README.md)", f"[how]({HOME}/blob/HEAD/bench/README.md)", "how"),
        ("[bits](docs/a.md#b), and", f"[bits]({HOME}/blob/HEAD/docs/a.md#b), and", "bits, and"),
        ("![A neuron](docs/n.png)", f"![A neuron]({HOME}/raw/HEAD/docs/n.png)", "*A neuron*"),
        *((text, text, text) for text in ("[a](https://b.c/d)", "[a](#b)", "f(x)")),
    ],
)
def test_links_to_files_become_absolute_or_plain_text(description, text, with_home, without):
    assert description(text, HOME) == with_home
    assert description(text, None) == without


def test_every_link_of_the_readme_is_replaced(description):
    readme = (ROOT / "README.md").read_text("utf-8")
    linked = description(readme, HOME)
    assert not RELATIVE.search(linked) and not RELATIVE.search(description(readme, None))
    for path in re.findall(rf"{HOME}/(?:raw|blob)/HEAD/([^)#]+)", linked):
        assert (ROOT / path).exists(), path


def test_the_metadata_of_the_wheel_hold_this_readme(description, tmp_path):
    """Without compiling: the metadata alone, as pip asks for them."""
    source = tmp_path / "source"
    (source / "src" / "sqsnn").mkdir(parents=True)
    names = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "src/sqsnn/__init__.py")
    for name in names:
        shutil.copy(ROOT / name, source / name)
    build = "from setuptools import build_meta as b; b.prepare_metadata_for_build_wheel('..')"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", build]
    subprocess.run(command, cwd=source, env=environment, check=True, capture_output=True)
    (file,) = tmp_path.glob("*.dist-info/METADATA")
    metadata = Parser().parsestr(file.read_text("utf-8"))
    assert metadata["Description-Content-Type"] == "text/markdown"
    shown = metadata.get_payload()
    assert shown.startswith("# sqsnn") and not RELATIVE.search(shown)


def test_the_readme_names_every_extra():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    readme = (ROOT / "README.md").read_text("utf-8")
    for extra in settings["project"]["optional-dependencies"]:
        assert f"\n| `{extra}` | " in readme
