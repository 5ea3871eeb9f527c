"""Gradients through a drive: derivatives with exact slopes, and the stated surrogates elsewhere."""

import itertools
import math
from functools import partial

import pytest
import reference_drive
import torch
from tools import circuit_cases, currents_of_both_signs, for_drives, quantum_neurons, seeded, twin
from torch import Tensor
from torch.func import functional_call
from torch.testing import assert_close

from sqsnn.neurons.drive import Drive, Leaky, Saturating
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum.noise import Noise

pytestmark = pytest.mark.usefixtures("device")

NOISE = Noise(depolarising_1q=0.1, phase_damping_2q=0.2, false_spike=0.1, missed_spike=0.2)
# Differences of four points err by step^4 / 30 times the fifth derivative, below 10^6 here, and by
# rounding / step.
STEP = 1e-4
STENCIL = {-2: 1 / 12, -1: -8 / 12, 1: 8 / 12, 2: -1 / 12}
SHORTEST = 1e-3  # from a point to a kink of the drive


def strong_currents(steps: int, neurons: SQSNeurons) -> Tensor:
    """Of one sample, on both sides of the floor and of the clip, `(T, 1, H, N)`."""
    currents = 1.3 * currents_of_both_signs(neurons, steps, batch=1)
    currents[0] -= 2.0
    currents[-1] += 4.0
    return currents


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("steps", [2, 3, 5])
def test_these_currents_meet_the_floor_and_the_clip(steps, channels):
    neurons = quantum_neurons("crx", channels, size=1, drive=Leaky())
    currents = strong_currents(steps, neurons)[:, 0, 0].tolist()
    _, drive = twin(neurons, 0)
    silent = [[0.0] * channels] * steps
    charges = [reference_drive.charges(drive, currents, silent, n) for n in range(channels)]
    assert all(charge[0] < -1.01 and charge[-1] > 1.01 for charge in charges)
    assert max(currents[-1]) > 1.01  # for drives without a membrane


def check_gradients(neurons: SQSNeurons, currents: Tensor, law: bool) -> None:
    """The gradient by every group of parameters, and by the currents, is its derivative.

    Neurons are independent: each moved point is one more neuron, and all are run at once.
    """
    steps, channels = currents.shape[0], neurons.channels
    observed = torch.randint(0, 2, currents.shape, generator=seeded(4)).double()
    rows = [observed[:, 0, 0].tolist()]
    if law:
        sequences = itertools.product((0, 1), repeat=steps * channels)
        rows = [torch.tensor(row).reshape(steps, channels).tolist() for row in sequences]
    _, drive = twin(neurons, 0)
    z = currents[:, 0, 0].tolist()
    nearest = min(reference_drive.distance_to_kinks(drive, z, row) for row in rows)
    assert nearest > SHORTEST

    def values(neurons: SQSNeurons, currents: Tensor) -> Tensor:
        """Of every neuron, `(H,)`: a random linear function of likelihoods or of the law."""
        if law:
            found = neurons.sequence_probabilities(currents)[0]
            return found @ torch.randn(found.shape[1], generator=seeded(5), dtype=torch.float64)
        record, _ = neurons(currents, observed=observed.expand_as(currents))
        weight = torch.randn(steps, generator=seeded(5), dtype=torch.float64)
        return weight @ record.log_likelihood[:, 0]

    leaves = {name: p for name, p in neurons.named_parameters() if p.numel()}
    leaves["currents"] = currents.clone().requires_grad_()
    total = values(neurons, leaves["currents"]).sum()
    slopes = torch.autograd.grad(total, list(leaves.values()), materialize_grads=True)
    directions = {}
    for name, leaf in leaves.items():
        direction = torch.randn(leaf.shape, generator=seeded(6), dtype=torch.float64)
        directions[name] = direction / direction.norm().clamp_min(1.0)
    points = list(itertools.product(leaves, STENCIL))
    wide = quantum_neurons(
        neurons.circuit, channels, neurons.memory_qubits, len(points), neurons.noise, neurons.drive
    )
    with torch.no_grad():
        moved = {}
        for name, leaf in leaves.items():
            each = [
                leaf + (place * STEP * directions[name] if group == name else 0)
                for group, place in points
            ]
            moved[name] = torch.cat(each, dim=2 if name == "currents" else 0)
        wide_currents = moved.pop("currents")
        wide.load_state_dict(moved, strict=False)
        found = values(wide, wide_currents).unflatten(0, (len(leaves), -1))
    expected = found @ torch.tensor(list(STENCIL.values()), dtype=torch.float64) / STEP
    for name, slope, derivative in zip(leaves, slopes, expected.tolist(), strict=True):
        one = (slope * directions[name]).sum().item()
        assert one == pytest.approx(derivative, rel=1e-7, abs=1e-7), name


