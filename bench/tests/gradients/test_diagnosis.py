"""Promises of the diagnosis: window, trials and shots are kept apart, and rightly."""

from functools import partial
from typing import Any

import learning_reference
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sqsnn.learning.bit_source import SimulatedBits
from sqsnn.learning.estimators import Geometric
from sqsnn.learning.layers import Layer, run_layers
from sqsnn.learning.scores import Exact, Measured, Signals
from sqsnn.network import SpikingNetwork
from sqsnn.neurons.drive import Leaky, Rectified
from sqsnn.neurons.population import Population
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum.circuits import Circuit, Normal
from sqsnn_bench.gradients.diagnosis import Diagnosis, Limit, diagnose
from sqsnn_bench.gradients.scores import ALL, WindowedScore, gradient

NAMED = ("crx", "bidirectional", "integrate_and_fire", "hardware_efficient")
STEPS, BATCH, INPUTS = 4, 3, 3
DRIVES = [Rectified(), Leaky(), Leaky(reset_steps=2)]
# From fresh memory, and without a current, it never fires.
SILENT = Circuit.build(1, 1, [("CRX", (0, 1), Normal(1.5, 0.3)), ("CRX", (1, 0), Normal(1.5, 0.3))])


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(sizes: tuple[int, ...] = (INPUTS, 3, 2), **options: Any) -> SpikingNetwork:
    neurons = partial(SQSNeurons, **{"drive": Rectified(), **options})
    return SpikingNetwork(sizes, neurons=neurons, generator=seeded(0), dtype=torch.float64)


def driven(sizes: tuple[int, ...] = (INPUTS, 3, 2), **options: Any) -> SpikingNetwork:
    """A network in which spikes excite, and no current flows where there are none."""
    network = made(sizes, **options)
    with torch.no_grad():
        for pathway in network.pathways:
            pathway.synapses.weight.abs_().mul_(2)
    return network


def inputs(steps: int = STEPS, batch: int = BATCH, rate: float = 0.5) -> Tensor:
    return (torch.rand((steps, batch, INPUTS, 1), generator=seeded(1)) < rate).double()


def ran(network: SpikingNetwork, spikes: Tensor) -> tuple[list[Layer], Tensor]:
    layers = run_layers(network, spikes, seeded(2), differentiable=False)
    weights = torch.randn(spikes.shape[:2], generator=seeded(3), dtype=torch.float64)
    return list(layers.values()), weights


def diagnosed(network: SpikingNetwork, spikes: Tensor, **options: Any) -> Diagnosis:
    usual = {"windows": [2], "repeats": [1], "shots": [5], "max_trials": 50, "draws": 2}
    return diagnose(network, spikes, **{**usual, **options}, generator=seeded(4))


def limit_of(found: Diagnosis, window: int, max_trials: int | None) -> Limit:
    (limit,) = [one for one in found.limits if (one.window, one.max_trials) == (window, max_trials)]
    return limit


# The window


@pytest.mark.parametrize("window", [STEPS, STEPS + 3])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("circuit", NAMED)
@pytest.mark.parametrize("drive", DRIVES, ids=str)
def test_a_window_of_all_steps_is_exact_at_infinitely_many_shots(circuit, channels, window, drive):
    layers, weights = ran(made(circuit=circuit, channels=channels, drive=drive), inputs())
    exact = gradient(layers, weights, Exact(), seeded(0)).parts
    found = gradient(layers, weights, WindowedScore(window), seeded(0)).parts
    assert found.keys() == exact.keys()
    for kind, part in exact.items():
        # Near the identity, where leaky drives start, the memory has next to no gradient.
        assert part.norm() > 1e-3 or kind == "memory gates"
        torch.testing.assert_close(found[kind], part, rtol=0, atol=1e-12)


@pytest.mark.parametrize("drive", DRIVES[1:], ids=str)
def test_without_memory_every_window_is_exact_whatever_the_membrane(drive):
    layers, weights = ran(made(memory_qubits=0, drive=drive), inputs())
    exact = gradient(layers, weights, Exact(), seeded(0)).parts
    found = gradient(layers, weights, WindowedScore(1), seeded(0)).parts
    assert exact["drive"].norm() > 1e-3
    for kind, part in exact.items():
        torch.testing.assert_close(found[kind], part, rtol=0, atol=1e-12)


@pytest.mark.parametrize("circuit", NAMED)
def test_the_score_of_a_window_is_the_references(circuit):
    (layer,), weights = ran(made((INPUTS, 1), circuit=circuit, encoding_slope="exact"), inputs())
    weights = weights[..., None].contiguous()
    pulled = WindowedScore(2).pull(layer, Signals(None, weights), seeded(0))
    neurons = layer.population
    shown = layer.driven, layer.record.spikes, torch.zeros_like(layer.driven), weights
    parts = [
        learning_reference.gradient(
            circuit,
            1,
            1,
            neurons.angles[0].detach().numpy(),
            neurons.gains[0].detach().numpy(),
            *(values[:, sample, 0].detach().numpy() for values in shown),
            window=2,
        )
        for sample in range(BATCH)
    ]
    angles, gains, currents = zip(*parts, strict=True)
    trained = [part for part in (angles, gains) if part[0].size]
    found = *(part[0] for part in pulled.parameters), pulled.currents[:, :, 0]
    expected = *(np.sum(part, 0) for part in trained), np.stack(currents, 1)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-7)


