"""What an inference costs: every number against a slow count by hand, and the laws between them."""

import json
from functools import partial
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tools import synapses_of
from torch import Tensor

from sqsnn.data.dataset import Samples
from sqsnn.network import SpikingNetwork
from sqsnn.neurons.drive import Leaky, Rectified, Saturating
from sqsnn.neurons.lif import LIF
from sqsnn.neurons.qlif import QLIF
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum.circuits import Circuit, Encoded, Normal
from sqsnn.runs import costs, inspect, loading, run
from sqsnn.runs.costs import cost_rows, count_costs
from sqsnn.settings.run import from_flat

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
def counted(network: SpikingNetwork, spikes: Tensor, samples: int = BATCH) -> dict[str, Any]:
    return count_costs(network, [(spikes, network(spikes, generator=seeded(2)), samples)])


def layers_of(found: dict[str, Any]) -> list[SimpleNamespace]:
    """The figures of each layer as attributes."""
    return [SimpleNamespace(**layer) for layer in found["layers"]]


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


def placed_by_hand(
    received: Tensor, weight: Tensor, emitted: Tensor, drive: Leaky | Rectified
) -> int:
    """Drives above 0, of currents that are added up from their weights; learned values as first."""
    channels, neurons, presynaptic = weight.shape
    placed, membrane = 0, {}
    for t in range(len(received)):
        for b in range(received.shape[1]):
            for h, n in product(range(neurons), range(channels)):
                source = n if received.shape[-1] > 1 else 0
                current = sum(
                    float(weight[n, h, p]) * float(received[t, b, p, source])
                    for p in range(presynaptic)
                )
                own = [float(s) for s in emitted[:t, b, h, n]][::-1]
                if isinstance(drive, Rectified):
                    placed += current > 0
                elif drive.reset_steps is None:
                    before = membrane.get((b, h, n), 0.0)
                    charge = drive.beta * before + current - (own[0] if own else 0.0)
                    membrane[b, h, n] = max(charge, drive.floor)
                    placed += membrane[b, h, n] > 0
                else:
                    charge = drive.beta * membrane.get((b, h, n), 0.0) + current
                    membrane[b, h, n] = max(charge, drive.floor)
                    last = enumerate(own[: drive.reset_steps])
                    placed += membrane[b, h, n] > sum(drive.beta**k * s for k, s in last)
    return placed


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("given", ["one channel", "all channels"])
@pytest.mark.parametrize("drive", [Rectified(), Leaky(), Leaky(reset_steps=2)], ids=str)
def test_every_count_is_that_of_a_count_by_hand(channels, given, drive):
    network = network_of(channels=channels, drive=drive)
    spikes = spikes_of(1 if given == "one channel" else channels)
    with torch.no_grad():
        record = network(spikes, generator=seeded(2))
    found = count_costs(network, [(spikes, record, BATCH)])
    assert found["samples"] == BATCH
    hidden, output = layers_of(found)
    emitted = [float(layer.spikes.sum()) / BATCH for layer in record.layers]
    assert [hidden.spikes_emitted, output.spikes_emitted] == emitted
    assert [hidden.spikes_received, output.spikes_received] == [
        float(spikes.sum()) / BATCH,
        emitted[0],
    ]
    first, last = (layer.spikes for layer in record.layers)
    for layer, received, given_out, synapses, neurons in (
        (hidden, spikes, first, synapses_of(network)[0], HIDDEN),
        (output, first, last, synapses_of(network)[1], CLASSES),
    ):
        operations = operations_by_hand(received, neurons, channels)
        assert layer.synaptic_operations == operations / BATCH
        # Random weights: no sum of them is close enough to 0 for rounding to turn its sign.
        placed = placed_by_hand(received, synapses.weight.detach(), given_out, drive)
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
    for layer, size in zip(
        layers_of(counted(network, spikes_of())), (HIDDEN, CLASSES), strict=True
    ):
        rotations = channels + (2 if circuit == "integrate_and_fire" else 0)
        both = layer.encoding_rotations + layer.skipped_rotations
        assert both == pytest.approx(STEPS * size * rotations, rel=1e-12)
        assert 0 < layer.encoding_rotations < both


def test_a_rotation_of_gain_0_is_no_gate():
    gates = [("CRX", (0, 2), Normal(1.0)), ("RX", (1,), Normal(0.3)), ("H", (0,), None)]
    circuit = Circuit.build(2, 1, gates, encoding=[Encoded(0, 0)])
    network = network_of(circuit=circuit, channels=2, memory_qubits=1)
    for layer, size in zip(
        layers_of(counted(network, spikes_of())), (HIDDEN, CLASSES), strict=True
    ):
        both = layer.encoding_rotations + layer.skipped_rotations
        assert both == pytest.approx(STEPS * size, rel=1e-12)
        assert layer.circuit_gates == {name: STEPS * size for name in ("CRX", "RX", "H")}
        assert layer.gates == layer.encoding_rotations + 3 * STEPS * size


