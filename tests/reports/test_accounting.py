"""What an inference costs: every number against a slow count by hand, and the laws between them."""

import json
from functools import partial

import pytest
import torch
from torch import Tensor

from sqsnn.network import SpikingNetwork
from sqsnn.neurons.lif import LIF
from sqsnn.neurons.qlif import QLIF
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum.circuits import Circuit, Encoded, Normal
from sqsnn.reports.accounting import Costs, Ran, cost_rows, count_costs

STEPS, BATCH, INPUTS, HIDDEN, CLASSES = 5, 6, 4, 3, 2


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network_of(neurons=SQSNeurons, **options) -> SpikingNetwork:
    return SpikingNetwork(
        [INPUTS, HIDDEN, CLASSES], neurons=partial(neurons, **options), generator=seeded()
    )


def spikes_of(channels: int = 1, rate: float = 0.6) -> Tensor:
    drawn = torch.rand(STEPS, BATCH, INPUTS, channels, generator=seeded(1))
    return (drawn < rate).float()


@torch.no_grad()
def counted(network: SpikingNetwork, spikes: Tensor, samples: int = BATCH) -> Costs:
    return count_costs(network, [Ran(spikes, network(spikes, generator=seeded(2)), samples)])


def operations_by_hand(received: Tensor, neurons: int, channels: int) -> int:
    """Every weight that is added to a current, one after the other."""
    steps, batch, presynaptic, given = received.shape
    operations = 0
    for t in range(steps):
        for b in range(batch):
            for p in range(presynaptic):
                for n in range(channels):
                    if received[t, b, p, n if given > 1 else 0] != 0:
                        operations += neurons
    return operations


def placed_by_hand(received: Tensor, weight: Tensor) -> int:
    """Currents above 0, each added up from its weights."""
    channels, neurons, presynaptic = weight.shape
    placed = 0
    for t in range(len(received)):
        for b in range(received.shape[1]):
            for h in range(neurons):
                for n in range(channels):
                    source = n if received.shape[-1] > 1 else 0
                    current = sum(
                        float(weight[n, h, p]) * float(received[t, b, p, source])
                        for p in range(presynaptic)
                    )
                    placed += current > 0
    return placed


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("given", ["one channel", "all channels"])
def test_every_count_is_that_of_a_count_by_hand(channels, given):
    network = network_of(channels=channels)
    spikes = spikes_of(1 if given == "one channel" else channels)
    with torch.no_grad():
        run = network(spikes, generator=seeded(2))
    costs = count_costs(network, [Ran(spikes, run, BATCH)])
    assert costs.samples == BATCH
    hidden, output = costs.layers
    emitted = [float(record.spikes.sum()) / BATCH for record in run.layers]
    assert [hidden.spikes_emitted, output.spikes_emitted] == emitted
    assert [hidden.spikes_received, output.spikes_received] == [
        float(spikes.sum()) / BATCH,
        emitted[0],
    ]
    for layer, received, synapses, neurons in (
        (hidden, spikes, network.synapses[0], HIDDEN),
        (output, run.layers[0].spikes, network.synapses[1], CLASSES),
    ):
        operations = operations_by_hand(received, neurons, channels)
        assert layer.synaptic_operations == operations / BATCH
        # Random weights: no sum of them is close enough to 0 for rounding to turn its sign.
        placed = placed_by_hand(received, synapses.weight.detach())
        assert layer.encoding_rotations == placed / BATCH
        assert not layer.analogue_input
        assert layer.multiply_accumulates == 0
        assert layer.dense_operations == layer.presynaptic * neurons * channels
        assert layer.dense_operations_every_step == STEPS * layer.dense_operations
        assert layer.neuron_updates == STEPS * neurons


@pytest.mark.parametrize("circuit", ["crx", "bidirectional", "integrate_and_fire"])
@pytest.mark.parametrize("channels", [1, 2])
def test_placed_and_skipped_rotations_are_all_rotations(circuit, channels):
    network = network_of(circuit=circuit, channels=channels, memory_qubits=2)
    for layer, size in zip(counted(network, spikes_of()).layers, (HIDDEN, CLASSES), strict=True):
        rotations = channels + (2 if circuit == "integrate_and_fire" else 0)
        both = layer.encoding_rotations + layer.skipped_rotations
        assert both == pytest.approx(STEPS * size * rotations, rel=1e-12)
        assert 0 < layer.encoding_rotations < both


def test_a_rotation_of_gain_0_is_no_gate():
    gates = [("CRX", (0, 2), Normal(1.0)), ("RX", (1,), Normal(0.3)), ("H", (0,), None)]
    circuit = Circuit.build(2, 1, gates, encoding=[Encoded(0, 0)])
    network = network_of(circuit=circuit, channels=2, memory_qubits=1)
    for layer, size in zip(counted(network, spikes_of()).layers, (HIDDEN, CLASSES), strict=True):
        both = layer.encoding_rotations + layer.skipped_rotations
        assert both == pytest.approx(STEPS * size, rel=1e-12)
        assert layer.circuit_gates == {name: STEPS * size for name in ("CRX", "RX", "H")}
        assert layer.gates == layer.encoding_rotations + 3 * STEPS * size