def test_a_window_of_one_step_gives_the_memory_of_crx_no_gradient():
    found = diagnosed(made((INPUTS, 2), circuit="crx"), inputs(), windows=[1, STEPS])
    limit = limit_of(found, 1, None)
    assert found.norm["memory gates"] > 1e-3
    assert limit.bias["memory gates"] == pytest.approx(1, abs=1e-12)
    assert limit.cosine["memory gates"] == 0
    assert limit.cosine["weights"] > 0.1
    assert limit_of(found, STEPS, None).bias[ALL] == pytest.approx(0, abs=1e-12)


# The trials and the shots


@pytest.mark.parametrize(
    ("circuit", "window", "max_trials", "drive"),
    [
        ("bidirectional", 2, 3, Rectified()),
        ("crx", 1, 50, Rectified()),
        (SILENT, 1, 20, Rectified()),
        ("crx", 2, 3, Leaky()),
        ("crx", 2, 3, Leaky(reset_steps=2)),
    ],
)
def test_measured_gradients_are_on_average_the_limit(circuit, window, max_trials, drive):
    network = driven((INPUTS, 2), circuit=circuit, drive=drive)
    layers, weights = ran(network, inputs(batch=8, rate=0.2))
    limit = gradient(layers, weights, WindowedScore(window, max_trials), seeded(0))
    score = Measured(window=window, estimator=Geometric(max_trials=max_trials, repeats=100))
    generator = seeded(5)
    drawn = torch.stack([gradient(layers, weights, score, generator).parts[ALL] for _ in range(25)])
    error = drawn.std(0) / len(drawn) ** 0.5
    off = (drawn.mean(0) - limit.parts[ALL]).abs()
    # Some ten parameters; with 25 draws beyond 5 standard errors by chance once in 20,000.
    assert (off <= 5 * error + 1e-9).all(), off / error
    if max_trials < 10:  # Precise enough to tell it from the limit without an end of the trials.
        endless = gradient(layers, weights, WindowedScore(window), seeded(0)).parts[ALL]
        assert (endless - limit.parts[ALL]).norm() > 5 * error.norm()
    if circuit is SILENT:
        assert limit.cost.truncations > 0
        assert limit.parts[ALL].norm() > 1e-3


def test_bias_is_that_of_the_limit_within_the_stated_noise():
    options = {"windows": [1, 2], "repeats": [40], "shots": [1], "max_trials": 5, "draws": 12}
    found = diagnosed(driven((INPUTS, 2)), inputs(batch=8), **options)
    checked = [one for one in found.estimates if one.name == "geometric"]
    assert len(checked) == 2
    for one in checked:
        limit = limit_of(found, one.window, 5)
        for kind, quality in one.quality.items():
            assert quality.bias_noise < 0.2
            assert quality.bias_noise == pytest.approx((quality.variance / found.draws) ** 0.5)
            # |mean - g| and |limit - g| differ by |mean - limit| at most, which is about the noise.
            assert abs(quality.bias - limit.bias[kind]) < 2 * quality.bias_noise
        total = one.quality[ALL]
        assert abs(total.cosine - limit.cosine[ALL]) < 3 * total.bias_noise


def test_noise_falls_with_the_repeats():
    options = {"windows": [1], "repeats": [2, 40], "shots": [1], "draws": 10}
    found = diagnosed(driven((INPUTS, 2)), inputs(), **options)
    of = {(one.name, one.size): one.quality[ALL] for one in found.estimates}
    for name in ("geometric", "spsa"):
        assert of[name, 2].variance > 5 * of[name, 40].variance
        assert of[name, 2].draw_cosine < of[name, 40].draw_cosine


def test_shots_and_circuits_are_those_that_were_run(monkeypatch):
    sample, counts = SimulatedBits.sample, {}

    def counted(source, neurons, currents, settings, shots, generator):
        circuits = len(settings) * currents.shape[1] * neurons.size
        counts[at_work[-1]] += np.array([circuits, circuits * shots])
        return sample(source, neurons, currents, settings, shots, generator)

    at_work = []

    def watch(setting, number, of):
        assert (number, of) == (len(at_work) + 1, 3)
        at_work.append(setting)
        counts[setting] = np.zeros(2)

    monkeypatch.setattr(SimulatedBits, "sample", counted)
    options = {"windows": [3], "repeats": [3], "shots": [7], "max_trials": 11, "draws": 2}
    found = diagnosed(made(), inputs(), **options, watch=watch)
    assert found.neuron_steps == STEPS * BATCH * 5
    assert at_work == ["geometric, W = 3, R = 3", "laplace, W = 3, K = 7", "spsa, W = 1, R = 3"]
    for one, (circuits, shots) in zip(found.estimates, counts.values(), strict=True):
        assert circuits > 0
        # Of spsa every direction is a circuit.
        steps = found.draws * found.neuron_steps
        assert one.circuits_per_step * steps == pytest.approx(circuits)
        assert one.shots_per_step * steps == pytest.approx(shots)


