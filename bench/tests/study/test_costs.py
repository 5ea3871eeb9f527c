"""Costs: the estimate of device time by hand, and beside compiled circuits of a snapshot."""

from collections import Counter
from statistics import median

import pytest
from numpy.testing import assert_allclose
from qiskit_ibm_runtime.fake_provider import FakeBoston

from sqsnn.hardware.compile import compile_neuron
from sqsnn.hardware.devices import find
from sqsnn.hardware.packing import choose_groups
from sqsnn.quantum import circuits
from sqsnn_bench.study import costs
from sqsnn_bench.study.costs import HEADS, NAMES, cells, device_seconds, of_record

DELAY = 250e-6  # between shots, where a device names none


def layer(neurons, steps, gates, placed):
    """The costs of a layer whose neurons have these gates, and so many rotations in all."""
    updates = neurons * steps
    circuit = {name: updates * number for name, number in gates.items()}
    return {
        "neurons": neurons,
        "steps": steps,
        "circuit_gates": circuit,
        "gates": placed + sum(circuit.values()),
        "measurements": updates,
    }


def counted(*layers):
    return {"total": {"measurements": sum(it["measurements"] for it in layers)}, "layers": layers}


def test_device_time_is_one_shot_per_neuron_one_after_another():
    # Per step RX of 2 x 32 ns, CRX of 2 x 68 + 4 x 32 ns, 1.624 + 1.656 us: 3.608 us.
    hidden = layer(3, 4, {"RX": 1, "CRX": 1}, placed=0)
    assert_allclose(device_seconds(counted(hidden)), 3 * (DELAY + 4 * 3.608e-6), rtol=1e-12)
    # An output without gates, of which 5 rotations were placed in all.
    output = layer(2, 4, {}, placed=5.0)
    more = 2 * (DELAY + 4 * 3.28e-6) + 5 * 64e-9
    assert_allclose(
        device_seconds(counted(hidden, output)),
        device_seconds(counted(hidden)) + more,
        rtol=1e-12,
    )


def test_what_is_no_circuit_needs_no_device():
    lif = layer(3, 4, {}, placed=0) | {"measurements": 0}
    assert device_seconds(counted(lif)) is None
    assert device_seconds(None) is None
    hidden = layer(3, 4, {"RX": 1}, placed=0)
    assert device_seconds(counted(hidden, lif)) == device_seconds(counted(hidden))


def test_the_times_are_those_of_the_snapshot():
    target = FakeBoston().target
    for name, time in {
        "sx": costs.PULSE,
        "cz": costs.ENTANGLER,
        "measure_2": costs.MEASURE,
        "reset_2": costs.RESET,
    }.items():
        assert_allclose(median(it.duration for it in target[name].values()), time, rtol=1e-9)


@pytest.mark.parametrize(("name", "memory"), [("crx", 1), ("bidirectional", 1)])
def test_a_shot_takes_nearly_what_the_compiled_circuit_takes(name, memory):
    device, circuit, steps = find("fake_boston"), circuits.get(name, 1, memory), 10
    compiled = compile_neuron(circuit, steps, device, choose_groups(device.target, circuit, 1))
    gates = Counter(gate.name for gate in circuit.gates)
    estimated = device_seconds(counted(layer(1, steps, gates, placed=steps)))
    # Rotations that merge are counted apart, and the last measurement is not the short one.
    assert_allclose(estimated - DELAY, compiled.duration, rtol=0.1)


def test_older_records_do_not_say_membrane_operations():
    total = {"synaptic_operations": 30.0, "neuron_updates": 12, "gates": 0, "measurements": 0}
    found = of_record({"costs": {"total": total, "layers": []}, "seconds": 2.0})
    assert tuple(found) == NAMES
    assert (found["neuron_updates"], found["membrane_operations"]) == (12, None)
    nothing = of_record({"costs": None, "seconds": 2.0})
    assert [name for name in NAMES if nothing[name] is not None] == ["seconds"]
    shown = cells(found | {"spikes_per_inference": 8.5})
    assert shown == ["8.5", "30", "12", "\N{EN DASH}", "0", "0", "\N{EN DASH}", "2.0 s"]
    assert len(shown) == len(HEADS)