def test_gates_measurements_and_resets_are_those_of_every_step():
    network = network_of(circuit="bidirectional", channels=2, memory_qubits=2)
    hidden, output = counted(network, spikes_of()).layers
    # Of N = M = 2: 4 writes, 1 in the chain, 4 reads; an RX on each qubit.
    assert hidden.circuit_gates == {"CRX": STEPS * HIDDEN * 9, "RX": STEPS * HIDDEN * 4}
    assert hidden.measurements == hidden.resets == STEPS * HIDDEN * 2
    assert output.measurements == output.resets == STEPS * CLASSES * 2


def test_silent_input_costs_no_operation_and_places_no_rotation():
    silent = torch.zeros(STEPS, BATCH, INPUTS, 1)
    hidden, _ = counted(network_of(), silent).layers
    assert (hidden.spikes_received, hidden.synaptic_operations) == (0, 0)
    assert (hidden.encoding_rotations, hidden.skipped_rotations) == (0, STEPS * HIDDEN)


def test_full_input_costs_a_dense_pass_a_step():
    full = torch.ones(STEPS, BATCH, INPUTS, 1)
    hidden, _ = counted(network_of(channels=3), full).layers
    assert hidden.synaptic_operations == hidden.dense_operations_every_step


def test_values_are_multiplied_and_spikes_are_not():
    values = torch.rand(BATCH, INPUTS, generator=seeded(3)).expand(STEPS, -1, -1)[..., None].clone()
    values[:, :, 0] = 0
    costs = counted(network_of(), values)
    hidden, output = costs.layers
    assert hidden.analogue_input
    assert hidden.multiply_accumulates == hidden.synaptic_operations
    assert hidden.synaptic_operations == STEPS * (INPUTS - 1) * HIDDEN
    assert not output.analogue_input
    assert costs.total()["multiply_accumulates"] == hidden.synaptic_operations


@pytest.mark.parametrize("neurons", [LIF, QLIF])
def test_neurons_that_are_no_circuits_have_operations_and_no_gates(neurons):
    for layer in counted(network_of(neurons), spikes_of()).layers:
        assert layer.circuit_gates == {}
        assert (layer.gates, layer.measurements, layer.resets) == (0, 0, 0)
        assert (layer.encoding_rotations, layer.skipped_rotations) == (0, 0)
        assert layer.neuron_updates == STEPS * layer.neurons
    assert counted(network_of(neurons), spikes_of()).layers[0].synaptic_operations > 0


def test_batches_add_up_and_filling_does_not_count():
    network, spikes = network_of(), spikes_of()
    with torch.no_grad():
        run = network(spikes, generator=seeded(2))
    parts = []
    for chosen, filled in (([0, 1, 2, 3], [3, 3]), ([4, 5], [5, 5, 5, 5])):
        places = chosen + filled
        records = tuple(record._replace(spikes=record.spikes[:, places]) for record in run.layers)
        parts.append(Ran(spikes[:, places], run._replace(layers=records), len(chosen)))
    assert count_costs(network, parts) == count_costs(network, [Ran(spikes, run, BATCH)])


def test_totals_are_sums_over_layers_and_all_is_json():
    costs = counted(network_of(channels=2), spikes_of())
    content = json.loads(json.dumps(costs.as_dict(), allow_nan=False))
    assert content["samples"] == BATCH
    for name, total in content["total"].items():
        parts = [layer[name] for layer in content["layers"]]
        if name == "circuit_gates":
            for gate in total:
                assert total[gate] == sum(part[gate] for part in parts)
        else:
            assert total == sum(parts)
    assert content["total"]["gates"] == content["total"]["encoding_rotations"] + sum(
        content["total"]["circuit_gates"].values()
    )


def test_what_cannot_be_a_mean_is_refused():
    network, spikes = network_of(), spikes_of()
    with pytest.raises(ValueError, match="ran holds no sample"):
        count_costs(network, [])
    with torch.no_grad():
        long, short = (network(given, generator=seeded()) for given in (spikes, spikes[:3]))
    with pytest.raises(ValueError, match=r"batches of \[3, 5\] steps"):
        count_costs(network, [Ran(spikes, long, BATCH), Ran(spikes[:3], short, BATCH)])


def test_the_table_shows_every_figure_that_there_is():
    content = counted(network_of(channels=2), spikes_of()).as_dict()
    rows = {row.label: row for row in cost_rows(content)}
    first, second = content["layers"]
    for label, name in (
        ("spikes emitted", "spikes_emitted"),
        ("synaptic operations", "synaptic_operations"),
        ("dense network, every step", "dense_operations_every_step"),
        ("encoding: RX left out", "skipped_rotations"),
        ("gates in all", "gates"),
    ):
        assert rows[label][1:] == ((first[name], second[name]), content["total"][name])
    assert rows["spikes received"].total is None
    crx = (first["circuit_gates"]["CRX"], second["circuit_gates"]["CRX"])
    assert rows["circuit: CRX"][1:] == (crx, sum(crx))
    assert "those that multiply" not in rows


def test_the_table_leaves_out_what_other_neurons_have_none_of():
    content = counted(network_of(LIF), spikes_of() / 2).as_dict()
    labels = [row.label for row in cost_rows(content)]
    assert "those that multiply" in labels
    assert not [label for label in labels if label.startswith(("encoding", "circuit", "gates"))]