def test_gates_measurements_and_resets_are_those_of_every_step():
    network = network_of(circuit="bidirectional", channels=2, memory_qubits=2)
    hidden, output = layers_of(counted(network, spikes_of()))
    # Of N = M = 2: 4 writes, 1 in the chain, 4 reads; an RX on each qubit.
    assert hidden.circuit_gates == {"CRX": STEPS * HIDDEN * 9, "RX": STEPS * HIDDEN * 4}
    assert hidden.measurements == hidden.resets == STEPS * HIDDEN * 2
    assert output.measurements == output.resets == STEPS * CLASSES * 2


def test_silent_input_costs_no_operation_and_places_no_rotation():
    silent = torch.zeros(STEPS, BATCH, INPUTS, 1)
    hidden, _ = layers_of(counted(network_of(), silent))
    assert (hidden.spikes_received, hidden.synaptic_operations) == (0, 0)
    assert (hidden.encoding_rotations, hidden.skipped_rotations) == (0, STEPS * HIDDEN)


def test_full_input_costs_a_dense_pass_a_step():
    full = torch.ones(STEPS, BATCH, INPUTS, 1)
    hidden, _ = layers_of(counted(network_of(channels=3), full))
    assert hidden.synaptic_operations == hidden.dense_operations_every_step


def test_values_are_multiplied_and_spikes_are_not():
    values = torch.rand(BATCH, INPUTS, generator=seeded(3)).expand(STEPS, -1, -1)[..., None].clone()
    values[:, :, 0] = 0
    found = counted(network_of(), values)
    hidden, output = layers_of(found)
    assert hidden.analogue_input
    assert hidden.multiply_accumulates == hidden.synaptic_operations
    assert hidden.synaptic_operations == STEPS * (INPUTS - 1) * HIDDEN
    assert not output.analogue_input
    assert found["total"]["multiply_accumulates"] == hidden.synaptic_operations


@pytest.mark.parametrize("neurons", [LIF, QLIF])
def test_neurons_that_are_no_circuits_have_operations_and_no_gates(neurons):
    for layer in layers_of(counted(network_of(neurons), spikes_of())):
        assert layer.circuit_gates == {}
        assert (layer.gates, layer.measurements, layer.resets) == (0, 0, 0)
        assert (layer.encoding_rotations, layer.skipped_rotations) == (0, 0)
        assert layer.neuron_updates == STEPS * layer.neurons
        assert layer.synaptic_operations > 0


@pytest.mark.parametrize(
    ("neurons", "options", "each"),
    [
        (SQSNeurons, {}, 2),  # beta u and theta s
        (SQSNeurons, {"drive": Leaky(reset_steps=0)}, 1),
        (SQSNeurons, {"drive": Leaky(reset_steps=3)}, 4),
        (SQSNeurons, {"drive": Rectified()}, 0),
        (SQSNeurons, {"drive": Saturating()}, 0),
        (LIF, {}, 2),
        (QLIF, {}, 0),
    ],
    ids=str,
)
@pytest.mark.parametrize("channels", [1, 2])
def test_membranes_multiply_and_add_at_every_step(neurons, options, each, channels):
    found = counted(network_of(neurons, channels=channels, **options), spikes_of())
    hidden, output = layers_of(found)
    assert hidden.membrane_operations == STEPS * HIDDEN * channels * each
    assert output.membrane_operations == STEPS * CLASSES * channels * each
    rows = {row.label: row.layers for row in cost_rows(found)}
    shown = rows.get("membranes: multiply-accumulates")
    assert shown == ((hidden.membrane_operations, output.membrane_operations) if each else None)


def test_batches_add_up_and_filling_does_not_count():
    network, spikes = network_of(), spikes_of()
    with torch.no_grad():
        whole = network(spikes, generator=seeded(2))
    parts = []
    for chosen, filled in (([0, 1, 2, 3], [3, 3]), ([4, 5], [5, 5, 5, 5])):
        places = chosen + filled
        records = tuple(record._replace(spikes=record.spikes[:, places]) for record in whole.layers)
        parts.append((spikes[:, places], whole._replace(layers=records), len(chosen)))
    assert count_costs(network, parts) == count_costs(network, [(spikes, whole, BATCH)])


