"""`sqsnn train` and `sqsnn evaluate` from the first call to the last table."""

import shlex
import signal
import subprocess
import sys

import pytest

from sqsnn.cli.progress import Screen
from sqsnn.training import config as configs
from sqsnn.training.rule_config import RuleConfig
from sqsnn.training.run_folder import RunFolder

SMALL = ["--classes", "0,1", "--train-samples", 40, "--test-samples", 20, "--hidden", 8]
SMALL += ["--steps", 3, "--epochs", 2, "--batch-size", 36]


def test_a_run_ends_with_a_table_and_says_what_lies_where(sqsnn, here):
    done = sqsnn("train", "digits", *SMALL)
    assert (done.code, done.err) == (0, "")
    folder = RunFolder(here / "runs" / "digits-1")
    result = folder.read_result()
    assert f"{result['test_accuracy']:.2%}" in done.out
    assert f"{result['test_accuracy_probability']:.2%}" in done.out
    assert str(result["parameters"]) in done.out
    for path in folder.path.iterdir():
        assert path.name in done.out
    # Not a terminal: a line an epoch and no bar.
    assert sum(line.startswith("epoch ") for line in done.out.splitlines()) == 2


def test_every_flag_reaches_the_settings(sqsnn, here):
    flags = """--classes 3,7 --train-samples 60 --test-samples 30 --hidden 5,4 --memory-qubits 2
        --channels 2 --circuit hardware_efficient --circuit-options.layers 2 --encoding latency
        --max-rate 0.5 --steps 2 --report-steps 1 --rule backprop --surrogate sigmoid
        --encoding-slope exact --through-collapse --loss-on count --rate-penalty 0.1 --epochs 1
        --batch-size 54 --learning-rate 0.02 --final-learning-rate 0.001 --patience 4 --seed 9
        --device cpu --dtype float64 --threads 1 --out there"""
    done = sqsnn("train", "digits", *flags.split())
    assert (done.code, done.err) == (0, "")
    options = configs.DataOptions(classes=(3, 7), train_samples=60, test_samples=30)
    recipe = configs.Recipe(
        model=configs.ModelConfig(
            hidden=(5, 4),
            memory_qubits=2,
            channels=2,
            circuit="hardware_efficient",
            circuit_options={"layers": 2},
        ),
        encoding=configs.EncodingConfig(encoding="latency", max_rate=0.5, steps=2),
        readout=configs.ReadoutConfig(report_steps=1),
        rule=RuleConfig(
            surrogate="sigmoid",
            encoding_slope="exact",
            through_collapse=True,
            loss_on="count",
            rate_penalty=0.1,
        ),
        training=configs.TrainingConfig(
            epochs=1,
            batch_size=54,
            learning_rate=0.02,
            final_learning_rate=0.001,
            patience=4,
            seed=9,
            dtype="float64",
            threads=1,
        ),
    )
    expected = configs.for_dataset("digits", options, recipe)
    expected = configs.settle(expected, source="scikit-learn")
    assert RunFolder(here / "there").read_config() == expected


@pytest.mark.parametrize(
    ("name", "steps"), [("recall", 5), ("order", 8), ("xor", 7), ("duration", 10)]
)
def test_a_task_in_time_is_trained_from_the_command_line(sqsnn, here, name, steps):
    flags = "--hidden 8 --epochs 1 --train-samples 200 --test-samples 100 --delay 3"
    done = sqsnn("train", name, *flags.split())
    assert (done.code, done.err) == (0, "")
    folder = RunFolder(here / "runs" / f"{name}-1")
    assert folder.is_finished()
    settings = folder.read_config()
    assert (settings.data.delay, settings.encoding.steps) == (3, steps)
    assert sqsnn("evaluate", f"runs/{name}-1", "--shots", 2).code == 0


def test_a_run_is_not_overwritten_but_finished(sqsnn, here):
    assert sqsnn("train", "digits", *SMALL, "--out", "a").code == 0
    refused = sqsnn("train", "digits", *SMALL, "--out", "a")
    assert refused.code == 2
    assert "`sqsnn train --resume a`" in refused.err
    finished = sqsnn("train", "--resume", "a")
    assert finished.code == 0
    assert "a is finished" in finished.out
    assert "test accuracy" in finished.out


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_how_to_go_on(sqsnn, here, monkeypatch, stop):
    assert sqsnn("train", "digits", *SMALL, "--out", "never stopped").code == 0

    def interrupt(screen, step):
        if step.epoch == 2:
            signal.raise_signal(stop)

    with monkeypatch.context() as patch:
        patch.setattr(Screen, "step", interrupt)
        done = sqsnn("train", "digits", *SMALL, "--out", "my run")
    assert done.code == 130
    assert "Traceback" not in done.err
    interrupted, command = done.err.splitlines()
    assert "epochs 1 to 1 are kept" in interrupted
    program, *arguments = shlex.split(command)
    assert (program, arguments) == ("sqsnn", ["train", "--resume", "my run"])
    assert sqsnn(*arguments).code == 0
    for name in ("metrics.jsonl", "metrics.json", "best.safetensors"):
        assert (here / "my run" / name).read_bytes() == (here / "never stopped" / name).read_bytes()


def test_an_interrupt_before_anything_was_written_says_so(sqsnn, here, monkeypatch):
    from sqsnn.training import run

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(run.catalog, "load", interrupt)
    done = sqsnn("train", "digits")
    assert done.code == 130
    assert "nothing was written" in done.err


def test_a_run_is_evaluated_with_any_number_of_shots(sqsnn, here):
    assert sqsnn("train", "digits", *SMALL, "--out", "a").code == 0
    one = sqsnn("evaluate", "a")
    assert one.code == 0
    assert f"{RunFolder(here / 'a').read_result()['test_accuracy']:.2%}" in one.out
    many = sqsnn("evaluate", "a", "--shots", 3)
    assert "3 shots" in many.out
    assert (here / "a" / "evaluation-shots-3.json").is_file()
    none = sqsnn("evaluate", "a", "--shots", 0)
    assert (none.code, none.out) == (2, "")
    assert "shots must be an integer of at least 1, but is 0" in none.err


@pytest.mark.slow
def test_a_compiled_run_tells_what_the_warm_up_cost(tmp_path):
    # In a process of its own, because torch.compile cannot see through checked annotations.
    command = [sys.executable, "-m", "sqsnn.cli.main", "train", "digits", *SMALL[:-1], 16]
    done = subprocess.run(
        [*map(str, command), "--compile"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "compiling: the first step took" in done.stdout
    assert RunFolder(tmp_path / "runs" / "digits-1").is_finished()
