"""Comparison neurons from settings: what reaches them, what is refused, and whole runs."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from sqsnn.errors import ConfigError
from sqsnn.neurons.lif import LIF
from sqsnn.neurons.published_sqs import PublishedSQS
from sqsnn.neurons.qlif import QLIF
from sqsnn.neurons.stochastic_lif import StochasticLIF
from sqsnn.reports import plots
from sqsnn.training import run, trainer
from sqsnn.training.build import build_network
from sqsnn.training.config import (
    DataOptions,
    ModelConfig,
    Recipe,
    TrainingConfig,
    for_dataset,
    from_toml,
    to_toml,
)
from sqsnn.training.device_config import DeviceOptions
from sqsnn.training.export import export_neuron
from sqsnn.training.neurons import COMPARISONS, build_circuit, build_neurons
from sqsnn.training.noise_config import NoiseConfig
from sqsnn.training.on_device import run_on_device
from sqsnn.training.rule_config import RuleConfig

NAMES = ("lif", "stochastic_lif", "qlif", "published_sqs")
DETERMINISTIC = ("lif", "qlif")


def recipe_of(neurons: str, options: dict[str, Any] | None = None, **sections: Any) -> Recipe:
    model = {"neurons": neurons, "neuron_options": options or {}, **sections.pop("model", {})}
    return Recipe(model=ModelConfig(**model), **sections)


def test_every_kind_that_can_be_named_is_there():
    assert dict(COMPARISONS) == {
        "lif": LIF,
        "stochastic_lif": StochasticLIF,
        "qlif": QLIF,
        "published_sqs": PublishedSQS,
    }


@pytest.mark.parametrize("name", NAMES)
def test_settings_name_the_neurons_of_every_layer(name):
    recipe = recipe_of(
        name, model={"hidden": (6, 4)}, training=TrainingConfig(dtype="float64", seed=3)
    )
    network = build_network(recipe, 5, 3)
    assert network.sizes == (5, 6, 4, 3)
    for population in network.populations:
        assert type(population) is COMPARISONS[name]
        assert population.parameter_like.dtype == torch.float64
    assert network(torch.ones(2, 3, 5, 1).double(), generator=torch.Generator()).state


def test_options_and_settings_reach_the_neurons():
    noisy = build_network(
        recipe_of(
            "stochastic_lif",
            {"beta": 0.5, "threshold": 0.75, "tau": 0.125},
            model={"channels": 2},
            rule=RuleConfig(surrogate="sigmoid"),
        ),
        5,
        3,
    ).populations[0]
    assert (noisy.channels, noisy.surrogate, noisy.tau) == (2, "sigmoid", 0.125)
    assert (noisy.beta.unique().item(), noisy.threshold.unique().item()) == (0.5, 0.75)
    qubit = build_network(
        recipe_of("qlif", {"decay": 0.25}, rule=RuleConfig(encoding_slope="exact")), 5, 3
    ).populations[0]
    assert (qubit.encoding_slope, qubit.decay.unique().item()) == ("exact", 0.25)
    published = build_network(
        recipe_of("published_sqs", rule=RuleConfig(encoding_slope="exact", surrogate="sigmoid")),
        5,
        3,
    ).populations[0]
    assert (published.encoding_slope, published.surrogate) == ("exact", "sigmoid")


def test_the_seed_draws_the_first_values_of_the_published_formula():
    one, same, other = (
        build_network(
            recipe_of("published_sqs", training=TrainingConfig(seed=seed)), 5, 3
        ).populations[0]
        for seed in (1, 1, 2)
    )
    assert torch.equal(one.input_angle, same.input_angle)
    assert not torch.equal(one.input_angle, other.input_angle)


# What is refused


@pytest.mark.parametrize(
    ("name", "option", "takes"),
    [
        ("lif", "tau", "beta, threshold"),
        ("stochastic_lif", "decay", "beta, tau, threshold"),
        ("qlif", "beta", "decay, learn, threshold"),
        ("published_sqs", "beta", "none"),
        # What other settings decide is no option, though the neurons have such an argument.
        ("lif", "channels", "beta, threshold"),
        ("qlif", "encoding_slope", "decay, learn, threshold"),
        ("stochastic_lif", "surrogate", "beta, tau, threshold"),
        ("lif", "dtype", "beta, threshold"),
        ("lif", "size", "beta, threshold"),
    ],
)
def test_an_unknown_option_is_refused_with_those_that_there_are(name, option, takes):
    said = f"neuron_options names {option}; neurons '{name}' take {takes}$"
    with pytest.raises(ConfigError, match=said):
        build_neurons(recipe_of(name, {option: 1}))


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("lif", {"beta": 1.5}, r"neurons 'lif' cannot be built: beta is 1.5; it must be in"),
        ("stochastic_lif", {"tau": 0.0}, "'stochastic_lif' cannot be built: tau is 0"),
        ("qlif", {"threshold": 1.0}, "'qlif' cannot be built: threshold is 1.0"),
        ("lif", {"beta": "half"}, "neurons 'lif' cannot be built"),
    ],
)
def test_an_option_out_of_range_is_refused(name, options, said):
    with pytest.raises(ConfigError, match=said):
        build_neurons(recipe_of(name, options))


MISFITS = [
    ("published_sqs", {"model": {"channels": 2}}, "channels"),
    ("lif", {"rule": RuleConfig(surrogate="sigmoid")}, "surrogate"),
    ("qlif", {"rule": RuleConfig(surrogate="sigmoid")}, "surrogate"),
    ("lif", {"rule": RuleConfig(encoding_slope="exact")}, "encoding_slope"),
    ("stochastic_lif", {"rule": RuleConfig(encoding_slope="exact")}, "encoding_slope"),
    *((name, {"rule": RuleConfig(through_collapse=True)}, "through_collapse") for name in NAMES),
    *((name, {"noise": NoiseConfig(false_spike=0.1)}, "noise") for name in NAMES),
    ("lif", {"noise": NoiseConfig(noise_from="fake_brisbane")}, "noise"),
    *((name, {"training": TrainingConfig(compile=True)}, "compile") for name in NAMES),
    *(
        ("stochastic_lif", {"rule": RuleConfig(rule="local", score=score)}, "score")
        for score in ("online", "shift", "spsa")
    ),
    (
        "published_sqs",
        {"model": {"channels": 2}, "training": TrainingConfig(compile=True)},
        "channels, compile",
    ),
]


@pytest.mark.parametrize(("name", "sections", "wrong"), MISFITS)
def test_a_setting_that_the_neurons_would_not_look_at_is_refused(name, sections, wrong):
    said = rf"^{wrong} cannot be set with neurons '{name}': leave it out, or take neurons 'sqs'$"
    with pytest.raises(ConfigError, match=said):
        build_neurons(recipe_of(name, **sections))


@pytest.mark.parametrize("name", DETERMINISTIC)
@pytest.mark.parametrize("signal", ["reinforce", "both"])
def test_a_signal_from_likelihoods_is_refused_where_nothing_is_drawn(name, signal):
    said = f"signal '{signal}' learns from the likelihood of spikes, but neurons '{name}' draw none"
    with pytest.raises(ConfigError, match=said):
        build_neurons(recipe_of(name, rule=RuleConfig(rule="local", signal=signal)))


@pytest.mark.parametrize(
    ("name", "signal"),
    [
        *((name, "feedback") for name in NAMES),
        *((name, "reinforce") for name in ("stochastic_lif", "published_sqs")),
        ("lif", "none"),
    ],
)
def test_other_signals_are_taken(name, signal):
    build_neurons(recipe_of(name, rule=RuleConfig(rule="local", signal=signal)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"neurons": "lif", "memory_qubits": 2}, r"memory_qubits is 2, but goes with.*'sqs'"),
        ({"neurons": "lif", "circuit": "crx"}, "circuit is 'crx', but goes with neurons 'sqs'"),
        ({"neurons": "qlif", "circuit_options": {"layers": 2}}, "circuit_options"),
        ({"neuron_options": {"beta": 0.5}}, r"neuron_options is .* goes with neurons other than"),
        ({"neurons": "perceptron"}, "'sqs', 'lif', 'stochastic_lif', 'qlif' or 'published_sqs'"),
    ],
)
def test_settings_of_other_neurons_are_refused(settings, said):
    with pytest.raises(ValidationError, match=said):
        ModelConfig(**settings)


@pytest.mark.parametrize("name", NAMES)
def test_there_is_no_circuit_of_neurons_that_are_none(name):
    with pytest.raises(ConfigError, match=rf"\(neurons 'sqs'\), but neurons is '{name}'"):
        build_circuit(ModelConfig(neurons=name))


# Runs


@pytest.fixture(scope="module")
def settings(config):
    """Settings of one epoch on digits with neurons of a kind."""

    def make(name: str, options: dict[str, Any] | None = None, **sections: Any):
        model = {"hidden": (12,), "neurons": name, "neuron_options": options or {}}
        return config(epochs=1).model_copy(update={"model": ModelConfig(**model), **sections})

    return make


@pytest.fixture(scope="module")
def folders(settings, tmp_path_factory):
    """A finished run of every kind, the first with its pictures; and what was to be drawn."""
    found, drawn = {}, {}
    for name in NAMES:
        with pytest.MonkeyPatch.context() as patch:
            if name != NAMES[0]:
                patch.setattr(
                    plots,
                    "save_run_pictures",
                    lambda *args, name=name, **what: drawn.update({name: what}),
                )
            found[name] = run.begin(settings(name), tmp_path_factory.mktemp(name) / "run")
    return found, drawn


@pytest.mark.parametrize("name", NAMES)
def test_a_run_ends_with_a_result_that_repeats(folders, settings, no_pictures, tmp_path, name):
    folder = folders[0][name]
    assert folder.is_finished()
    result = folder.read_result()
    network = run.load(folder).network
    assert all(type(population) is COMPARISONS[name] for population in network.populations)
    assert result["parameters"] == sum(p.numel() for p in network.parameters())
    assert 0 <= result["test_accuracy_spikes"] <= 1
    assert from_toml(to_toml(folder.read_config()), "here") == folder.read_config()
    figures = run.evaluate_run(folder, shots=1, data_dir=None)
    assert figures == {"shots": 1} | {key: result[key] for key in figures if key != "shots"}
    again = run.begin(settings(name), tmp_path / "again")
    for file in ("metrics.jsonl", "best.safetensors", "checkpoint.safetensors"):
        assert (again.path / file).read_bytes() == (folder.path / file).read_bytes()


def test_there_is_no_picture_of_a_circuit_that_there_is_not(folders):
    found, drawn = folders
    assert {path.name for path in found[NAMES[0]].path.glob("*.png")} == {
        "confusion-matrix.png",
        "learning-curve.png",
        "raster.png",
    }
    assert drawn.keys() == set(NAMES[1:])
    assert all(what["circuit"] is None for what in drawn.values())


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_by_probability_neurons_without_luck_answer_as_by_count(folders, name):
    # Their probability is the spike: summed, both say the same.
    result = folders[0][name].read_result()
    assert result["test_accuracy_probability"] == result["test_accuracy"]


@pytest.mark.parametrize(
    ("name", "signal"),
    [
        *((name, "feedback") for name in NAMES),
        ("stochastic_lif", "reinforce"),
        ("published_sqs", "both"),
    ],
)
def test_every_kind_is_trained_by_the_local_rule(settings, no_pictures, tmp_path, name, signal):
    rule = RuleConfig(rule="local", signal=signal)
    folder = run.begin(settings(name, rule=rule), tmp_path / "run")
    (line,) = folder.read_metrics()
    assert line["gradient_norm"] > 0
    # What is certain to happen has likelihood 1.
    assert (line["train_log_likelihood"] == 0) == (name in DETERMINISTIC)


def test_what_is_refused_leaves_no_folder_behind(settings, tmp_path):
    with pytest.raises(ConfigError, match="neuron_options names tau"):
        run.begin(settings("lif", {"tau": 1.0}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_device_and_an_export_need_circuits(folders, name):
    folder = folders[0][name]
    said = rf"needs neurons that are circuits \(neurons 'sqs'\), but neurons is '{name}'"
    with pytest.raises(ConfigError, match=said):
        run_on_device(folder, DeviceOptions(), None)
    with pytest.raises(ConfigError, match=said):
        export_neuron(folder, 0, 0, None, None)
    assert not (folder.path / "hardware").exists()


# Memory gates that do not learn


@pytest.mark.parametrize("rule", [{}, {"rule": "local", "signal": "both"}])
def test_frozen_memory_gates_stay_and_all_else_learns(rule):
    model = ModelConfig(circuit="integrate_and_fire", memory_gates="frozen", hidden=(5,))
    recipe = Recipe(model=model, rule=RuleConfig(**rule), training=TrainingConfig(epochs=1))
    options = DataOptions(classes=(0, 1, 2), train_samples=80)
    settled, dataset = run.prepare(for_dataset("digits", options, recipe))
    classes, samples = len(dataset.class_names), len(dataset.train.labels)
    progress = trainer.start(settled, dataset.features, classes, samples)
    before = {name: value.clone() for name, value in progress.network.state_dict().items()}
    list(trainer.epochs(progress, settled, dataset.train, None))
    for name, value in progress.network.state_dict().items():
        moved = (value != before[name]).any(0)
        if name.endswith("angles"):  # read, reset, RX(memory), RX(channel)
            assert moved.tolist() == [False, False, False, True]
        elif name.endswith("gains"):  # of the channel, of the memory
            assert moved.tolist() == [True, False]
        else:
            assert moved.any()


def test_memory_gates_that_are_not_there_cannot_be_frozen():
    with pytest.raises(ValidationError, match="memory_gates is 'frozen', but memory_qubits is 0"):
        ModelConfig(memory_qubits=0, memory_gates="frozen")
    with pytest.raises(ValidationError, match="memory_gates is 'frozen', but goes with neurons"):
        ModelConfig(neurons="lif", memory_gates="frozen")
