"""Drives: first values, what their parameters act as, and what is refused."""

import math

import pytest
import torch
from tools import currents_of_both_signs, for_drives, quantum_neurons, seeded
from torch.testing import assert_close

from sqsnn.neurons.drive import Drive, Leaky, Rectified, Saturating
from sqsnn.neurons.sqs import SQSNeurons, SQSState

pytestmark = pytest.mark.usefixtures("device")

# First values


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("steps", [None, *range(5)])
def test_parameters_start_as_the_drive_says(beta, steps):
    drive = Leaky(beta=beta, reset=0.7, bias=0.2, reset_steps=steps)
    neurons = SQSNeurons(3, channels=2, drive=drive, dtype=torch.float64, generator=seeded(0))
    assert torch.equal(neurons.beta.detach(), torch.full((3, 2), beta, dtype=torch.float64))
    assert_close(neurons.bias.detach(), torch.full((3, 2), 0.2, dtype=torch.float64))
    if steps is None:
        assert_close(neurons.reset.detach(), torch.full((3, 2), 0.7, dtype=torch.float64))
    else:
        thetas = torch.tensor([0.7 * beta ** (k - 1) for k in range(1, steps + 1)])
        assert neurons.reset.shape == (3, 2, steps)
        assert_close(neurons.reset.detach(), thetas.double().expand(3, 2, steps), rtol=1e-6, atol=0)
    assert all(p.requires_grad for p in (neurons.beta, neurons.reset, neurons.bias) if p.numel())


def test_the_default_is_the_leaky_drive_with_the_values_of_the_specification():
    assert SQSNeurons(1, generator=seeded(0)).drive == Leaky() == Leaky(0.5, 1.0, 0.0, -1.0, None)
    assert Leaky().through_reset


def test_a_reset_of_a_whole_membrane_is_one_of_many_steps_while_no_floor_is_met():
    # theta_k = theta beta^(k-1) is what is left of a reset k steps ago.
    whole, finite = Leaky(floor=-9.0), Leaky(floor=-9.0, reset_steps=4)
    laws = []
    for drive in (whole, finite):
        neurons = SQSNeurons(2, drive=drive, dtype=torch.float64, generator=seeded(0))
        laws.append(neurons.sequence_probabilities(currents_of_both_signs(neurons, 5)))
    assert_close(laws[0], laws[1], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("beta", "acts_as"), [(1.3, 1.0), (-0.4, 0.0), (0.6, 0.6)])
def test_a_decay_is_held_between_0_and_1(beta, acts_as):
    laws = []
    for value in (beta, acts_as):
        neurons = quantum_neurons("crx", drive=Leaky())
        with torch.no_grad():
            neurons.beta.fill_(value)
        laws.append(neurons.sequence_probabilities(currents_of_both_signs(neurons, 4)))
    assert torch.equal(*laws)


@for_drives()
def test_bidirectional_starts_near_the_identity_where_the_membrane_remembers(drive):
    circuit = {"circuit": "bidirectional", "channels": 2, "memory_qubits": 2}
    neurons = SQSNeurons(40, drive=drive, generator=seeded(0), **circuit)
    angles = neurons.angles.detach()
    pairs, on_channel = [0, 1, 2, 3, 7, 8, 9, 10], [11, 12]
    if isinstance(drive, Leaky):
        # 0.02 N(0, 1): 6 deviations are exceeded once in 5e8.
        assert angles[:, :11].abs().max() < 0.12
        assert (angles[:, :11].std(0) > 0.01).all()  # not the saddle at 0
        # Where more current fires more, also behind a silent membrane: sin(angle) > 0.
        assert torch.equal(angles[:, on_channel], torch.full((40, 2), 0.1))
    else:
        assert angles[:, pairs].abs().mean().item() == pytest.approx(0.3 * math.pi, abs=0.05)
        assert (angles[:, on_channel] == 0.3).all()
    # A choice of one's own wins over both.
    chosen = {"coupling": 0.6 * math.pi}
    neurons = SQSNeurons(40, drive=drive, circuit_options=chosen, generator=seeded(0), **circuit)
    assert neurons.angles[:, pairs].abs().mean().item() == pytest.approx(0.6 * math.pi, abs=0.05)


@pytest.mark.parametrize("name", ["crx", "integrate_and_fire", "hardware_efficient"])
def test_other_circuits_start_as_they_do_without_a_membrane(name):
    both = [
        SQSNeurons(5, circuit=name, drive=drive, generator=seeded(0)).angles
        for drive in (Rectified(), Leaky())
    ]
    assert torch.equal(*both)


