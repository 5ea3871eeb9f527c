"""The membrane of LIF and StochasticLIF: its floor, and the gradient through the own reset."""

import math
from itertools import product
from typing import Any

import pytest
import torch
from tools import seeded
from torch import Tensor
from torch.testing import assert_close

from sqsnn.neurons.lif import LIF
from sqsnn.neurons.stochastic_lif import StochasticLIF

pytestmark = pytest.mark.usefixtures("device")

STEPS, BATCH, SIZE = 8, 3, 2
FLOOR, TAU = -0.4, 0.3
KINDS = [(LIF, {}), (StochasticLIF, {}), (StochasticLIF, {"surrogate": "sigmoid"})]
NAMES = ("beta", "threshold", "bias")


def neurons_of(population: type, **options: Any) -> LIF | StochasticLIF:
    neurons = population(SIZE, dtype=torch.float64, generator=seeded(0), **options)
    with torch.no_grad():
        neurons.beta.uniform_(0.4, 0.95, generator=seeded(1))
        neurons.threshold.uniform_(0.5, 1.2, generator=seeded(2))
        neurons.bias.uniform_(-0.2, 0.1, generator=seeded(3))
    return neurons


def currents_of() -> Tensor:
    """Such that membranes lie on both sides of the floor, and some neurons fire."""
    shape = (STEPS, BATCH, SIZE, 1)
    return 0.9 * torch.randn(shape, generator=seeded(4), dtype=torch.float64) + 0.2


def run(neurons: LIF | StochasticLIF, currents: Tensor):
    uniforms = torch.rand(STEPS, BATCH, SIZE, generator=seeded(5), dtype=torch.float64)
    return neurons(currents, uniforms=uniforms)


class Plain:
    """One neuron in plain Python; what the backward pass sees is written as a function to derive.

    Around the point where it was first run, a spike moves with its probability as the surrogate
    says, and a membrane on its floor moves by 0.3 of its charge.
    """

    def __init__(self, neurons: LIF | StochasticLIF, uniforms: list[float]) -> None:
        self.neurons, self.uniforms = neurons, uniforms
        self.point: list[tuple[float, float]] = []  # charge and excess at each step

    def probabilities(self, currents: list[float], beta: float, threshold: float, bias: float):
        membrane, spike, found, point = 0.0, 0.0, [], []
        for t, current in enumerate(currents):
            charge = beta * membrane + current + bias - threshold * spike
            membrane = self.floored(charge, t)
            excess = membrane - threshold
            point.append((charge, excess))
            probability, spike = self.fire(excess, t)
            found.append(probability)
        self.point = self.point or point
        return found

    def floored(self, charge: float, t: int) -> float:
        floor = self.neurons.floor
        if floor is None or charge > floor:
            return charge
        return floor + 0.3 * (charge - self.point[t][0] if self.point else 0.0)

    def fire(self, excess: float, t: int) -> tuple[float, float]:
        """The probability, and the spike that resets the next step."""
        there = self.point[t][1] if self.point else excess
        if isinstance(self.neurons, StochasticLIF):
            probability, before = (1 / (1 + math.exp(-x / TAU)) for x in (excess, there))
            fires = float(self.uniforms[t] < before)
            slope = before * (1 - before) if self.neurons.surrogate == "sigmoid" else 1.0
        else:
            fires = float(there > 0)
            before, slope = fires, 1.0
            probability = fires + (math.atan(math.pi * excess) - math.atan(math.pi * there)) / (
                math.pi
            )
        if self.neurons.own_spikes_are_data:
            return probability, fires
        return probability, fires + slope * (probability - before)