def test_totals_are_sums_over_layers_and_all_is_json():
    found = counted(network_of(channels=2), spikes_of())
    content = json.loads(json.dumps(found, allow_nan=False))
    assert content == found
    assert content["samples"] == BATCH
    for name, total in content["total"].items():
        parts = [layer[name] for layer in content["layers"]]
        if name == "circuit_gates":
            for gate in total:
                assert total[gate] == sum(part[gate] for part in parts)
        else:
            assert total == sum(parts)
    gates = content["total"]["encoding_rotations"] + sum(content["total"]["circuit_gates"].values())
    assert content["total"]["gates"] == pytest.approx(gates, rel=1e-12)


def test_what_cannot_be_a_mean_is_refused():
    network, spikes = network_of(), spikes_of()
    with pytest.raises(ValueError, match="ran holds no sample"):
        count_costs(network, [])
    with torch.no_grad():
        long, short = (network(given, generator=seeded()) for given in (spikes, spikes[:3]))
    with pytest.raises(ValueError, match=r"batches of \[3, 5\] steps"):
        count_costs(network, [(spikes, long, BATCH), (spikes[:3], short, BATCH)])


def test_the_table_shows_every_figure_that_there_is():
    content = counted(network_of(channels=2), spikes_of())
    rows = {row.label: row for row in cost_rows(content)}
    first, second = content["layers"]
    for label, name in (
        ("spikes emitted", "spikes_emitted"),
        ("synaptic operations", "synaptic_operations"),
        ("dense network, every step", "dense_operations_every_step"),
        ("encoding: RX left out", "skipped_rotations"),
        ("all gates", "gates"),
    ):
        assert rows[label][1:] == ((first[name], second[name]), content["total"][name])
    assert rows["spikes received"].total is None
    crx = (first["circuit_gates"]["CRX"], second["circuit_gates"]["CRX"])
    assert rows["circuit: CRX"][1:] == (crx, sum(crx))
    assert "multiply-accumulates" not in rows


def test_the_table_leaves_out_what_other_neurons_have_none_of():
    content = counted(network_of(LIF), spikes_of() / 2)
    labels = [row.label for row in cost_rows(content)]
    assert "multiply-accumulates" in labels
    assert not [label for label in labels if label.startswith(("encoding", "circuit", "gates"))]


# The costs of a run are those of its own test.


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small run on digits, whose last batch is filled up."""
    settings = from_flat(
        "digits",
        {"hidden": "12", "steps": 4, "epochs": 1, "batch_size": 12, "classes": "0,1,2"}
        | {"train_samples": 80, "test_samples": 40},
    )
    return run.begin(settings, tmp_path_factory.mktemp("finished") / "run", pictures=False)


def test_a_run_writes_the_costs_of_its_test(finished):
    result = finished.read_result()
    found = result["costs"]
    assert found["samples"] == result["test_samples"] == 40
    emitted = [layer["spikes_emitted"] for layer in found["layers"]]
    # Sums of whole numbers, divided by the same number.
    assert emitted == pytest.approx(result["spikes_per_sample"], rel=1e-12)
    assert found["total"]["spikes_emitted"] == pytest.approx(sum(emitted), rel=1e-12)
    assert found["total"]["measurements"] == 4 * (12 + 3)
    # Outputs have no memory, and so no coupling.
    assert found["layers"][0]["circuit_gates"] == {"CRX": 4 * 12 * 2, "RX": 4 * 12 * 2}
    assert found["layers"][1]["circuit_gates"] == {"RX": 4 * 3}
    assert found["total"]["circuit_gates"] == {"CRX": 4 * 24, "RX": 4 * 27}
    # beta v, and one theta for each of the three spikes of the preset's reset.
    assert found["total"]["membrane_operations"] == 4 * 15 * 4


def test_no_more_samples_are_counted_than_are_needed(finished, monkeypatch):
    monkeypatch.setattr(costs, "COST_SAMPLES", 15)
    loaded = loading.load(finished)
    samples = loading.test(loaded).samples
    found = costs.of_test(loaded, samples)
    assert found["samples"] == 14  # every third of 40
    assert costs.of_test(loaded, samples) == found
    # From all over the test, since its samples may lie ordered by class.
    assert costs.of_test(loaded, Samples(samples.values[::3], samples.targets[::3])) == found


def test_inspecting_counts_what_the_run_counted(finished):
    found = inspect.costs(finished)
    content = finished.read_costs()
    assert content == {"best_epoch": 1, **finished.read_result()["costs"]}
    assert json.loads(json.dumps(found)) == finished.read_result()["costs"]
