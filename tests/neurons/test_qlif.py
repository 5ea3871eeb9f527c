"""QLIF: one qubit as a vector of two amplitudes, turned, relaxed and reset in plain numpy."""

import math

import jaxtyping
import numpy as np
import pytest
import torch
from tools import seeded
from torch import Tensor
from torch.testing import assert_close

from sqsnn.neurons.qlif import QLIF, QLIFState

pytestmark = pytest.mark.usefixtures("device")

STEPS, BATCH, SIZE = 12, 6, 4
GROUND = np.array([1, 0], complex)


def neurons_of(channels: int = 1, **options) -> QLIF:
    """Every neuron and channel with values of its own."""
    neurons = QLIF(SIZE, channels=channels, dtype=torch.float64, **options, generator=seeded(0))
    generator = seeded(1)
    with torch.no_grad():
        neurons.decay.uniform_(0.05, 0.6, generator=generator)
        neurons.threshold.uniform_(0.4, 0.9, generator=generator)
    return neurons


def currents_of(channels: int = 1) -> Tensor:
    drawn = torch.randn((STEPS, BATCH, SIZE, channels), generator=seeded(2), dtype=torch.float64)
    return 0.1 + 0.6 * drawn


def run(neurons: QLIF, currents: Tensor, state: QLIFState | None = None):
    shape = (*currents.shape[:2], *neurons.uniforms_shape)
    return neurons(currents, state, uniforms=currents.new_zeros(shape))


def one_qubit(currents: list[float], decay: float, threshold: float, spikes=None):
    """Excess of the population over the threshold and spike of every step; the last population.

    The spikes are what resets, where they are given.
    """
    qubit, excesses, fired = GROUND, [], []
    for t, current in enumerate(currents):
        if current > 0:
            half = math.pi * current / 2
            turn = [[np.cos(half), -1j * np.sin(half)], [-1j * np.sin(half), np.cos(half)]]
            qubit = np.array(turn) @ qubit
        else:
            excited = abs(qubit[1]) ** 2 * math.exp(-decay)
            qubit = np.array([math.sqrt(1 - excited), -1j * math.sqrt(excited)])
        excess = abs(qubit[1]) ** 2 - threshold
        excesses.append(excess)
        fired.append(float(excess > 0) if spikes is None else spikes[t])
        if fired[-1]:
            qubit = GROUND
    return excesses, fired, abs(qubit[1]) ** 2


def populations(state: QLIFState) -> Tensor:
    return (state.angle / 2).sin().square()


def values_of(neurons: QLIF, neuron: int, channel: int = 0) -> tuple[float, float]:
    return neurons.decay[neuron, channel].item(), neurons.threshold[neuron, channel].item()


def test_seven_steps_by_hand():
    # A quarter turn: a = sin^2(pi/8). Two steps without input, one at 0 and one below: a e^-0.2.
    # Then as far as needed for a = sin^2(3 pi/8) = 0.854 > 0.75: a spike, and from 0 half a turn,
    # exactly a = 1, which fires again. A third of a turn more: a = sin^2(pi/6) = 0.25.
    decayed = math.sin(math.pi / 8) ** 2 * math.exp(-0.2)
    missing = (3 * math.pi / 4 - 2 * math.asin(math.sqrt(decayed))) / math.pi
    currents = [0.25, 0.0, -2.0, missing, 1.0, 1 / 3, -1.0]
    expected = [math.sin(math.pi / 8) ** 2] * 2
    expected = [expected[0], expected[1] * math.exp(-0.1), decayed, 0, 0, 0.25, 0.25]
    expected[-1] *= math.exp(-0.1)
    neurons = QLIF(1, decay=0.1, threshold=0.75, dtype=torch.float64, generator=seeded(0))
    state, spikes, found = None, [], []
    for current in currents:
        column = torch.tensor([[[current]]], dtype=torch.float64)
        record, state = neurons.step(column, state, column.new_zeros(1, 1))
        spikes.append(record.spikes.item())
        found.append(populations(state).item())
    assert spikes == [0, 0, 0, 1, 1, 0, 0]
    assert found == pytest.approx(expected, abs=1e-12)
    # The parameters are written in double precision: no rounding by float32 in between.
    assert neurons.decay.item() == 0.1


@pytest.mark.parametrize("channels", [1, 2])
def test_every_neuron_and_channel_is_a_qubit(channels):
    neurons, currents = neurons_of(channels), currents_of(channels)
    record, state = run(neurons, currents)
    assert 0.1 < record.spikes.mean() < 0.6
    for sample in range(BATCH):
        for neuron in range(SIZE):
            for channel in range(channels):
                own = currents[:, sample, neuron, channel].tolist()
                _, spikes, excited = one_qubit(own, *values_of(neurons, neuron, channel))
                assert record.spikes[:, sample, neuron, channel].tolist() == spikes
                found = populations(state)[sample, neuron, channel].item()
                assert found == pytest.approx(excited, abs=1e-12)
    assert torch.equal(record.probability, record.spikes)


