"""The command of a run, typed again, means the very same settings."""

import shlex

import pytest
from tools import small_run

from sqsnn.cli import main as cli
from sqsnn.network.connection import Connection
from sqsnn.quantum.noise import Noise
from sqsnn.runs import run
from sqsnn.settings.command import list_settings, train_command
from sqsnn.settings.run import RunSettings, from_flat

COMMANDS = [
    "digits",
    "digits --epochs 3 --hidden 64,32 --seed 7 --dtype float64 --learning-rate 0.003",
    "digits --classes 1,7 --train-samples 100 --test-samples 50 --encoding latency --steps 5",
    "digits --circuit hardware_efficient --circuit-options.layers 2 --memory-qubits 2 --channels 2",
    "digits --memory-gates frozen --through-collapse --rate-bounds 0.1 0.2",
    "digits --neurons lif --beta 0.5",
    "digits --conv 4c3-p2 --hidden 8 --recurrent --skip --delay 1 --share none",
    "digits --longest-delay 4 --wiring all --grid 1,8,8",
    "digits --drive rectified --memory-qubits 2 --output-memory-qubits 1",
    "digits --beta 0.9 --reset-steps none --through-reset=false",
    "digits --rule local --signal both --samples 3 --output-score=false",
    "digits --rule local --score measured --window 2 --repeats 3",
    "digits --rule local --score measured --backend aer",
    "digits --rule local --score measured --backend fake_boston --pack 2",
    "digits --depolarising-1q 0.01 --missed-spike 0.05",
    "recall",
    "recall --cue-delay 2 --report-steps 2",
    "duration --cue-delay 7 --hidden 16",
    "nmnist",
    "nmnist --channels 2 --pool 4 --duration 0.2 --steps 6",
    "nmnist --channels 2 --polarity sum",
    "nmnist --polarity maps --conv 12c5-p2",
]


@pytest.fixture
def typed(monkeypatch):
    """Give the settings that a typed command means."""

    def read(command: str) -> RunSettings:
        begun = []

        def begin(settings, *args, **options):
            begun.append(settings)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(run, "begin", begin)
            with pytest.raises(KeyboardInterrupt):
                cli.app(shlex.split(command), exit_on_error=False, print_error=True)
        return begun[0]

    return read


def with_source(settings: RunSettings, **data) -> RunSettings:
    """Settings with what only a finished run knows about its data."""
    known = settings.data.model_copy(update={"source": "some-file.gz", **data})
    return settings.model_copy(update={"data": known})


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_found_again(typed, command):
    settings = typed(f"train {command}")
    found = train_command(with_source(settings))
    assert found is not None
    assert typed(found.removeprefix("sqsnn ")) == settings
    # No setting is written twice or without need.
    assert len(shlex.split(found)) <= len(shlex.split(command)) + 2


def test_a_graph_is_trained_again_from_the_file_of_its_run():
    graph = {"populations": {"output": "classes"}, "connections": [Connection("input", "output")]}
    assert train_command(from_flat("digits", graph)) == "sqsnn train --config config.toml"


def test_chosen_settings_are_those_that_differ_from_the_preset():
    settings = from_flat("recall", {"cue_delay": 2, "epochs": 4, "neurons": "lif"})
    chosen = {it.name: (it.value, it.default) for it in list_settings(settings) if it.is_chosen}
    # Steps follow from the delay.
    assert chosen == {"cue_delay": (2, 5), "epochs": (4, 30), "neurons": ("lif", "sqs")}


def test_settings_are_listed_once_with_meaning_where_they_apply():
    listed = list_settings(small_run(rule="local", score="measured"))
    names = [it.name for it in listed]
    assert len(set(names)) == len(names)
    assert {"window", "estimator", "repeats", "feedback"} <= set(names)
    assert not {"shots", "rate_penalty", "samples", "tau", "dataset", "source", "data_dir"} & set(
        names
    )
    assert all(it.meaning and "[default:" not in it.meaning for it in listed)


def test_the_name_of_a_device_stands_for_its_rates():
    settings = from_flat("digits", {"noise_from": "fake_boston"})
    neurons = settings.neurons.model_copy(update={"noise": Noise(missed_spike=0.01)})
    settled = settings.model_copy(update={"neurons": neurons})
    assert train_command(settled) == "sqsnn train digits --noise-from fake_boston"


def test_the_folder_of_the_data_is_left_out(tmp_path):
    settings = with_source(from_flat("digits", {}), data_dir=tmp_path)
    assert train_command(settings) == "sqsnn train digits"


def test_words_that_look_like_numbers_stay_words():
    settings = from_flat("digits", {"circuit": "crx"})
    neurons = settings.neurons.model_copy(update={"circuit_options": {"kind": "2", "size": 2}})
    command = train_command(settings.model_copy(update={"neurons": neurons}))
    assert command is not None
    words = shlex.split(command)
    assert words[-4:] == ["--circuit-options.kind", '"2"', "--circuit-options.size", "2"]


def test_the_word_none_leaves_open_what_a_preset_fills():
    settings = from_flat("recall", {}).model_copy(update={"report_steps": None})
    assert train_command(settings) == "sqsnn train recall --report-steps none"