@for_drives()
@pytest.mark.parametrize(("name", "channels", "memory_qubits"), circuit_cases(channels=(1, 2)))
def test_gradients_of_likelihoods_and_of_the_law_are_derivatives(
    name, channels, memory_qubits, drive
):
    neurons = quantum_neurons(name, channels, memory_qubits, size=1, drive=drive)
    check_gradients(neurons, strong_currents(5 if channels == 1 else 3, neurons), law=False)
    check_gradients(neurons, strong_currents(4 - channels, neurons), law=True)


@for_drives("leaky", "leaky, K = 2")
@pytest.mark.parametrize("name", ["integrate_and_fire", "hardware_efficient"])
def test_noisy_gradients_are_derivatives(name, drive):
    neurons = quantum_neurons(name, 1, 1, size=1, noise=NOISE, drive=drive)
    for law in (False, True):
        check_gradients(neurons, strong_currents(3, neurons), law)


@for_drives("leaky", "leaky, K = 0", "leaky, K = 4")
def test_every_parameter_of_the_drive_has_a_gradient(drive):
    neurons = quantum_neurons("bidirectional", 2, 1, drive=drive)
    currents = currents_of_both_signs(neurons, 6, batch=50).requires_grad_()
    record, _ = neurons(currents, generator=seeded(0))
    record.log_likelihood.sum().backward()
    for values in (neurons.beta, neurons.bias, neurons.reset):
        assert not values.numel() or (values.grad != 0).all()
    assert (currents.grad != 0).any()


@pytest.mark.parametrize(("beta", "fixed"), [(1.2, 1.0), (-0.1, 0.0)])
def test_a_decay_out_of_its_range_is_led_back_and_no_further_out(beta, fixed):
    slopes = []
    for sign in (1.0, -1.0):
        neurons = quantum_neurons("crx", drive=Leaky())
        with torch.no_grad():
            neurons.beta.fill_(beta)
        currents = currents_of_both_signs(neurons, 4, batch=1)
        spikes = torch.randint(0, 2, currents.shape, generator=seeded(3)).double()
        record, _ = neurons(currents, observed=spikes)
        (sign * record.log_likelihood.sum()).backward()
        slopes.append(neurons.beta.grad)
    inward = 1.0 if beta > fixed else -1.0  # a descent step goes against the gradient
    for slope in slopes:
        assert (inward * slope >= 0).all()
    assert not ((slopes[0] != 0) & (slopes[1] != 0)).any()
    assert any((slope != 0).any() for slope in slopes)


@pytest.mark.parametrize("beta", [1.2, -0.1])
def test_given_potentials_a_decay_out_of_its_range_is_led_by_the_sum_over_the_steps(beta):
    neurons = quantum_neurons("crx", drive=Leaky())
    currents = currents_of_both_signs(neurons, 6, batch=1)
    spikes = torch.randint(0, 2, currents.shape, generator=seeded(3)).double()
    weights = torch.randn(currents.shape, generator=seeded(4), dtype=torch.float64)

    def slope(value: float) -> Tensor:
        with torch.no_grad():
            neurons.beta.fill_(value)
        (weights * neurons.potentials(currents, spikes)).sum().backward()
        found, neurons.beta.grad = neurons.beta.grad, None
        return found

    bound = min(max(beta, 0.0), 1.0)
    of_the_sum = slope(bound)  # on the bound nothing is held, and the potentials are the same
    outward = of_the_sum < 0 if beta > bound else of_the_sum > 0
    assert outward.any() and not outward.all()
    assert_close(slope(beta), of_the_sum.masked_fill(outward, 0.0), rtol=1e-12, atol=0.0)


# Surrogates, for one channel and no memory: p = sin^2((phi + angle) / 2)


def with_slope(values: Tensor, slope: Tensor, moving: Tensor) -> Tensor:
    """These values, with this slope for what moves them."""
    return values.detach() + slope.detach() * (moving - moving.detach())


