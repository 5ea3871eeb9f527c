"""What was not run, calculated: many simulators that share a batch, and quantum processors.

*Simulators.* Of P processes each computes 1/P of a batch, draws the random numbers of the whole
batch, and sums the gradients in a ring, where 2 (P - 1)/P of their bytes pass every link. Seconds
of computing and drawing are measured, the link is assumed.

*Quantum processors.* Shots of a step are counted in a simulated one; the time of a shot is that of
the compiled circuit on a snapshot plus the delay that IBM's devices name, jobs are cut at IBM's
limit of executions (https://quantum.cloud.ibm.com/docs/guides/job-limits).
"""

import math
from typing import Any

import torch

from sqsnn import hardware
from sqsnn.hardware.cost import JOB_OVERHEAD, USUAL_REP_DELAY
from sqsnn.learning import Local, Measured
from sqsnn.learning.bit_source import require_circuits
from sqsnn.training import trainer
from sqsnn_bench.scaling import steps
from sqsnn_bench.shapes.kept import Kept

PROCESSES = (1, 2, 4, 8, 16, 32, 64, 128)
LINKS = {"10 Gbit/s": 10e9 / 8, "100 Gbit/s": 100e9 / 8}  # bytes per second
BYTES = 4  # of a number
SNAPSHOT, EXECUTIONS = "fake_brisbane", 10_000_000
DEVICE_NETWORKS = ((64, 32, 10), (784, 1000, 10))
DEVICE_BATCH, TIME_STEPS = 512, 10


def calculate_all(kept: Kept, measured: list[dict[str, Any]]) -> None:
    """Calculate both from the networks that `processes` measured."""
    kept.write({"simulators": [simulators(row) for row in measured]})
    kept.write({"devices": [devices(*sizes) for sizes in DEVICE_NETWORKS]})


def simulators(network: dict[str, Any]) -> dict[str, Any]:
    """Calculate the efficiency of P processes on one batch, and where what is shared halves it."""
    alone = network["teams"]["1 process"]
    step = alone["training"]["seconds"]["median"]
    drawing, update = alone["drawing_seconds"], alone["update_seconds"]
    found: dict[str, Any] = {name: network[name] for name in ("sizes", "batch")}
    for name, speed in LINKS.items():
        bytes_ = BYTES * network["parameters"]
        rows = {}
        for count in PROCESSES:
            exchange = 2 * (count - 1) / count * bytes_ / speed
            each = (step - drawing - update) / count + drawing + update + exchange
            rows[str(count)] = {"samples_per_second": network["batch"] / each}
            rows[str(count)] |= {"efficiency": step / (count * each)}
        constant = drawing + update + 2 * bytes_ / speed
        found[name] = {"processes": rows, "half": (step - drawing - update) / constant}
    return found


def devices(inputs: int, hidden: int, outputs: int) -> dict[str, Any]:
    """Calculate the device time of a step of the local rule from measured bits, W = R = 1."""
    recipe = steps.settings(
        DEVICE_BATCH, TIME_STEPS, [hidden], rule=Local(score=Measured()), reset_steps=3
    )
    progress = trainer.start(recipe, inputs, outputs, DEVICE_BATCH)
    spikes = torch.zeros(TIME_STEPS, 1, inputs, 1)
    generator = torch.Generator().manual_seed(0)
    figures = progress.rule.step(progress.network, spikes, torch.zeros(1).long(), generator)
    executor = hardware.Executor(hardware.find(SNAPSHOT))
    free = 0.0
    network = progress.network
    populations = [require_circuits(network.population(name)) for name in network.names]
    for population in populations:
        one = executor.estimate(
            population.circuit, steps=TIME_STEPS, rows=1, shots=1, reset_steps=3
        )
        free += population.size * (USUAL_REP_DELAY + (one.shot_duration or 0.0))
    circuit = populations[0].circuit
    replay = executor.estimate(circuit, steps=1, rows=1, shots=1).shot_duration or 0.0
    scores = figures["shots"]
    seconds = DEVICE_BATCH * (free + scores * (USUAL_REP_DELAY + replay))
    shots = DEVICE_BATCH * (hidden + outputs + scores)
    jobs = math.ceil(shots / EXECUTIONS)
    return {
        "sizes": [inputs, hidden, outputs],
        "shots_of_an_inference": hidden + outputs,
        "seconds_of_an_inference": free,
        "shots_of_a_training_sample": scores,
        "shots_of_a_step": shots,
        "jobs_of_a_step": jobs,
        "seconds_of_a_step": seconds + jobs * JOB_OVERHEAD,
        "replay_seconds": replay,
    }
