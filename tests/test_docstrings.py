"""The examples in docstrings run, and give what they say."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
MODULES = [
    ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    for path in sorted(SOURCE.rglob("*.py"))
    if ">>>" in path.read_text("utf-8")
]


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_run(module, tmp_path):
    # `folder` stands for a folder of the reader's own.
    globals_there = {"folder": tmp_path / "run"}
    finished = doctest.testmod(
        import_module(module),
        extraglobs=globals_there,
        optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS,
    )
    assert finished.attempted
    assert not finished.failed
