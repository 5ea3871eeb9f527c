"""Controllers: fixed angles, and angles that depend on the spikes so far, in every simulation."""

import math
from typing import NamedTuple

import pytest
import torch
from tools import seeded
from torch import Tensor
from torch.testing import assert_close

from sqsnn.quantum import density, sampled_noise, trajectory
from sqsnn.quantum import instrument as quantum
from sqsnn.quantum.circuit import Circuit
from sqsnn.quantum.control import Controller, Fixed, Turns, at
from sqsnn.quantum.noise import Noise

pytestmark = pytest.mark.usefixtures("device")

STEPS, BATCH, NEURONS = 4, 3, 2
# Without gates, a neuron spikes exactly if its channel is turned by pi.
COPY = Circuit.build(1, 1, [])


def no_parameters() -> Tensor:
    return torch.zeros(NEURONS, 0, dtype=torch.float64)


def halves() -> Tensor:
    return torch.full((STEPS, BATCH, NEURONS), 0.5, dtype=torch.float64)


class Last(NamedTuple):
    """The last spikes, and how many steps there were."""

    spikes: Tensor  # (B, H, 1)
    steps: Tensor


class Alternating(NamedTuple):
    """Turns a channel by pi if and only if it did not spike in the step before."""

    seen: list[bool]  # whether each step came with its probabilities

    @property
    def start(self) -> Last:
        silent = torch.zeros(BATCH, NEURONS, 1, dtype=torch.float64)
        return Last(silent, silent)

    def turns(self, t: int, state: Last) -> tuple[Turns, Last]:
        angle = math.pi * (1 - state.spikes[..., 0])
        return Turns([angle], (angle > 0)[..., None]), state._replace(steps=state.steps + 1)

    def settle(self, state: Last, bits: Tensor, marginals: Tensor | None) -> Last:
        self.seen.append(marginals is not None)
        return state._replace(spikes=bits)


def alternating() -> Alternating:
    return Alternating([])


# Fixed angles


def test_fixed_angles_are_looked_up_by_step():
    angles = [torch.randn(STEPS, BATCH, NEURONS, generator=seeded(n)) for n in (0, 1)]
    driven = torch.rand(STEPS, BATCH, NEURONS, 2, generator=seeded(2)) > 0.5
    control = Fixed(angles, driven)
    for t in range(STEPS):
        turns, state = control.turns(t, None)
        assert state is None
        assert all(torch.equal(a, b[t]) for a, b in zip(turns.angles, angles, strict=True))
        assert torch.equal(turns.gates, driven[t])
    assert control.start is None
    assert control.settle(None, torch.zeros(BATCH, NEURONS, 1), None) is None


def test_both_kinds_are_controllers():
    assert isinstance(Fixed([]), Controller)
    assert isinstance(alternating(), Controller)
    assert not isinstance(Turns([], None), Controller)


def test_a_step_of_nothing_is_nothing():
    assert at(None, 3) is None
    assert at(torch.arange(4), 3) == 3


def test_noise_asks_which_rotations_are_gates():
    angles = [torch.zeros(STEPS, BATCH, NEURONS, dtype=torch.float64)]
    noisy = density.prepare(COPY, no_parameters(), Noise(depolarising_1q=0.1))
    with pytest.raises(ValueError, match="noise needs to know which rotations are gates"):
        density.run(noisy, density.ground_state(noisy, BATCH), Fixed(angles), uniforms=halves())


# Angles that depend on the spikes so far


def expected_spikes() -> Tensor:
    return (
        (torch.arange(STEPS) % 2 == 0)
        .double()[:, None, None, None]
        .expand(STEPS, BATCH, NEURONS, 1)
    )


@pytest.mark.parametrize("unrolled", [True, False])
def test_a_trajectory_asks_at_every_step_and_returns_the_last_state(unrolled, monkeypatch):
    if not unrolled:
        monkeypatch.setattr(trajectory.unrolled, "layout", lambda circuit: None)
    instrument = quantum.prepare(COPY, no_parameters())
    ground = quantum.ground_state(instrument, BATCH)
    control = alternating()
    result = trajectory.run(instrument, ground, control, uniforms=halves(), keep_history=True)
    assert torch.equal(result.bits, expected_spikes())
    assert result.history.shape == (STEPS, BATCH, NEURONS, 2)
    assert torch.equal(result.control.spikes, result.bits[-1])
    assert (result.control.steps == STEPS).all()
    assert control.seen == [True] * STEPS
    scored = trajectory.run(instrument, ground, alternating(), observed=result.bits)
    assert_close(scored.log_likelihood, torch.zeros_like(scored.log_likelihood))


def test_a_controller_that_knows_its_angles_gives_what_fixed_angles_give():
    instrument = quantum.prepare(COPY, no_parameters())
    ground = quantum.ground_state(instrument, BATCH)
    fixed = Fixed([math.pi * expected_spikes()[..., 0]])
    one, other = (
        trajectory.run(instrument, ground, control, uniforms=halves())
        for control in (fixed, alternating())
    )
    for field in ("bits", "marginals", "log_likelihood", "memory"):
        assert torch.equal(getattr(one, field), getattr(other, field)), field
    assert one.control is None


def test_recorded_spikes_and_not_true_ones_reach_the_controller():
    # Every spike is missed: the channel is turned at every step.
    model = Noise(missed_spike=1.0)
    noisy = density.prepare(COPY, no_parameters(), model)
    ground = density.ground_state(noisy, BATCH)
    sampled = sampled_noise.prepare(COPY, no_parameters(), model)
    numbers = halves()[..., None].expand(-1, -1, -1, 2)
    pure = torch.tensor([1, 0], dtype=torch.complex128).expand(BATCH, NEURONS, 2)
    silent = torch.zeros(STEPS, BATCH, NEURONS, 1, dtype=torch.float64)
    for result in (
        density.run(noisy, ground, alternating(), uniforms=halves()),
        sampled_noise.run(sampled, pure, alternating(), uniforms=numbers),
    ):
        assert torch.equal(result.bits, silent)
        assert torch.equal(result.control.spikes, silent[0])


def test_in_the_exact_law_every_history_has_a_state_of_its_own():
    instrument = quantum.prepare(COPY, no_parameters())
    control = alternating()
    law = quantum.sequence_probabilities(instrument, control, STEPS, BATCH)
    certain = torch.zeros(2**STEPS, dtype=torch.float64)
    certain[0b1010] = 1
    assert_close(law, certain.expand(BATCH, NEURONS, -1), rtol=0, atol=1e-14)
    assert control.seen == [False] * STEPS  # in a tree of all sequences, own spikes are data
    noisy = density.prepare(COPY, no_parameters(), Noise(missed_spike=0.25))
    law = density.sequence_probabilities(noisy, alternating(), 2, BATCH)
    # A missed spike is followed by another turn: 00, 01, 10, 11.
    expected = torch.tensor([1 / 16, 3 / 16, 3 / 4, 0], dtype=torch.float64)
    assert_close(law, expected.expand(BATCH, NEURONS, -1), rtol=0, atol=1e-14)