@pytest.mark.parametrize(
    ("kind", "floor", "through_reset"), list(product(KINDS, (None, FLOOR), (False, True))), ids=str
)
def test_probabilities_and_gradients_are_those_of_the_equation(kind, floor, through_reset):
    population, options = kind
    neurons = neurons_of(population, floor=floor, through_reset=through_reset, **options)
    currents = currents_of().requires_grad_()
    record, _ = run(neurons, currents)
    weight = torch.randn(record.probability.shape, generator=seeded(6), dtype=torch.float64)
    record.probability.backward(weight)
    uniforms = torch.rand(STEPS, BATCH, SIZE, generator=seeded(5), dtype=torch.float64)
    step, floored = 1e-6, 0
    for neuron in range(SIZE):
        gradients = [0.0] * len(NAMES)
        for sample in range(BATCH):
            one = Plain(neurons, uniforms[:, sample, neuron].tolist())
            driven = currents[:, sample, neuron, 0].tolist()
            values = [neurons.get_parameter(name)[neuron, 0].item() for name in NAMES]
            wanted = one.probabilities(driven, *values)
            assert record.probability[:, sample, neuron, 0].tolist() == pytest.approx(wanted)
            floored += sum(charge < FLOOR for charge, _ in one.point)
            weights = weight[:, sample, neuron, 0].tolist()

            def slope(point: list[float], place: int, one=one, weights=weights) -> float:
                sums = []
                for sign in (1, -1):
                    moved = [x + sign * step * (place == k) for k, x in enumerate(point)]
                    found = one.probabilities(moved[3:], *moved[:3])
                    sums.append(math.fsum(w * p for w, p in zip(weights, found, strict=True)))
                return (sums[0] - sums[1]) / (2 * step)

            point = [*values, *driven]
            for place in range(len(NAMES)):
                gradients[place] += slope(point, place)
            expected = [slope(point, 3 + t) for t in range(STEPS)]
            assert currents.grad is not None
            assert currents.grad[:, sample, neuron, 0].tolist() == pytest.approx(expected, abs=1e-7)
        for name, expected in zip(NAMES, gradients, strict=True):
            found = neurons.get_parameter(name).grad
            assert found is not None
            assert found[neuron, 0].item() == pytest.approx(expected, abs=1e-7)
    assert floored > 3
    assert 3 < record.spikes.sum() < record.spikes.numel() - 3


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_floor_that_is_never_reached_changes_nothing(kind):
    population, options = kind
    weight = torch.randn(STEPS, BATCH, SIZE, 1, generator=seeded(6), dtype=torch.float64)
    found = []
    for floor in (None, -100.0):
        neurons = neurons_of(population, floor=floor, **options)
        record, state = run(neurons, currents_of())
        gradients = torch.autograd.grad(record.spikes, list(neurons.parameters()), weight)
        found.append([record.spikes, record.probability, state.membrane, *gradients])
    assert all(map(torch.equal, *found))


@pytest.mark.parametrize("population", [LIF, StochasticLIF])
def test_observed_spikes_pass_no_gradient_to_the_reset(population):
    weight = torch.randn(STEPS, BATCH, SIZE, 1, generator=seeded(6), dtype=torch.float64)
    off, on = (neurons_of(population, through_reset=choice) for choice in (False, True))
    assert off.own_spikes_are_data and not on.own_spikes_are_data
    drawn, _ = run(off, currents_of())
    found = []
    for neurons in (off, on):
        record, _ = neurons(currents_of(), observed=drawn.spikes.detach())
        found.append(torch.autograd.grad(record.probability, list(neurons.parameters()), weight))
    assert all(map(torch.equal, *found))
    drawn_on, _ = run(on, currents_of())
    assert torch.equal(drawn_on.spikes, drawn.spikes)
    through = torch.autograd.grad(drawn_on.probability, list(on.parameters()), weight)
    assert not any(map(torch.equal, through, found[0]))


def test_the_state_carries_the_gradient_through_the_reset_into_a_later_call():
    neurons, currents = neurons_of(StochasticLIF, through_reset=True, floor=FLOOR), currents_of()
    uniforms = torch.rand(STEPS, BATCH, SIZE, generator=seeded(5), dtype=torch.float64)
    whole, _ = neurons(currents, uniforms=uniforms)
    first, state = neurons(currents[:3], uniforms=uniforms[:3])
    second, _ = neurons(currents[3:], state, uniforms=uniforms[3:])
    halves = torch.cat([first.probability, second.probability])
    assert torch.equal(halves, whole.probability)
    parameters = list(neurons.parameters())
    weight = torch.randn(halves.shape, generator=seeded(6), dtype=torch.float64)
    pairs = zip(
        torch.autograd.grad(halves, parameters, weight),
        torch.autograd.grad(whole.probability, parameters, weight),
        strict=True,
    )
    for found, expected in pairs:
        assert_close(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("population", [LIF, StochasticLIF])
@pytest.mark.parametrize("floor", [0.1, math.inf, -math.inf, math.nan])
def test_a_floor_above_rest_is_refused(population, floor):
    with pytest.raises(ValueError, match=f"floor is {floor}; it must be finite and at most 0"):
        population(1, floor=floor, generator=seeded(0))
