"""The command of a run, typed again, asks for the very same settings."""

import shlex

import pytest

from sqsnn.cli import main as cli
from sqsnn.training import run
from sqsnn.training.command import settings, train_command
from sqsnn.training.config import RunConfig, settle

COMMANDS = [
    "digits",
    "digits --epochs 3 --hidden 64,32 --seed 7 --compile --dtype float64 --learning-rate 0.003",
    "digits --classes 1,7 --train-samples 100 --test-samples 50 --encoding latency --steps 5",
    "digits --circuit hardware_efficient --circuit-options.layers 2 --memory-qubits 2 --channels 2",
    "digits --neurons lif --neuron-options.beta 0.5",
    "digits --rule local --signal both --samples 3 --output-score=false",
    "digits --rule local --score shift --window 2 --repeats 3",
    "digits --depolarising-1q 0.01 --missed-spike 0.05",
    "recall",
    "recall --delay 2 --report-steps 2",
    "duration --delay 7 --hidden 16",
    "nmnist",
    "nmnist --channels 2 --pool 4 --duration 0.2 --steps 6",
    "nmnist --channels 2 --polarity sum",
]


@pytest.fixture
def asked(monkeypatch):
    """The settings that a command asks a run for."""

    def ask(command: str) -> RunConfig:
        heard = []

        def begin(settings, *args):
            heard.append(settings)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(run, "begin", begin)
            with pytest.raises(KeyboardInterrupt):
                cli.app(shlex.split(command), exit_on_error=False, print_error=True)
        return heard[0]

    return ask


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_found_again(asked, command):
    config = asked(f"train {command}")
    found = train_command(settle(config, source="some-file.gz"))
    assert found is not None
    assert asked(found.removeprefix("sqsnn ")) == config
    # Nothing is said twice or for nothing.
    words = shlex.split(found)
    assert len(words) <= len(shlex.split(command)) + 2


def test_chosen_settings_are_those_that_differ_from_the_preset(asked):
    config = asked("train recall --delay 2 --epochs 4")
    chosen = {one.name: (one.value, one.default) for one in settings(config) if one.is_chosen}
    assert chosen["delay"] == (2, 5)
    assert chosen["epochs"][0] == 4
    assert set(chosen) == {"delay", "epochs"}  # steps follow from the delay
    for one in settings(config):
        assert one.meaning and "[default:" not in one.meaning


def test_rates_of_a_device_are_asked_for_by_its_name(asked):
    config = asked("train digits --noise-from fake_brisbane")
    rates = {name: 0.01 for name in config.noise.rates}
    noise = type(config.noise)(noise_from="fake_brisbane", **rates)
    settled = config.model_copy(update={"noise": noise})
    assert train_command(settled) == "sqsnn train digits --noise-from fake_brisbane"


def test_the_folder_of_the_data_is_not_told(asked, tmp_path):
    config = asked(f"train digits --data-dir {tmp_path}")
    assert train_command(config) == "sqsnn train digits"
    assert "data_dir" not in [one.name for one in settings(config)]


def test_words_that_look_like_numbers_stay_words(asked):
    config = asked("train digits --circuit crx")
    model = config.model.model_copy(update={"circuit_options": {"kind": "2", "size": 2}})
    command = train_command(config.model_copy(update={"model": model}))
    assert command is not None
    words = shlex.split(command)
    assert words[-4:] == ["--circuit-options.kind", '"2"', "--circuit-options.size", "2"]


def test_no_command_gives_what_the_command_line_cannot_ask_for(asked):
    config = asked("train recall")
    readout = config.readout.model_copy(update={"report_steps": None})
    assert train_command(config.model_copy(update={"readout": readout})) is None