# What a population says of itself


@pytest.mark.parametrize(
    ("drive", "data"),
    [
        (Rectified(), True),
        (Saturating(), True),
        (Leaky(), False),
        (Leaky(through_reset=False), True),
        (Leaky(reset_steps=0), True),
        (Leaky(reset_steps=2), False),
        (Leaky(reset_steps=2, through_reset=False), True),
    ],
)
def test_own_spikes_are_data_where_no_gradient_runs_through_the_reset(drive, data):
    assert SQSNeurons(1, drive=drive, generator=seeded(0)).own_spikes_are_data == data


# Refusals


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reset_steps": 5}, r"Leaky: reset_steps: .*less than or equal to 4, but is 5"),
        ({"reset_steps": -1}, r"Leaky: reset_steps: .*greater than or equal to 0, but is -1"),
        ({"beta": 1.01}, r"Leaky: beta: .*less than or equal to 1, but is 1\.01"),
        ({"beta": -0.1}, r"Leaky: beta: .*greater than or equal to 0, but is -0\.1"),
        ({"beta": math.nan}, r"Leaky: beta: .*, but is nan"),
        ({"floor": 0.5}, r"Leaky: floor: .*less than or equal to 0, but is 0\.5"),
        ({"reset": math.inf}, r"Leaky: reset: .*finite.*, but is inf"),
        ({"bias": math.nan}, r"Leaky: bias: .*, but is nan"),
    ],
)
def test_a_drive_out_of_range_is_refused_by_its_argument_and_range(options, message):
    with pytest.raises(ValueError, match=message):
        Leaky(**options)


@pytest.mark.parametrize("drive", ["leaky", None, Leaky, 0.5])
def test_what_is_no_drive_is_refused(drive):
    # Whichever comes first names the argument: the checked annotation or the check at the door.
    with pytest.raises(Exception, match="drive"):
        SQSNeurons(1, drive=drive, generator=seeded(0))


def test_the_state_of_another_drive_is_refused_by_its_field():
    currents = torch.zeros(1, 2, 3, 1)

    def neurons(drive: Drive) -> SQSNeurons:
        return SQSNeurons(3, drive=drive, generator=seeded(0))

    def state(drive: Drive) -> SQSState:
        return neurons(drive)(currents, generator=seeded())[1]

    for drive in (Rectified(), Saturating()):
        with pytest.raises(ValueError, match=r"state\.membrane is a tensor"):
            neurons(drive)(currents, state(Leaky()), generator=seeded())
        with pytest.raises(ValueError, match=r"state\.membrane is None"):
            neurons(Leaky())(currents, state(drive), generator=seeded())
    with pytest.raises(ValueError, match=r"state\.spikes must have shape \(2, 3, 1, 2\)"):
        neurons(Leaky(reset_steps=2))(currents, state(Leaky()), generator=seeded())
    with pytest.raises(ValueError, match=r"state\.spikes must have shape \(2, 3, 1, 2\)"):
        neurons(Leaky(reset_steps=2)).kraus_operators(currents[0], state(Leaky(reset_steps=3)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: {"membrane": torch.zeros(2, 3, 2)}, r"membrane must .*\(2, 3, 1\), .*\(2, 3, 2\)"),
        (lambda: {"membrane": torch.zeros(1, 3, 1)}, r"membrane must .*\(2, 3, 1\), .*\(1, 3, 1\)"),
        (lambda: {"membrane": torch.zeros(2, 3, 1).double()}, r"state\.membrane has dtype"),
        (lambda: {"spikes": torch.zeros(2, 3, 1)}, r"state\.spikes must have shape \(2, 3, 1, 1\)"),
        (lambda: {"spikes": torch.zeros(2, 3, 1, 1, device="meta")}, r"state\.spikes on meta"),
        (
            lambda: {"memory": torch.zeros(2, 3, 4) + 0j},
            r"state\.memory must have shape \(2, 3, 2\)",
        ),
    ],
)
def test_a_state_that_does_not_fit_is_refused_by_its_field(change, message):
    neurons = SQSNeurons(3, generator=seeded(0))
    currents = torch.zeros(1, 2, 3, 1)
    _, state = neurons(currents, generator=seeded())
    with pytest.raises(ValueError, match=message):
        neurons(currents, state._replace(**change()), generator=seeded())
