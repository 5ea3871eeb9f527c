"""All settings of a run: presets, what was chosen, and the checks between them."""

import re

import numpy as np
import pytest
from tools import small_run

from sqsnn.data.specs import SPECS
from sqsnn.encoding import Current, Latency, Rate, Spikes
from sqsnn.errors import ConfigError
from sqsnn.learning.backprop import Backprop
from sqsnn.learning.bit_source import Backend
from sqsnn.learning.estimators import Geometric, Laplace
from sqsnn.learning.local import Local
from sqsnn.learning.online import Online
from sqsnn.learning.scores import Exact, Measured
from sqsnn.learning.signals import Both, Feedback, NoSignal, Reinforce
from sqsnn.native import library
from sqsnn.quantum.noise import Noise
from sqsnn.settings.run import TrainingSettings, for_dataset, from_flat

# What pydantic says, and no user should read.
JARGON = re.compile(r"validation error|https?:|type=|input_value|union_tag|tagged|found using")


def refusal(dataset: str, given: dict) -> str:
    """The message, in one plain line, with which settings are refused."""
    with pytest.raises(ConfigError) as refused:
        from_flat(dataset, given)
    message = str(refused.value)
    assert "\n" not in message
    assert not JARGON.search(message)
    return message


# Presets


@pytest.mark.parametrize("dataset", SPECS)
def test_what_is_left_open_comes_from_the_preset(dataset):
    settings, spec = from_flat(dataset, {}), SPECS[dataset]
    assert settings.hidden == spec.hidden
    encoding = Spikes if spec.is_spike_trains else Current if spec.is_series else Rate
    assert settings.encoding == encoding(spec.steps())
    assert settings.reads_values == spec.predicts_values
    assert settings.report_steps == spec.report_steps
    assert settings.training == TrainingSettings(
        epochs=spec.epochs, batch_size=spec.batch_size, learning_rate=spec.learning_rate
    )
    assert settings.rule == Backprop(loss_on=spec.loss_on)
    assert settings.neurons.kind == "sqs"


@pytest.mark.parametrize(("kind", "rate"), [("sqs", 0.01), ("lif", 0.02), ("stochastic_lif", 0.04)])
def test_every_kind_of_neurons_has_its_own_learning_rate(kind, rate):
    assert from_flat("braille", {"neurons": kind}).training.learning_rate == rate
    chosen = from_flat("braille", {"neurons": kind, "learning_rate": 0.5})
    assert chosen.training.learning_rate == 0.5


def test_a_choice_beats_the_preset_even_where_it_equals_the_default():
    default = TrainingSettings().epochs
    assert SPECS["mnist"].epochs != default
    settings = from_flat("mnist", {"epochs": default, "hidden": (7, 7)})
    assert (settings.training.epochs, settings.hidden) == (default, (7, 7))
    assert settings.encoding.steps == SPECS["mnist"].steps()


def test_a_preset_fills_what_another_kind_shares():
    assert from_flat("mnist", {"encoding": "latency"}).encoding == Latency(SPECS["mnist"].steps())
    nested = for_dataset("mnist", {"encoding": {"kind": "latency"}})
    assert nested.encoding == Latency(SPECS["mnist"].steps())


def test_flat_and_nested_settings_say_the_same():
    flat = {"rule": "local", "signal": "both", "score": "measured", "window": 2, "steps": 3}
    nested = {
        "rule": {
            "kind": "local",
            "signal": {"kind": "both"},
            "score": {"kind": "measured", "window": 2},
        },
        "encoding": {"steps": 3},
    }
    assert from_flat("digits", flat) == for_dataset("digits", nested)


def test_the_report_window_is_free_within_the_steps():
    assert from_flat("recall", {"report_steps": 7}).report_steps == 7
    assert from_flat("digits", {"report_steps": 7}).report_steps == 7


# Objects


