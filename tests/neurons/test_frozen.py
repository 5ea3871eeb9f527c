"""Frozen columns: read and written as one matrix, trained in part."""

from functools import partial

import pytest
import torch
from tools import seeded

from sqsnn.neurons.drive import Leaky, Rectified
from sqsnn.neurons.sqs import SQSNeurons

pytestmark = pytest.mark.usefixtures("device")

NAMED = ("crx", "bidirectional", "integrate_and_fire", "hardware_efficient")


def made(name: str, **options) -> SQSNeurons:
    options = {"memory_gates": "frozen", "dtype": torch.float64, "memory_qubits": 2, **options}
    options = {"drive": Rectified(), **options}
    return SQSNeurons(3, circuit=name, generator=seeded(), **options)


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("channels", [1, 2])
def test_gates_on_the_memory_are_frozen_and_all_others_trained(name, channels):
    frozen = made(name, channels=channels)
    plain = made(name, channels=channels, memory_gates="trained")
    assert list(plain.state_dict()) == ["angles", "gains", "_extra_state"]
    assert torch.equal(frozen.angles, plain.angles) and torch.equal(frozen.gains, plain.gains)
    # Differentiate by every parameter that is trained: no gradient may be in a memory's column.
    trained = [p for p in frozen.parameters() if p.requires_grad]
    angles, gains = frozen.circuit.parameters, frozen.gains.shape[1]
    moved = torch.zeros(angles + gains, dtype=torch.bool)
    with torch.no_grad():
        before = torch.cat([frozen.angles, frozen.gains], dim=1)
        for parameter in trained:
            parameter.add_(1.0)
        moved = (torch.cat([frozen.angles, frozen.gains], dim=1) != before).all(0)
    circuit = plain.circuit
    for gate in circuit.gates:
        if gate.parameter is not None:
            assert moved[gate.parameter] == (max(gate.qubits) < channels)
    trainable = [rotation for rotation in circuit.encoding if rotation.trainable]
    for number, rotation in enumerate(trainable):
        assert moved[angles + number] == (rotation.qubit < channels)
    assert sum(p.numel() for p in trained) == 3 * int(moved.sum())


def test_the_whole_matrix_can_be_assigned_and_loaded():
    neurons, other = made("integrate_and_fire"), made("integrate_and_fire")
    angles = torch.randn(neurons.angles.shape, generator=seeded(4), dtype=torch.float64)
    neurons.angles = angles
    assert torch.equal(neurons.angles, angles)
    other.load_state_dict(neurons.state_dict())
    assert torch.equal(other.angles, angles)
    assert neurons.to(torch.float32).angles.dtype == torch.float32


def test_spikes_are_those_of_neurons_whose_gates_are_trained():
    neurons, plain = made("bidirectional"), made("bidirectional", memory_gates="trained")
    currents = torch.randn((5, 4, 3, 1), generator=seeded(1), dtype=torch.float64)
    one, other = (each(currents, generator=seeded(2))[0] for each in (neurons, plain))
    assert torch.equal(one.spikes, other.spikes)
    assert torch.equal(one.probability, other.probability)


def test_the_drive_is_trained_beside_frozen_gates():
    neurons = made("integrate_and_fire", drive=Leaky())
    trained = {name for name, p in neurons.named_parameters() if p.requires_grad}
    assert {"beta", "reset", "bias"} <= trained


def test_a_neuron_without_memory_has_no_gates_to_freeze():
    with pytest.raises(ValueError, match="memory_gates is 'frozen', which needs memory_qubits"):
        made("crx", memory_qubits=0)
    with pytest.raises(Exception, match="memory_gates"):
        made("crx", memory_gates="unknown")


def test_two_populations_of_one_generator_differ():
    generator = seeded()
    make = partial(SQSNeurons, 3, generator=generator)
    assert not torch.equal(make().angles, make().angles)
