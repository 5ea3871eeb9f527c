"""Settings are checked when made, saved as TOML and read back exactly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sqsnn.data.presets import DELAYS, PRESETS
from sqsnn.data.temporal import TEMPORAL_TASKS
from sqsnn.errors import ConfigError
from sqsnn.training.config import (
    DataOptions,
    EncodingConfig,
    ModelConfig,
    ReadoutConfig,
    Recipe,
    RunConfig,
    TrainingConfig,
    explain,
    for_dataset,
    from_toml,
    settle,
    to_toml,
)
from sqsnn.training.rule_config import RuleConfig

POSITIVE = st.integers(1, 10**6)
OPTION_VALUES = st.one_of(
    st.booleans(),
    st.integers(-100, 100),
    st.floats(allow_nan=False, allow_infinity=False, width=64),
    st.text("abcxyz_", min_size=1),
)
RECIPES = st.builds(
    Recipe,
    model=st.builds(
        ModelConfig,
        hidden=st.lists(POSITIVE, max_size=3).map(tuple),
        memory_qubits=st.integers(0, 6),
        channels=st.integers(1, 4),
        circuit=st.text(min_size=1, max_size=10),
        circuit_options=st.dictionaries(st.text("abc", min_size=1), OPTION_VALUES, max_size=3),
    ),
    encoding=st.builds(EncodingConfig, steps=POSITIVE, max_rate=st.floats(1e-6, 1.0)),
    readout=st.builds(ReadoutConfig, report_steps=st.none() | st.just(1)),
    rule=st.one_of(
        st.builds(RuleConfig, rate_penalty=st.floats(0, 1e6), through_collapse=st.booleans()),
        st.builds(
            RuleConfig,
            rule=st.just("local"),
            signal=st.just("both"),
            samples=st.integers(2, 9),
            reward_weight=st.floats(1e-3, 10),
            score=st.just("shift"),
            window=POSITIVE,
        ),
    ),
    training=st.builds(
        TrainingConfig,
        learning_rate=st.floats(1e-3, 1.0),
        final_learning_rate=st.floats(1e-12, 1e-3),
        patience=st.none() | POSITIVE,
        seed=st.integers(0, 2**62),
        threads=POSITIVE,
    ),
)
OPTIONS = st.builds(
    DataOptions,
    classes=st.none() | st.lists(st.integers(0, 9), min_size=2, max_size=4).map(tuple),
    train_samples=st.none() | POSITIVE,
)


@given(options=OPTIONS, recipe=RECIPES)
def test_toml_gives_back_exactly_what_was_saved(options, recipe):
    config = for_dataset("digits", options, recipe)
    assert from_toml(to_toml(config), "here") == config
    # 1 == 1.0 == True, so equality alone would miss a changed type.
    read = from_toml(to_toml(config), "here").model.circuit_options
    assert [type(value) for value in read.values()] == [
        type(value) for value in config.model.circuit_options.values()
    ]


@pytest.mark.parametrize("dataset", PRESETS)
def test_what_is_left_open_comes_from_the_preset(dataset):
    config = for_dataset(dataset, DataOptions(), Recipe())
    preset = PRESETS[dataset]
    assert config.model.hidden == preset.hidden
    assert config.encoding.steps == preset.steps
    assert config.encoding.encoding == preset.encoding
    assert config.readout.report_steps == preset.report_steps
    assert config.training.epochs == preset.epochs
    assert config.training.batch_size == preset.batch


def test_what_is_asked_for_beats_the_preset_even_where_it_equals_the_default():
    default = TrainingConfig().epochs
    assert PRESETS["mnist"].epochs != default
    recipe = Recipe(training=TrainingConfig(epochs=default), model=ModelConfig(hidden=(7, 7)))
    config = for_dataset("mnist", DataOptions(), recipe)
    assert config.training.epochs == default
    assert config.model.hidden == (7, 7)
    assert config.encoding.steps == PRESETS["mnist"].steps


def test_the_numbers_of_the_preset_are_saved():
    text = to_toml(for_dataset("mnist", DataOptions(), Recipe()))
    assert "epochs = 10" in text
    assert "steps = 5" in text


def test_an_unknown_dataset_is_refused():
    with pytest.raises(ConfigError, match=r"one of digits, mnist.*'cifar'"):
        for_dataset("cifar", DataOptions(), Recipe())


def test_the_steps_of_recall_follow_from_the_delay():
    config = for_dataset("recall", DataOptions(), Recipe())
    assert (config.data.delay, config.encoding.steps) == (5, 7)
    longer = DataOptions(delay=20)
    config = for_dataset("recall", longer, Recipe(encoding=EncodingConfig(steps=22)))
    assert config == for_dataset("recall", longer, Recipe())
    assert (config.data.delay, config.encoding.steps) == (20, 22)
    assert from_toml(to_toml(config), "here") == config
    assert for_dataset("digits", DataOptions(), Recipe()).data.delay is None


@pytest.mark.parametrize("name", DELAYS)
def test_the_steps_of_every_task_in_time_are_those_of_its_samples(name):
    for delay in (1, 9):
        config = for_dataset(name, DataOptions(delay=delay), Recipe())
        assert config.encoding.steps == TEMPORAL_TASKS[name].steps(delay)


def test_the_report_window_is_as_asked_for():
    recipe = Recipe(readout=ReadoutConfig(report_steps=7))
    assert for_dataset("recall", DataOptions(), recipe).readout.report_steps == 7
    assert for_dataset("digits", DataOptions(), recipe).readout.report_steps == 7


@pytest.mark.parametrize(
    ("dataset", "options", "sections", "said"),
    [
        ("digits", {"delay": 3}, {}, "delay is 3, but digits has none; it goes with recall, order"),
        ("recall", {}, {"encoding": {"encoding": "rate"}}, "must be 'spikes', .* but is 'rate'"),
        ("digits", {}, {"encoding": {"encoding": "spikes"}}, "'rate', 'latency' or 'direct'"),
        ("recall", {}, {"encoding": {"steps": 10}}, "must be the 7 .* of recall, but is 10"),
        ("recall", {"delay": 8}, {"encoding": {"steps": 7}}, "must be the 10 .* but is 7"),
        ("recall", {}, {"readout": {"report_steps": 8}}, "at most steps, 7, but is 8"),
        (
            "digits",
            {},
            {"encoding": {"steps": 3}, "readout": {"report_steps": 4}},
            "report_steps must be at most steps, 3, but is 4",
        ),
    ],
)
def test_what_does_not_fit_the_dataset_is_refused(dataset, options, sections, said):
    with pytest.raises(ConfigError, match=said):
        for_dataset(dataset, DataOptions(**options), Recipe.model_validate(sections))


def test_what_the_machine_decides_is_written_down(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = for_dataset("digits", DataOptions.model_validate({"data_dir": "here"}), Recipe())
    settled = settle(config, source="files")
    assert settled.data.source == "files"
    assert settled.data.data_dir == tmp_path / "here"  # the run may be resumed from elsewhere
    assert from_toml(to_toml(settled), "here") == settled


@pytest.mark.parametrize(
    ("given", "read"), [("64", (64,)), ("64,32", (64, 32)), ("64, 32", (64, 32)), ("", ())]
)
def test_sizes_are_read_from_the_command_line(given, read):
    assert ModelConfig.model_validate({"hidden": given}).hidden == read
    assert ModelConfig.model_validate({"hidden": [given]}).hidden == read


def test_options_are_read_from_the_command_line_as_what_they_are():
    options = {"layers": "2", "coupling": "0.5", "deep": "true", "kind": "ring"}
    read = ModelConfig.model_validate({"circuit_options": options}).circuit_options
    assert read == {"layers": 2, "coupling": 0.5, "deep": True, "kind": "ring"}
    assert isinstance(read["layers"], int)


@pytest.mark.parametrize(
    ("section", "settings", "said"),
    [
        (ModelConfig, {"hidden": "64,,64"}, "hidden.1.*valid integer"),
        (ModelConfig, {"hidden": (0,)}, "hidden.0: .*greater than 0, but is 0"),
        (ModelConfig, {"memory_qubits": -1}, "memory_qubits: .*but is -1"),
        (ModelConfig, {"neuron": 3}, "neuron: Extra inputs are not permitted"),
        (EncodingConfig, {"max_rate": 1.5}, "max_rate: .*less than or equal to 1"),
        (EncodingConfig, {"encoding": "morse"}, "'direct' or 'spikes', but is 'morse'"),
        (RuleConfig, {"rate_penalty": float("nan")}, "rate_penalty: .*finite"),
        (TrainingConfig, {"final_learning_rate": 0.5}, "at most learning_rate, 0.01, but is 0.5"),
        (TrainingConfig, {"dtype": "float16"}, "'float32' or 'float64', but is 'float16'"),
        (DataOptions, {"classes": "3"}, "classes: .*at least 2"),
        (DataOptions, {"delay": 0}, "delay: .*greater than 0, but is 0"),
        (ReadoutConfig, {"report_steps": 0}, "report_steps: .*greater than 0, but is 0"),
    ],
)
def test_a_wrong_setting_is_named_with_what_it_was(section, settings, said):
    with pytest.raises(ValidationError) as error:
        section.model_validate(settings)
    line = explain(error.value)
    assert "\n" not in line
    with pytest.raises(ValueError, match=said):
        raise ValueError(line)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"signal": "both"}, "signal is 'both', but is looked at with rule local only"),
        ({"rule": "local", "loss_on": "count"}, "loss_on is 'count'.* rule backprop only"),
        ({"rule": "local", "samples": 8}, "samples is 8.* signal reinforce or both only"),
        (
            {"rule": "local", "signal": "reinforce", "feedback": "symmetric"},
            "feedback is 'symmetric'.* signal feedback or both only",
        ),
        (
            {"rule": "local", "signal": "both", "discount": 0.5},
            "discount is 0.5.* horizon discounted only",
        ),
        ({"rule": "local", "window": 4}, r"window is 4.* score shift \(spsa turns all"),
        ({"rule": "local", "score": "spsa", "window": 4}, "window is 4.* score shift"),
        ({"rule": "local", "score": "shift", "shots": 9}, "shots is 9.* estimator laplace only"),
        (
            {"rule": "local", "score": "shift", "estimator": "laplace", "repeats": 3},
            "repeats is 3.* estimator geometric only",
        ),
        ({"rule": "local", "update_every_step": True}, "update_every_step is True.* score online"),
        (
            {"rule": "local", "feedback": "symmetric", "feedback_path": "direct"},
            "feedback_path 'direct' needs feedback 'random'",
        ),
        (
            {"rule": "local", "signal": "reinforce", "samples": 1},
            "samples is 1, but baseline 'leave_one_out' needs at least 2",
        ),
        (
            {"rule": "local", "signal": "both", "score": "online", "horizon": "episodic"},
            "horizon is 'episodic', but score 'online' never waits",
        ),
        (
            {"rule": "local", "score": "shift", "surrogate": "sigmoid"},
            "surrogate is 'sigmoid', which needs probabilities",
        ),
        (
            {"rule": "local", "signal": "reinforce", "surrogate": "sigmoid"},
            "surrogate is 'sigmoid', but is looked at with rule backprop, or signal feedback",
        ),
        (
            {"rule": "local", "signal": "both", "score": "shift", "output_score": False},
            "output_score is False.* score exact or online only",
        ),
        ({"rule": "local", "reward_weight": 0.5}, "reward_weight is 0.5.* signal both only"),
        ({"rule": "local", "score": "shift", "window": 0}, "window: .*greater than 0, but is 0"),
        ({"rule": "local", "shots": 0}, "shots: .*greater than 0, but is 0"),
    ],
)
def test_a_rule_refuses_what_it_would_not_look_at_or_cannot_do(settings, said):
    with pytest.raises(ValidationError) as error:
        RuleConfig.model_validate(settings)
    with pytest.raises(ValueError, match=said):
        raise ValueError(explain(error.value))


def test_flags_are_named_as_they_are_typed():
    with pytest.raises(ValidationError) as error:
        ModelConfig(memory_qubits=-1)
    assert explain(error.value, flags=True).startswith("--memory-qubits: ")


def test_settings_never_change():
    with pytest.raises(ValidationError):
        TrainingConfig().seed = 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[data", "config.toml is not valid TOML"),
        ("", "config.toml: data: Field required"),
        ('[data]\ndataset = "digits"\nfrom = "x"', "config.toml: data.from: Extra"),
        ('[data]\ndataset = "digits"\n[training]\nseed = -1', "training.seed: .*but is -1"),
    ],
)
def test_a_broken_file_is_named(text, said):
    with pytest.raises(ConfigError, match=said):
        from_toml(text, "config.toml")


def test_a_file_may_leave_out_what_has_a_default():
    assert isinstance(from_toml('[data]\ndataset = "digits"', "here"), RunConfig)
