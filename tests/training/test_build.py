"""Settings mean the same network, the same random numbers and the same spikes everywhere."""

from itertools import product

import pytest
import torch

from sqsnn import encoding as encodings
from sqsnn.errors import CompilerMissingError, ConfigError
from sqsnn.learning import Estimator, LearningSignal, LocalRule, OnlineLocalRule
from sqsnn.training.build import (
    Purpose,
    build_network,
    build_rule,
    choose_device,
    encode,
    seeded,
)
from sqsnn.training.config import (
    EncodingConfig,
    ModelConfig,
    ReadoutConfig,
    Recipe,
    TrainingConfig,
)
from sqsnn.training.neurons import build_circuit
from sqsnn.training.rule_config import RuleConfig


def first_numbers(seed: int, purpose: Purpose, epoch: int) -> tuple[float, ...]:
    return tuple(torch.rand(3, generator=seeded(seed, purpose, epoch=epoch)).tolist())


def test_every_seed_purpose_and_epoch_has_a_stream_of_its_own():
    streams = list(product((0, 1, 2**40), Purpose, (0, 1, 2)))
    drawn = {first_numbers(*stream) for stream in streams}
    assert len(drawn) == len(streams)
    assert first_numbers(*streams[0]) == first_numbers(*streams[0])


def test_streams_are_the_same_on_every_platform():
    assert seeded(0, Purpose.ORDER, epoch=1).initial_seed() == 1554199118406742183
    order = torch.randperm(5, generator=seeded(0, Purpose.ORDER, epoch=1))
    assert order.tolist() == [2, 3, 0, 4, 1]


def test_a_seed_names_the_weights():
    first, same, other = (
        build_network(Recipe(training=TrainingConfig(seed=seed)), 5, 3) for seed in (1, 1, 2)
    )
    assert all(map(torch.equal, first.parameters(), same.parameters()))
    assert not torch.equal(first.synapses[0].weight, other.synapses[0].weight)


def test_settings_reach_the_neurons():
    recipe = Recipe(
        model=ModelConfig(
            hidden=(6, 4),
            channels=2,
            memory_qubits=3,
            circuit="hardware_efficient",
            circuit_options={"layers": 2},
        ),
        rule=RuleConfig(surrogate="sigmoid", encoding_slope="exact", through_collapse=False),
        training=TrainingConfig(dtype="float64"),
    )
    network = build_network(recipe, 5, 3)
    assert network.sizes == (5, 6, 4, 3)
    for population in network.populations:
        assert (population.channels, population.memory_qubits) == (2, 3)
        assert (population.surrogate, population.encoding_slope) == ("sigmoid", "exact")
        assert population.circuit == build_circuit(recipe.model)
        assert population.parameter_like.dtype == torch.float64


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"circuit": "transmon"}, "'transmon'.*one of crx, bidirectional"),
        ({"circuit_options": {"layers": 2}}, "'bidirectional' cannot be built.*'layers'"),
        ({"circuit": "integrate_and_fire", "memory_qubits": 0}, "integrate_and_fire"),
    ],
)
def test_a_circuit_that_cannot_be_is_refused(model, said):
    with pytest.raises(ConfigError, match=said):
        build_network(Recipe(model=ModelConfig(**model)), 5, 3)


def test_a_complex_circuit_is_not_compiled():
    recipe = Recipe(
        model=ModelConfig(circuit="hardware_efficient"), training=TrainingConfig(compile=True)
    )
    with pytest.raises(ConfigError, match="compile needs a circuit of RX, CRX and CZ alone"):
        build_network(recipe, 5, 3)


def test_backprop_is_built_from_its_settings():
    recipe = Recipe(
        rule=RuleConfig(loss_on="count", rate_penalty=0.25),
        readout=ReadoutConfig(report_steps=2),
    )
    rule = build_rule(recipe)
    assert (rule.loss_on, rule.rate_penalty, rule.report_steps) == ("count", 0.25, 2)