@pytest.mark.parametrize("turns", [1.5, 1.9, 2.4, 3.7])
def test_beyond_half_a_turn_the_population_falls_again(turns):
    # In steps of 0.3 and without a spike, so that the angle runs on past pi and 2 pi; then one
    # relaxing step, from which it goes on as a population, with an angle below pi.
    currents = [0.3] * round(turns / 0.3) + [0.0, 0.2, 0.2]
    neurons = QLIF(1, decay=0.3, dtype=torch.float64, generator=seeded(0))
    column = torch.tensor(currents, dtype=torch.float64)[:, None, None, None]
    for steps in range(1, len(currents) + 1):
        _, state = neurons(column[:steps], observed=torch.zeros_like(column[:steps]))
        excesses, _, excited = one_qubit(currents[:steps], 0.3, 0.75, [0.0] * steps)
        assert populations(state).item() == pytest.approx(excited, abs=1e-12)
    assert min(np.diff(excesses)) < -0.05


def test_a_population_at_its_threshold_does_not_fire():
    neurons = QLIF(1, threshold=0.5, dtype=torch.float64, generator=seeded(0))
    column = torch.tensor([0.5 - 1e-9, 0.5 + 1e-9], dtype=torch.float64).reshape(1, 2, 1, 1)
    record, _ = run(neurons, column)
    assert record.spikes.flatten().tolist() == [0, 1]


def test_a_spike_resets_to_the_ground_state():
    record, state = run(neurons_of(), currents_of())
    fired = record.spikes[-1] > 0
    assert fired.any() and not fired.all()
    assert not state.angle[fired].any()


@pytest.mark.parametrize("written", [0.0, -5.0, 1e-6])
def test_decay_counts_as_at_least_a_thousandth(written):
    neurons, currents = neurons_of(), currents_of()
    states = []
    for decay in (written, 1e-3):
        with torch.no_grad():
            neurons.decay.fill_(decay)
        record, state = run(neurons, currents)
        record.spikes.sum().backward()
        states.append(state.angle)
    assert torch.equal(*states)
    # Half a turn is where the slope of asin has its pole: from there a qubit relaxes with a slope.
    half = torch.tensor([1.0, 0.0], dtype=torch.float64)[:, None, None, None].expand(2, 1, SIZE, 1)
    neurons.zero_grad()
    half = half.clone().requires_grad_()
    record, _ = neurons(half, observed=torch.zeros_like(half))
    record.probability.sum().backward()
    assert half.grad.isfinite().all()
    assert neurons.decay.grad.isfinite().all()


# Gradients


def surrogate_slope(excess: float) -> float:
    return 1 / (1 + (math.pi * excess) ** 2)


def test_the_gradient_of_two_steps_in_closed_form():
    # a_2 = sin^2(pi z_1 / 2) e^-d with z_2 <= 0, no spike: da_2/dz_1 = pi/2 sin(pi z_1) e^-d,
    # da_2/dd = -a_2, and the threshold is taken off.
    z, decay = 0.4, 0.2
    neurons = QLIF(1, decay=decay, dtype=torch.float64, generator=seeded(0))
    currents = torch.tensor([z, -0.1], dtype=torch.float64)[:, None, None, None].requires_grad_()
    record, _ = run(neurons, currents)
    record.spikes[1].sum().backward()
    a = math.sin(math.pi * z / 2) ** 2 * math.exp(-decay)
    slope = surrogate_slope(a - 0.75)
    by_first = slope * math.pi / 2 * math.sin(math.pi * z) * math.exp(-decay)
    assert currents.grad[0].item() == pytest.approx(by_first, abs=1e-12)
    assert neurons.decay.grad.item() == pytest.approx(-slope * a, abs=1e-12)
    assert neurons.threshold.grad.item() == pytest.approx(-slope, abs=1e-12)
    # The second current does nothing, but has the slope of an encoding that has yet to begin.
    silent = slope * math.pi / 2 * math.sin(2 * math.asin(math.sqrt(a))) * math.exp(-0.1 / 0.3)
    assert currents.grad[1].item() == pytest.approx(silent, abs=1e-12)


