"""Studies that train in a moment, on two classes of scikit-learn's digits."""

import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import tomli_w
import torch

from sqsnn.cli import ends
from sqsnn.runs import loading
from sqsnn_bench.cli import main
from sqsnn_bench.study.config import Study, read_study
from sqsnn_bench.study.plan import Plan, make_plan

# One thread: sums are then added in one order, and parallel test processes do not compete.
torch.set_num_threads(1)

Change = Callable[[dict[str, Any]], None]


def nothing(content: dict[str, Any]) -> None:
    """Change nothing."""


def tiny() -> dict[str, Any]:
    """The content of a study of two models, with a search of two trials each and two seeds."""
    return {
        "name": "tiny",
        "seeds": [0, 1],
        "search": {
            "trials": 2,
            "seed": 1000,
            "train_samples": 40,
            "epochs": 1,
            "learning_rate": [0.01, 0.03],
        },
        "datasets": {
            "digits": {
                "parameters": 830,
                "data": {"classes": [0, 1], "train_samples": 60, "test_samples": 20},
                "encoding": {"steps": 2},
                "training": {"epochs": 2, "batch_size": 20},
            }
        },
        "models": {
            "crx": {"label": "SQS crx", "neurons": {"circuit": "crx"}},
            "lif": {
                "neurons": {"kind": "lif"},
                "search": {"neurons": {"beta": [0.5, 0.9]}, "training.learning_rate": [0.01]},
            },
        },
    }


@pytest.fixture
def study_file(tmp_path: Path) -> Callable[..., Path]:
    """Write the tiny study, changed by a function."""

    def make(change: Change = nothing) -> Path:
        content = tiny()
        change(content)
        path = tmp_path / "study.toml"
        path.write_text(tomli_w.dumps(content), "utf-8")
        return path

    return make


@pytest.fixture
def study(study_file: Callable[..., Path]) -> Callable[..., Study]:
    """Read the tiny study, changed by a function."""
    return lambda change=nothing: read_study(study_file(change))


@pytest.fixture
def plan(study: Callable[..., Study], tmp_path: Path) -> Callable[..., Plan]:
    """Plan the tiny study, changed by a function, with its results always in one folder."""
    return lambda change=nothing: make_plan(study(change), tmp_path / "out")


@pytest.fixture
def tests_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the datasets whose test samples were read, one entry per reading."""
    read: list[str] = []
    load = loading.catalog.load

    def watched(name: str, **options: Any) -> Any:
        dataset = load(name, **options)

        def load_test() -> Any:
            read.append(name)
            return dataset.load_test()

        return replace(dataset, load_test=load_test)

    monkeypatch.setattr(loading.catalog, "load", watched)
    return read


class Done(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture
def bench(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Done]]:
    """Run `sqsnn-bench` and catch what it prints."""

    def call(*arguments: object) -> Done:
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        return Done(code, *capsys.readouterr())

    handlers = {number: signal.getsignal(number) for number in ends.SIGNALS}
    yield call
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def own_modules_forgotten(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Forget the modules that a test wrote and imported: another may write one of the same name."""
    before = set(sys.modules)
    yield
    for name in sys.modules.keys() - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and Path(file).is_relative_to(tmp_path_factory.getbasetemp()):
            del sys.modules[name]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, to be in."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder
