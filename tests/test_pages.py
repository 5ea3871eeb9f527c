"""The programs and commands of the documentation run as they stand."""

import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest
import torch

import sqsnn
from sqsnn.cli.main import app, main
from sqsnn.quantum import circuits
from sqsnn.runs import run
from sqsnn.settings.toml import from_toml

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "extending.md").read_text("utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = "".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)).splitlines()
NAMES = ["notebook", "estimator", "module", "qiskit", "neuron", "callback", "tracker"]


def blocks_of(page: str) -> list[tuple[str, str]]:
    """The language and the text of each block of a page."""
    text = (DOCS / page).read_text("utf-8")
    return re.findall(r"```(python|sh|toml)\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("program", PROGRAMS, ids=NAMES)
def test_the_programs_on_extending_run(program, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(circuits, "_REGISTRY", dict(circuits._REGISTRY))
    exec(compile(program, "extending.md", "exec"), {"__name__": "extending"})
    assert bool(capsys.readouterr().out) == ("print(" in program)


def test_the_commands_on_extending_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    # Its own database takes MLflow seconds to make; tests/trackers do.
    for name, value in {
        "WANDB_MODE": "offline",
        "WANDB_SILENT": "true",
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "MLFLOW_TRACKING_URI": "mlruns",
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "mine.py").write_text(PROGRAMS[NAMES.index("module")])
    classes, _, _ = PROGRAMS[NAMES.index("neuron")].partition("\n\ng = ")
    (tmp_path / "refractory.py").write_text(classes)
    for command in COMMANDS:
        main(shlex.split(command)[1:])
    assert 'circuit = "mine:twist"' in (tmp_path / "runs/twist/config.toml").read_text()
    # The table on the page says what the command said.
    _, neurons, _ = re.split(r"```toml\n|```\n", PAGE[PAGE.index("```toml\n") :], maxsplit=2)
    kept = tomllib.loads((tmp_path / "runs/rested/config.toml").read_text())["neurons"]
    assert kept == {**tomllib.loads(neurons)["neurons"], "channels": 1}
    assert capsys.readouterr().err == ""


def type_page(page: str) -> dict[str, object]:
    """Run the programs and commands of a page in turn, in the folder where we stand."""
    namespace: dict[str, object] = {"__name__": page}
    for language, text in blocks_of(page):
        if language == "python":
            exec(compile(text, page, "exec"), namespace)
        elif language == "toml":
            Path("graph.toml").write_text(text, "utf-8")
        else:
            for command in text.splitlines():
                main(shlex.split(command)[1:])
    return namespace


def test_the_page_on_own_data_runs_from_its_first_line_to_its_last(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    type_page("own-data.md")
    done = capsys.readouterr()
    assert done.err == ""
    assert "bad.csv, line 3, column 'up': expected a number, found 'high'" in done.out
    for name in ("predictions.csv", "answers.csv", "iris.md", "waves.csv", "runs/iris/report.html"):
        assert (tmp_path / name).is_file()
    waves = sqsnn.load("runs/waves").metrics
    # What the page says of its examples: 24 samples, the network far above the linear model.
    assert waves["test_accuracy"] > 0.8 > waves["baseline"]["figures"]["accuracy"]


def test_the_page_on_networks_runs_from_its_first_line_to_its_last(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "draw_run", lambda *args: None)  # which would take most of the time
    names = type_page("networks.md")
    assert capsys.readouterr().err == ""
    assert names["record"]["edges"].spikes.shape == (10, 32, 144, 1)
    assert names["classifier"].score(names["X"][:200], names["y"][:200]) > 0.1
    # The graph in Python and the one in the file are the same.
    assert from_toml(config_of("graph"), "here").graph == from_toml(config_of("toml"), "here").graph
    assert config_of("again") == config_of("toml")


def config_of(run: str) -> str:
    """The settings that a run saved."""
    return (Path("runs") / run / "config.toml").read_text("utf-8")


def test_the_page_on_exchange_runs_from_its_first_line_to_its_last(tmp_path, monkeypatch, capsys):
    for extra in ("nir", "neurobench"):
        pytest.importorskip(extra, reason=f"the extra {extra} is not installed")
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng():  # the loader draws globally
        type_page("exchange.md")
    assert "'Effective_ACs'" in capsys.readouterr().out
    assert (tmp_path / "digits.nir").is_file()


def test_the_page_on_pennylane_runs_from_its_first_line_to_its_last(capsys):
    pytest.importorskip("pennylane", reason="the extra pennylane is not installed")
    names = type_page("pennylane.md")
    assert "Probs[MCM]" in capsys.readouterr().out
    assert names["drawn"].shape == (100, 4)
    assert names["layers"].angles.shape == (16, 12)


def test_the_page_on_spike_trains_runs_from_its_first_line_to_its_last(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    names = type_page("spike-trains.md")
    assert capsys.readouterr().err == ""
    # What the page says of its examples: four angles, and spikes that the model foresees.
    model, trains = names["model"], names["trains"]
    assert model.parameters_ == 4
    assert model.score(trains[16:]) > 0.5
    assert names["driven"].score(names["spikes"], names["stimulus"]) > 0.2
    assert names["coupled"].score(names["both"]) > 0.5
    for name in (
        "prediction.png",
        "runs/cell/report.html",
        "samples.npz",
        "runs/driven/model.sqsnn",
    ):
        assert (tmp_path / name).is_file()
    pictures = re.findall(r"\(images/(.+?)\)", (DOCS / "spike-trains.md").read_text("utf-8"))
    assert len(pictures) == 3 and all((DOCS / "images" / name).is_file() for name in pictures)


def test_the_loop_on_scaling_runs_alone_and_the_commands_exist(capsys):
    blocks = blocks_of("scaling.md")
    ((_, program),) = [block for block in blocks if block[0] == "python"]
    exec(compile(program, "scaling.md", "exec"), {"__name__": "scaling"})
    assert capsys.readouterr().out.startswith("loss ")
    commands = [line for kind, text in blocks if kind == "sh" for line in text.splitlines()]
    assert len(commands) >= 4
    for line in commands:  # a training on MNIST takes minutes
        words = shlex.split(line, comments=True)
        typed = words[words.index("sqsnn") + 1 :]
        assert callable(app.parse_args(typed, exit_on_error=False, print_error=False)[0])
