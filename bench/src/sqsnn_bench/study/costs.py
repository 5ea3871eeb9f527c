"""What an inference costs: counts of the records, and an estimate of the time on a device.

Counts are those of a run (`sqsnn inspect costs`), summed over layers and steps. No row ran on a
device: its time is estimated from the counts, with the formula for the billed time that
`sqsnn hardware` uses, as if each neuron were one shot, one after another:

    device seconds = sum over neurons of (delay between shots + T s)
    s = (rotations t1 + two-qubit gates t2) per neuron and step, in a row, + measurement + reset

t1, t2, measurement and reset are those of the snapshot fake_boston. The overhead of a job, which
many inferences share, is left out, and so is the wait for own spikes.
"""

from collections.abc import Mapping
from typing import Any

from sqsnn.reports.page import MISSING, count, seconds
from sqsnn_bench.study.records import Record

# The two counts that every neuron has: weights added to currents, and steps of neurons.
OPERATIONS = ("synaptic_operations", "neuron_updates")
_COUNTED = (*OPERATIONS, "membrane_operations", "gates", "measurements")
NAMES = (*_COUNTED, "device_seconds", "seconds")
HEADS = (
    "spikes",
    "synaptic operations",
    "neuron updates",
    "membrane operations",
    "gates",
    "measurements",
    "device time, estimated",
    "training time",
)

# Seconds on fake_boston, the medians of its calibration of 2026-04-17.
PULSE, ENTANGLER = 32e-9, 68e-9  # sx, cz
MEASURE, RESET = 1.624e-6, 1.656e-6  # measure_2 and reset_2, in the middle of a circuit
_ROTATION = 2 * PULSE  # RZ takes no time
_TWO_QUBITS = 2 * ENTANGLER + 2 * _ROTATION


def of_record(record: Record) -> dict[str, float | None]:
    """The costs of one network by their names; None for what its record does not say.

    Args:
        record: The record of a network that was tested.
    """
    costs = record["costs"]
    counted = {name: costs and costs["total"].get(name) for name in _COUNTED}
    return {**counted, "device_seconds": device_seconds(costs), "seconds": record["seconds"]}


def device_seconds(costs: Mapping[str, Any] | None) -> float | None:
    """Estimate the seconds of an inference on a device; None for what is no circuit.

    Args:
        costs: The costs of a run.
    """
    if costs is None or not costs["total"]["measurements"]:
        return None
    # Here: not every reader of this module draws a circuit.
    from sqsnn.hardware.cost import estimate
    from sqsnn.quantum.gates import GATES

    total = 0.0
    for layer in costs["layers"]:
        if layer["measurements"]:
            pairs = sum(
                number for name, number in layer["circuit_gates"].items() if GATES[name].qubits == 2
            )
            gates = pairs * _TWO_QUBITS + (layer["gates"] - pairs) * _ROTATION
            shot = gates / layer["neurons"] + layer["steps"] * (MEASURE + RESET)
            expected = estimate(
                rows=layer["neurons"], shots=1, jobs=1, shot_duration=shot, rep_delay=None
            )
            total += expected.shot_seconds or 0.0
    return total


def cells(row: Mapping[str, Any]) -> list[str]:
    """Write the costs of a row, one cell per head of `HEADS`.

    Args:
        row: A row of results.json.
    """
    return [
        count(row["spikes_per_inference"]),
        *(count(row[name]) for name in _COUNTED),
        _short(row["device_seconds"]),
        seconds(row["seconds"]),
    ]


def _short(time: float | None) -> str:
    return MISSING if time is None else f"{1000 * time:,.3g} ms"
