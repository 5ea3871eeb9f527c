"""Networks with cycles on a device: step by step without memory qubits, refused with them."""

from functools import partial

import pytest
import torch
from tools import populations_of, seeded, synapses_of
from torch import Tensor

from sqsnn.errors import HardwareError
from sqsnn.hardware import free_run
from sqsnn.hardware.bit_source import DeviceBits
from sqsnn.hardware.devices import find
from sqsnn.hardware.executor import Executor
from sqsnn.hardware.free_run import Plan
from sqsnn.learning.bit_source import SimulatedBits, run_network
from sqsnn.network import SpikingNetwork
from sqsnn.neurons.drive import Leaky, Rectified
from sqsnn.neurons.sqs import SQSNeurons

STEPS, BATCH = 5, 6


def recurrent_network(drive=None, memory_qubits: int = 0) -> SpikingNetwork:
    neurons = partial(
        SQSNeurons, circuit="crx", memory_qubits=memory_qubits, drive=drive or Rectified()
    )
    return SpikingNetwork(
        [4, 5, 3], neurons=neurons, recurrent=True, skip=True, generator=seeded(0)
    ).double()


def logical_network() -> SpikingNetwork:
    """Weights of whole numbers and angles of 0 and pi, so that every spike is certain."""
    network, drawn = recurrent_network(), seeded(2)
    with torch.no_grad():
        for synapses in synapses_of(network):
            weight = synapses.weight
            weight.copy_(torch.randint(-1, 2, weight.shape, generator=drawn))
        for population in populations_of(network):
            angles = population.angles
            angles.copy_(torch.pi * torch.randint(0, 2, angles.shape, generator=drawn))
    return network


def spikes_of(batch: int = BATCH) -> Tensor:
    return (torch.rand((STEPS, batch, 4, 1), generator=seeded(1)) < 0.5).double()


def test_certain_spikes_of_a_recurrent_network_are_the_simulators_and_take_a_job_per_step():
    network = logical_network()
    with torch.no_grad():
        simulated = network(spikes_of(), generator=seeded(3))
    executor = Executor(find("aer"))
    measured = run_network(network, spikes_of(), DeviceBits(executor), seeded(4))
    for name in network.names:
        assert torch.equal(measured[name].spikes, simulated[name].spikes)
        assert 0.1 < measured[name].spikes.mean() < 0.9
    # The recurrent spikes matter: without them others come out.
    with torch.no_grad():
        synapses_of(network)[-2].weight.zero_()
        assert not torch.equal(
            network(spikes_of(), generator=seeded(3))[0][0].spikes, simulated[0][0].spikes
        )
    assert executor.counts.jobs == STEPS + 1  # the hidden layer step by step, the output at once


def test_a_leaky_membrane_goes_on_from_step_to_step_on_a_cycle():
    # 5 steps of 5 neurons, 800 samples each way: 25 differences of 5 standard errors at most; one
    # seed in 70,000 would fail.
    network, count = recurrent_network(Leaky()), 800
    inputs = spikes_of(1).expand(-1, count, -1, -1)
    measured = run_network(network, inputs, DeviceBits(Executor(find("aer"))), seeded(5))
    with torch.no_grad():
        simulated = network(inputs, generator=seeded(6))
    rates = [record["hidden"].spikes.mean(1) for record in (measured, simulated)]
    error = (rates[1] * (1 - rates[1]) * 2 / count).sqrt() + 1e-3
    assert ((rates[0] - rates[1]).abs() / error).max() < 5
    assert rates[1].std() > 0.05


@pytest.mark.parametrize("source", [SimulatedBits(), DeviceBits(Executor(find("aer")))])
def test_memory_qubits_on_a_cycle_are_refused_with_the_reason(source):
    network = recurrent_network(memory_qubits=1)
    with pytest.raises(HardwareError, match=r"'hidden' lies on a cycle.*memory_qubits 0"):
        run_network(network, spikes_of(), source, seeded(0))
    with pytest.raises(HardwareError, match=r"'hidden' lies on a cycle.*memory_qubits 0"):
        free_run.plan_network(network, STEPS)


def test_memory_qubits_off_the_cycle_stay_in_one_circuit():
    network = SpikingNetwork(
        [4, 5, 3],
        recurrent=True,
        neurons=[
            partial(SQSNeurons, memory_qubits=0),
            partial(SQSNeurons, memory_qubits=1, drive=Leaky(reset_steps=2)),
        ],
        generator=seeded(0),
    )
    plans = [planned for _, planned in free_run.plan_network(network, STEPS)]
    assert plans == [Plan(1, 0, STEPS), Plan(STEPS, 2, 1)]