@pytest.mark.parametrize(
    ("chosen", "rule"),
    [
        ({}, Backprop()),
        ({"loss_on": "count", "rate_penalty": 0.25}, Backprop("count", 0.25)),
        ({"rule": "local"}, Local(Feedback(), Exact())),
        (
            {"rule": "local", "signal": "reinforce", "samples": 7, "baseline": "running"},
            Local(Reinforce(7, "running")),
        ),
        (
            {
                "rule": "local",
                "signal": "both",
                "feedback": "symmetric",
                "horizon": "discounted",
                "discount": 0.5,
                "reward_weight": 0.3,
                "score": "online",
                "update_every_step": True,
            },
            Local(
                Both(Feedback("symmetric"), Reinforce(horizon="discounted", discount=0.5), 0.3),
                Online(update_every_step=True),
            ),
        ),
        (
            {"rule": "local", "signal": "none", "score": "measured", "window": 3, "repeats": 5},
            Local(NoSignal(), Measured(3, estimator=Geometric(5))),
        ),
        (
            {
                "rule": "local",
                "score": "measured",
                "derivative": "spsa",
                "estimator": "laplace",
                "shots": 7,
                "backend": "fake_boston",
                "pack": "all",
            },
            Local(
                score=Measured(
                    derivative="spsa", estimator=Laplace(7), backend=Backend("fake_boston", "all")
                )
            ),
        ),
    ],
    ids=str,
)
def test_flat_names_and_objects_say_the_same(chosen, rule):
    assert small_run(**chosen).rule == rule
    assert small_run(**chosen) == small_run(rule=rule)


def test_encodings_and_noise_may_be_objects():
    assert from_flat("digits", {"encoding": Rate(3)}).encoding == Rate(3)
    assert from_flat("recall", {"encoding": Spikes(7)}) == from_flat("recall", {})
    assert small_run(noise=Noise(missed_spike=0.1)) == small_run(missed_spike=0.1)


@pytest.mark.parametrize(
    ("dataset", "given", "message"),
    [
        ("recall", {"encoding": Spikes(8)}, "steps must be the 7 of the samples"),
        (
            "digits",
            {"encoding": Spikes(8)},
            "encoding must be 'rate' or 'latency' or 'current' or 'population' or 'phase'",
        ),
        ("digits", {"rule": 3}, "rule: .*but is 3"),
        ("digits", {"neurons": 3}, "neurons: .*but is 3"),
        ("digits", {"rule": {"kind": "nope"}}, "rule: kind may be one of 'backprop', 'local'"),
    ],
)
def test_other_objects_are_refused(dataset, given, message):
    assert re.search(message, refusal(dataset, given))


# Checks between settings


@pytest.mark.parametrize(
    ("dataset", "given", "message"),
    [
        ("recall", {"encoding": "rate"}, "encoding must be 'spikes', .* but is 'rate'"),
        ("braille", {"encoding": "latency"}, "encoding must be 'spikes', .* but is 'latency'"),
        (
            "digits",
            {"encoding": "spikes"},
            "encoding must be 'rate' or 'latency' or 'current' or 'population' or 'phase'",
        ),
        ("recall", {"steps": 10}, "steps must be the 7 .* of recall, but is 10"),
        ("recall", {"cue_delay": 8, "steps": 7}, "steps must be the 10 .* but is 7"),
        ("recall", {"report_steps": 8}, "report_steps must be at most steps, 7, but is 8"),
        ("digits", {"steps": 3, "report_steps": 4}, "at most steps, 3, but is 4"),
        ("shd", {"report_steps": 51}, "report_steps must be at most steps, 50"),
        ("digits", {"report_steps": 0}, "report_steps: .*greater than or equal to 1, but is 0"),
        ("digits", {"hidden": (0,)}, "hidden.0: .*greater than or equal to 1, but is 0"),
        ("digits", {"neuron": 3}, "there is no setting neuron; did you mean neurons"),
        ("digits", {"max_rate": 1.5}, "max_rate: .*less than or equal to 1"),
        (
            "digits",
            {"encoding": "morse"},
            "rate, latency, delta, current, population, phase, spikes",
        ),
        ("digits", {"final_learning_rate": 0.5}, "at most learning_rate, 0.01, but is 0.5"),
        ("digits", {"dtype": "float16"}, "dtype: .*'float32' or 'float64', but is 'float16'"),
        ("digits", {"seed": -1}, "seed: .*greater than or equal to 0, but is -1"),
        ("digits", {"rate_penalty": float("nan")}, "rate_penalty: .*finite"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_by_name(dataset, given, message):
    assert re.search(message, refusal(dataset, given))


ON_AER = {"score": "measured", "backend": "aer"}


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"rule": "backprop", "signal": "both"}, "signal is 'both', but goes with rule 'local'"),
        ({"rate_penalty": 0.5}, "rate_penalty is 0.5, but goes with rule 'backprop' only"),
        ({"samples": 8}, "samples is 8, .*signal 'reinforce', or .*signal 'both' only"),
        ({"signal": "reinforce", "feedback": "symmetric"}, "feedback is 'symmetric'.*'both' only"),
        ({"signal": "both", "discount": 0.5}, "discount is 0.5.* horizon 'discounted'"),
        ({"window": 4}, "window is 4, .* score 'measured' only"),
        ({"score": "measured", "derivative": "spsa", "window": 4}, "window is 4, .*'spsa'"),
        ({"score": "measured", "shots": 9}, "shots is 9.* estimator 'laplace' only"),
        ({"score": "measured", "estimator": "laplace", "repeats": 3}, "estimator 'geometric' only"),
        ({"update_every_step": True}, "update_every_step is True.* score 'online' only"),
        ({"feedback": "symmetric", "feedback_path": "direct"}, "'direct' needs feedback 'random'"),
        ({"signal": "reinforce", "samples": 1}, "'leave_one_out' needs at least 2"),
        ({"signal": "both", "score": "online", "horizon": "episodic"}, "'online' never waits"),
        ({"signal": "both", "score": "measured", "output_score": False}, "output_score is False"),
        ({"reward_weight": 0.5}, "reward_weight is 0.5, .* signal 'both' only"),
        ({"score": "measured", "window": 0}, "window: .*greater than or equal to 1, but is 0"),
        (
            {"score": "measured", "estimator": "laplace", "shots": 0},
            "shots: .*greater than or equal to 1",
        ),
        ({"backend": "aer"}, "backend is 'aer', .* score 'measured' only"),
        ({"score": "measured", "pack": 2}, "pack is 2, but goes with backend only"),
        ({"score": "measured", "mode": "batch"}, "mode is 'batch', but goes with backend only"),
        ({**ON_AER, "pack": 2}, "pack is 2, but backend 'aer' has no chip"),
        ({**ON_AER, "mode": "batch"}, "mode is 'batch'.*ibm:NAME.*'aer'"),
    ],
    ids=str,
)
def test_a_rule_refuses_what_it_would_not_use_or_cannot_do(chosen, message):
    assert re.search(message, refusal("digits", {"rule": "local", **chosen}))