def test_events_that_are_given_up_are_counted():
    found = diagnosed(made(), inputs(), repeats=[5], max_trials=1)
    by_name = {one.name: one for one in found.estimates}
    assert 0.1 < by_name["geometric"].given_up < 1
    assert 0.1 < by_name["spsa"].given_up < 1
    assert by_name["laplace"].given_up is None
    silent = diagnosed(driven(circuit=SILENT), inputs(rate=0.3), windows=[1, STEPS])
    assert 0 < limit_of(silent, 1, None).impossible < 1
    assert limit_of(silent, STEPS, None).impossible == 0


# What is compared


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"weights": 15, "memory gates": 15, "channel gates": 5, ALL: 35}),
        ({"memory_qubits": 0}, {"weights": 15, "channel gates": 5, ALL: 20}),
        (
            {"drive": Leaky(reset_steps=2), "memory_qubits": 0},
            {"weights": 15, "channel gates": 5, "drive": 20, ALL: 40},
        ),
    ],
)
def test_parameters_are_kept_apart_by_kind(options, expected):
    found = diagnosed(made(**options), inputs())
    assert found.parameters == expected
    assert [*found.norm] == [*expected]
    assert found.norm[ALL] ** 2 == pytest.approx(sum(found.norm[k] ** 2 for k in [*expected][:-1]))
    assert all([*one.quality] == [*expected] for one in found.estimates)


def test_gains_are_a_kind_of_their_own():
    found = diagnosed(made(circuit="integrate_and_fire"), inputs())
    assert found.parameters["gains"] > 0
    assert sum(found.parameters.values()) == 2 * found.parameters[ALL]
    network = made(circuit="integrate_and_fire")
    assert found.parameters[ALL] == sum(weights.numel() for weights in network.parameters())


def test_the_sign_of_a_single_step_changes_nothing_but_the_sign():
    one, other = (
        diagnosed(made((INPUTS, 2)), inputs(1, 1), windows=[1], signal=signal)
        for signal in ("likelihood", "signs")
    )
    assert one.norm == pytest.approx(other.norm)
    # Of several samples and steps the signs are not all the same.
    one, other = (
        diagnosed(made((INPUTS, 2)), inputs(), windows=[1], signal=name)
        for name in ("likelihood", "signs")
    )
    assert abs(one.norm[ALL] - other.norm[ALL]) > 1e-3 * one.norm[ALL]


def test_no_gradient_is_left_behind():
    network = made()
    diagnosed(network, inputs())
    assert all(weights.grad is None for weights in network.parameters())


# What is refused


class Coins(Population):
    """Fires by chance: no circuit."""

    def __init__(self, size: int, *, generator, dtype, device=None) -> None:
        super().__init__(size)
        self.bias = nn.Parameter(torch.zeros(size, dtype=dtype))

    @property
    def parameter_like(self) -> Tensor:
        return self.bias

    def evolve(self, currents, state, uniforms, observed, keep_memory):
        raise AssertionError("never run")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"draws": 1}, "draws must be an integer of at least 2, but is 1"),
        ({"windows": [1, 0]}, "window: .* greater than or equal to 1, but is 0"),
        ({"repeats": [0]}, "repeats: .* greater than or equal to 1, but is 0"),
        ({"shots": [0]}, "shots: .* greater than or equal to 1, but is 0"),
        ({"max_trials": 0}, "max_trials: .* greater than or equal to 1, but is 0"),
    ],
)
def test_numbers_out_of_range_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        diagnosed(made(), inputs(), **options)


def test_neurons_without_circuits_are_refused():
    network = SpikingNetwork(
        [INPUTS, 3, 2], neurons=[SQSNeurons, Coins], generator=seeded(0), dtype=torch.float64
    )
    with pytest.raises(TypeError, match="Coins"):
        diagnosed(network, inputs())


def test_the_score_of_a_window_refuses_what_it_does_not_know():
    (layer,), weights = ran(made((INPUTS, 1)), inputs())
    on_likelihood = weights[..., None].contiguous()
    for signals in (Signals(None, None), Signals(layer.driven.detach(), on_likelihood)):
        with pytest.raises(ValueError, match="a signal on the likelihood, and no other"):
            WindowedScore(1).pull(layer, signals, seeded(0))