def test_gradients_are_the_surrogates_slope_times_differences_of_the_excess():
    # Spikes are data: they reset, and carry no gradient. Central differences with h = 1e-5:
    # truncation h^2 f'''/6 with f''' below pi^3 times the slopes of the relaxation, 1e-8 in all.
    neurons = neurons_of(encoding_slope="exact")
    currents = currents_of().requires_grad_()
    record, _ = run(neurons, currents)
    weight = torch.randn(record.spikes.shape, generator=seeded(3), dtype=torch.float64)
    record.spikes.backward(weight)
    h = 1e-5
    for neuron in range(SIZE):
        by_value = [0.0, 0.0]
        for sample in range(BATCH):
            own = currents.detach()[:, sample, neuron, 0].tolist()
            spikes = record.spikes.detach()[:, sample, neuron, 0].tolist()
            values = values_of(neurons, neuron)
            excesses, _, _ = one_qubit(own, *values, spikes)
            received = [
                w * surrogate_slope(excess)
                for w, excess in zip(weight[:, sample, neuron, 0].tolist(), excesses, strict=True)
            ]

            def pulled(point, received=received, spikes=spikes):
                moved, _, _ = one_qubit(point[2:], point[0], point[1], spikes)
                return sum(map(math.prod, zip(received, moved, strict=True)))

            point = [*values, *own]
            found = []
            for position in range(len(point)):
                sides = []
                for sign in (h, -h):
                    there = list(point)
                    there[position] += sign
                    sides.append(pulled(there))
                found.append((sides[0] - sides[1]) / (2 * h))
            by_value = [total + part for total, part in zip(by_value, found[:2], strict=True)]
            of_currents = currents.grad[:, sample, neuron, 0].tolist()
            assert of_currents == pytest.approx(found[2:], abs=1e-7)
        assert neurons.decay.grad[neuron].item() == pytest.approx(by_value[0], abs=1e-7)
        assert neurons.threshold.grad[neuron].item() == pytest.approx(by_value[1], abs=1e-7)


def test_spikes_pass_gradients_to_the_currents():
    # What the circulating code lacks.
    currents = currents_of().requires_grad_()
    record, _ = run(neurons_of(), currents)
    record.spikes.sum().backward()
    assert (currents.grad != 0).double().mean() > 0.5


def test_no_gradient_runs_through_a_reset():
    neurons = QLIF(1, dtype=torch.float64, generator=seeded(0))
    currents = torch.tensor([0.9, 0.3], dtype=torch.float64)[:, None, None, None].requires_grad_()
    record, _ = run(neurons, currents)
    assert record.spikes.flatten().tolist() == [1, 0]
    (by_currents,) = torch.autograd.grad(record.spikes[1].sum(), currents)
    assert by_currents[0].item() == 0
    assert by_currents[1].item() != 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decay": 0.0}, "decay is 0.0; it must be above 0"),
        ({"decay": -1.0}, "decay is -1.0"),
        ({"threshold": 0.0}, r"threshold is 0.0; it must be in \(0, 1\)"),
        ({"threshold": 1.0}, "threshold is 1.0"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"dtype": torch.float16}, "dtype is torch.float16"),
    ],
)
def test_values_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        QLIF(1, **options, generator=seeded(0))


def test_an_unknown_slope_is_refused():
    # Whichever comes first names the argument: the checked annotation or the check at the door.
    with pytest.raises(Exception, match="encoding_slope"):
        QLIF(1, encoding_slope="other", generator=seeded(0))


def test_the_slope_below_zero_is_the_chosen_one():
    z = -0.15
    for slope, expected in (("exact", 0.0), ("exponential", math.exp(z / 0.3))):
        neurons = QLIF(1, decay=0.2, dtype=torch.float64, encoding_slope=slope, generator=seeded(0))
        currents = torch.tensor([[[[z]]]], dtype=torch.float64, requires_grad=True)
        state = QLIFState(torch.full((1, 1, 1), 1.2, dtype=torch.float64))
        record, _ = run(neurons, currents, state)
        (found,) = torch.autograd.grad(record.spikes.sum(), currents)
        a = math.sin(0.6) ** 2 * math.exp(-0.2)
        by_angle = math.sqrt(a * (1 - a))  # d sin^2(phi/2) / d phi
        full = surrogate_slope(a - 0.75) * by_angle * math.pi
        assert_close(found.item(), expected * full, rtol=0, atol=1e-12)


def test_constants_are_not_learned_and_obey_the_same_law():
    learned, constant = (
        QLIF(3, learn=learn, dtype=torch.float64, generator=seeded(0)) for learn in (True, False)
    )
    currents = torch.randn((6, 4, 3, 1), generator=seeded(0)).double()
    uniforms = torch.zeros(6, 4, 3, dtype=torch.float64)
    spikes = [neurons(currents, uniforms=uniforms)[0].spikes for neurons in (learned, constant)]
    assert torch.equal(*spikes)
    assert list(constant.parameters()) == []
    assert learned.state_dict().keys() == constant.state_dict().keys()


def test_a_word_is_not_taken_for_true(monkeypatch):
    # Users meet our own check, without the type checker.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match="learn is 'False'; it may be true or false"):
        QLIF(1, learn="False", generator=seeded(0))
