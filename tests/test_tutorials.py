"""The tutorials run as they stand; their cells assert what they say."""

import importlib.util
import re
from pathlib import Path

import nbformat
import pytest

TUTORIALS = Path(__file__).parents[1] / "docs" / "tutorials"
NOTEBOOKS = sorted(TUTORIALS.glob("[0-9]*.ipynb"))
SHORTEST = {"03-the-neuron-as-an-instrument", "05-what-a-qubit-of-memory-buys"}


def outputs(notebook):
    return [it for cell in notebook.cells for it in cell.get("outputs", ())]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("execute", TUTORIALS / "execute.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=[] if path.stem in SHORTEST else pytest.mark.slow)
        for path in NOTEBOOKS
    ],
    ids=lambda path: path.stem,
)
def test_a_tutorial_runs(script, path, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONWARNINGS", "")
    assert outputs(script.executed(path, tmp_path))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_tutorial_is_stored_with_clean_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    shown = outputs(notebook)
    texts = [it.get("text", "") + it.get("data", {}).get("text/plain", "") for it in shown]
    assert any(it.output_type != "error" for it in shown)
    assert not [it for it in shown if it.output_type == "error" or it.get("name") == "stderr"]
    assert not re.search(r"/tmp|/home|/root|Warning", "\n".join(texts))
    assert path.stat().st_size < 250_000
    assert any("assert" in cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert all("ExecuteTime" not in cell.metadata for cell in notebook.cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_tutorial_links_to_pages_that_are_there(path):
    text = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
    for target in re.findall(r"\]\(([^()#\s]+)\)", text):
        assert ":" in target or (path.parent / target).exists(), target