def by_the_equations(
    drive: Leaky, surrogate: str, neurons: SQSNeurons, currents: Tensor, bits: Tensor,
    leaves: list[Tensor],
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Probabilities and spikes (T, B, H, 1) with their surrogate gradients, step by step."""
    angle, beta, reset, bias = leaves
    membrane, own, rows = torch.zeros_like(currents[0]), [], []
    for z, bit in zip(currents, bits, strict=True):
        charge = beta * membrane + z + bias
        if drive.reset_steps is None and own:
            charge = charge - reset * own[-1]
        slope = 0.3 + 0.7 * (charge > drive.floor).double()
        membrane = with_slope(charge.clamp_min(drive.floor), slope, charge)
        u = membrane
        for k in range(drive.reset_steps or 0):
            if k < len(own):
                u = u - reset[..., k] * own[-1 - k]
        distance = (-u).clamp_min(0) + (u - 1).clamp_min(0)
        phi = math.pi * with_slope(u.clamp(0, 1), (-distance / 0.3).exp(), u)
        p = ((phi + angle) / 2).sin().square()
        sigma = torch.ones_like(p) if surrogate == "straight_through" else p * (1 - p)
        spike = with_slope(bit, sigma, p)
        own.append(spike if drive.through_reset else bit)
        rows.append((p, spike))
    probability, spikes = (torch.stack(each) for each in zip(*rows, strict=True))
    return probability, spikes


@pytest.mark.parametrize("surrogate", ["straight_through", "sigmoid"])
@pytest.mark.parametrize("through_reset", [True, False])
@pytest.mark.parametrize("steps", [None, 0, 2])
def test_surrogate_gradients_are_those_of_the_equations(steps, through_reset, surrogate):
    drive = Leaky(reset_steps=steps, through_reset=through_reset)
    neurons = quantum_neurons("crx", 1, 0, size=3, drive=drive)
    neurons.encoding_slope, neurons.surrogate = "exponential", surrogate
    currents = (1.5 * currents_of_both_signs(neurons, 6, batch=5)).requires_grad_()
    record, _ = neurons(currents, generator=seeded(1))
    leaves = [neurons.angles, neurons.beta, neurons.reset, neurons.bias]
    probability, spikes = by_the_equations(
        drive, surrogate, neurons, currents, record.spikes.detach(), leaves
    )
    assert_close(record.probability, probability, rtol=0, atol=1e-13)
    # All of it occurs: the floor, both sides of the clip, spikes and silence.
    u = neurons.potentials(currents, record.spikes).detach()
    assert (u == -1).any() or steps
    assert (u > 1).any() and (u < 0).any() and 0.1 < record.spikes.mean() < 0.9
    weight, other = (
        torch.randn(spikes.shape, generator=seeded(s), dtype=torch.float64) for s in (2, 3)
    )
    likelihood = torch.where(spikes.detach() > 0, probability, 1 - probability).log()
    totals = [
        (weight * record.spikes + other * record.probability).sum() + record.log_likelihood.sum(),
        (weight * spikes + other * probability).sum() + likelihood.sum(),
    ]
    trained = [values for values in leaves if values.numel()]
    found, expected = (
        torch.autograd.grad(total, [currents, *trained], materialize_grads=True) for total in totals
    )
    for one, another in zip(found, expected, strict=True):
        assert_close(one, another, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("surrogate", ["straight_through", "sigmoid"])
@pytest.mark.parametrize("steps", [None, 2])
@pytest.mark.parametrize(
    ("name", "channels", "memory_qubits"),
    [("bidirectional", 1, 1), ("integrate_and_fire", 2, 1), ("hardware_efficient", 2, 2)],
)
def test_own_spikes_pass_a_gradient_through_the_reset_of_any_circuit(
    name, channels, memory_qubits, steps, surrogate
):
    # A saturating neuron with the same angles is fed the potentials, made anew at every step from
    # own spikes that carry the gradient of their marginals.
    neurons = quantum_neurons(name, channels, memory_qubits, drive=Leaky(reset_steps=steps))
    plain = quantum_neurons(name, channels, memory_qubits, drive=Saturating())
    neurons.surrogate = surrogate
    currents = currents_of_both_signs(neurons, 4).requires_grad_()
    record, _ = neurons(currents, generator=seeded(1))
    bits = record.spikes.detach()
    shared = {name: getattr(neurons, name) for name in ("angles", "gains")}
    own: list[Tensor] = []
    for t in range(1, 5):
        given = torch.stack([*own, bits[t - 1]])
        potentials = neurons.potentials(currents[:t], given)
        seen, _ = functional_call(plain, shared, (potentials,), {"observed": bits[:t]})
        p = seen.probability[-1]
        sigma = torch.ones_like(p) if surrogate == "straight_through" else p * (1 - p)
        own.append(with_slope(bits[t - 1], sigma, p))
    assert_close(record.probability, seen.probability, rtol=0, atol=1e-12)
    weight = torch.randn(bits.shape, generator=seeded(2), dtype=torch.float64)
    leaves = [p for p in neurons.parameters() if p.numel()] + [currents]
    found, expected, data = (
        torch.autograd.grad((weight * each).sum(), leaves, retain_graph=True)
        for each in (
            record.probability,
            seen.probability,
            neurons(currents, observed=bits)[0].probability,
        )
    )
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other, rtol=1e-11, atol=1e-11)
    # Observed spikes are data: the same probabilities, another gradient.
    assert not all(torch.allclose(one, other) for one, other in zip(found, data, strict=True))


@pytest.mark.parametrize("steps", [None, 2])
def test_without_a_gradient_through_the_reset_own_spikes_are_as_observed_ones(steps):
    def made(drive: Drive) -> SQSNeurons:
        return quantum_neurons("bidirectional", 2, 1, drive=drive)

    silent = partial(Leaky, reset_steps=steps, through_reset=False)
    neurons = made(silent())
    currents = currents_of_both_signs(neurons, 5)
    drawn, _ = neurons(currents, generator=seeded(0))
    scored, _ = neurons(currents, observed=drawn.spikes.detach())
    parameters = [p for p in neurons.parameters() if p.numel()]
    slopes = [
        torch.autograd.grad((r.probability.sum() + r.log_likelihood.sum()), parameters)
        for r in (drawn, scored)
    ]
    for one, other in zip(*slopes, strict=True):
        assert_close(one, other, rtol=0, atol=1e-12)