# Noise


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"noise_strength": 2.0}, "noise_strength is 2.0, .* with noise_from only"),
        ({"noise_from": "fake_boston", "noise_strength": 0}, "noise_strength: .*greater than 0"),
        ({"noise_from": "fake_boston", "false_spike": 0.0}, "noise_from gives all rates"),
        ({"noise_from": "fake_boston", "noise": Noise()}, "noise_from gives all rates"),
        ({"noise_from": "fake_boston", "neurons": "lif"}, "noise_from goes with neurons 'sqs'"),
        ({"false_spike": 0.1, "neurons": "lif"}, "false_spike is 0.1, .*neurons 'sqs' only"),
    ],
)
def test_contradictions_about_noise_are_refused(given, message):
    assert re.search(message, refusal("digits", given))


def test_the_noise_of_a_device_is_open_until_its_rates_are_written_down():
    settings = small_run(noise_from="fake_boston")
    assert settings.needs_rates
    known = settings.neurons.model_copy(update={"noise": Noise()})
    assert not settings.model_copy(update={"neurons": known}).needs_rates
    assert not small_run(missed_spike=0.1).needs_rates
    assert not small_run().needs_rates


# Synapses


def test_events_are_refused_where_they_cannot_run(monkeypatch):
    said = "^synapses is 'events', but the weights are on cuda, .* use 'dense'"
    assert re.search(said, refusal("digits", {"synapses": "events", "device": "cuda"}))
    assert re.search("synapses: .*'dense' or 'events'", refusal("digits", {"synapses": "rare"}))
    monkeypatch.setattr(library, "current", lambda: library.Library(None, "there is no kernel"))
    said = "^synapses is 'events', but there is no kernel; use 'dense'"
    assert re.search(said, refusal("digits", {"synapses": "events"}))


@pytest.mark.parametrize("every_step", [True, False])
def test_values_at_every_step_are_read_where_they_are_asked_for(tmp_path, every_step):
    X = np.random.default_rng(0).random((12, 5, 2))
    y = X.cumsum(1) if every_step else X.sum(1)
    path = str(tmp_path / "my.npz")
    np.savez(path, X=X, y=y)
    settings = from_flat(path, {})
    assert (settings.readout.every_step, settings.encoding.steps) == (every_step, 5)
    found = "step" if every_step else "sample"
    with pytest.raises(
        ConfigError, match=rf"every_step must be {str(every_step).lower()}.* for each {found}"
    ):
        from_flat(path, {"every_step": not every_step})
    if every_step:
        with pytest.raises(ConfigError, match=r"steps must be 5, because .* each of its 5 steps"):
            from_flat(path, {"steps": 10})
    else:
        assert from_flat(path, {"steps": 10}).encoding.steps == 10