def test_the_local_rule_is_built_from_its_settings():
    settings = {"signal": "both", "feedback": "symmetric", "samples": 7, "horizon": "discounted"}
    settings |= {"discount": 0.5, "reward_weight": 0.3, "baseline": "running"}
    measured = {"score": "shift", "window": 3, "repeats": 5, "max_trials": 9}
    for more in ({}, measured, {"score": "online"}):
        recipe = Recipe(
            rule=RuleConfig(rule="local", **settings, **more),
            readout=ReadoutConfig(report_steps=2),
        )
        rule = build_rule(recipe)
        assert rule.report_steps == 2
        assert rule.signal == LearningSignal(
            "both", "symmetric", "chained", 7, "running", "discounted", 0.5, True, 0.3
        )
        assert isinstance(rule, OnlineLocalRule if "online" in more.values() else LocalRule)
        if more is measured:
            assert rule.score.window == 3
            assert rule.score.estimator == Estimator("shift", "geometric", 5, max_trials=9)
    spsa = RuleConfig(rule="local", score="spsa", estimator="laplace", shots=7)
    built = build_rule(Recipe(rule=spsa))
    assert built.score.estimator == Estimator("spsa", "laplace", shots=7)


def test_what_is_never_compiled_is_not_asked_to_be(monkeypatch):
    recipe = Recipe(
        rule=RuleConfig(rule="local", score="online"), training=TrainingConfig(compile=True)
    )
    with pytest.raises(ConfigError, match="compile works with score exact, but score is 'online'"):
        build_network(recipe, 5, 3)


def test_encodings_are_those_of_the_package():
    values = torch.rand(6, 5, generator=torch.Generator().manual_seed(0))
    generator = seeded(0, Purpose.TEST)
    start = generator.get_state()
    spikes = encode(EncodingConfig(steps=7, max_rate=0.5), values, generator=generator)
    generator.set_state(start)
    assert torch.equal(spikes, encodings.rate(values, 7, max_rate=0.5, generator=generator))
    for name in ("latency", "direct"):
        spikes = encode(EncodingConfig(encoding=name, steps=7), values, generator=generator)
        assert torch.equal(spikes, getattr(encodings, name)(values, 7))


@pytest.mark.parametrize("shared", [False, True])
def test_spike_trains_are_taken_as_they_are(shared):
    trains = torch.rand(6, 7, 5, generator=torch.Generator().manual_seed(0)).round()
    generator = seeded(0, Purpose.TEST)
    start = generator.get_state()
    encoding = EncodingConfig(encoding="spikes", steps=7)
    spikes = encode(encoding, trains, generator=generator, shared=shared)
    assert spikes.shape == (7, 6, 5, 1)
    for step in range(7):
        assert torch.equal(spikes[step, ..., 0], trains[:, step])
    assert torch.equal(generator.get_state(), start)


@pytest.mark.parametrize("shape", [(6, 5), (6, 8, 5)])
def test_what_are_no_spike_trains_of_so_many_steps_is_refused(shape):
    encoding = EncodingConfig(encoding="spikes", steps=7)
    with pytest.raises(ValueError, match=r"'spikes'\) must have shape \(B, 7, P\), but has"):
        encode(encoding, torch.zeros(shape), generator=seeded(0, Purpose.TEST))


def test_shared_numbers_give_equal_samples_equal_spikes():
    values = torch.full((8, 20), 0.5)
    encoding = EncodingConfig(steps=6)
    shared = encode(encoding, values, generator=seeded(0, Purpose.TEST), shared=True)
    own = encode(encoding, values, generator=seeded(0, Purpose.TEST))
    assert torch.equal(shared, shared[:, :1].expand_as(shared))
    assert 0 < shared.mean() < 1
    assert not torch.equal(own, own[:, :1].expand_as(own))


def test_cuda_is_refused_where_there_is_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="no CUDA device"):
        choose_device(TrainingConfig(device="cuda"))


def test_compile_is_refused_where_there_is_no_compiler(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(CompilerMissingError, match="'no-such-compiler'"):
        choose_device(TrainingConfig(compile=True))
