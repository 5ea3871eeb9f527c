"""The joint law of hidden and output spikes of a driven network on a device, by chi-square.

A network of one hidden neuron and one output runs one sample many times, as `sqsnn hardware` runs
it: the bits that the hidden neuron gave drive the output. All 2^(2 T) records have an exact
probability, the hidden neuron's of its train times the output's of its own given that train.

Each record is one shot of circuits of its own. `Gathered` sends equal circuits as shots of one,
which is the same law for a small part of the time.
"""

import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
from scipy.stats import chisquare

from sqsnn import Leaky, Rectified, SpikingNetwork, SQSNeurons
from sqsnn.errors import ConfigError, HardwareError
from sqsnn.hardware import DeviceBits, Executor, feedforward, find
from sqsnn.hardware.free_run import plan_network
from sqsnn.learning import run_network
from sqsnn.learning.bit_source import require_circuits
from sqsnn.network import NetworkRecord
from sqsnn.neurons.drive import Drive

STEPS = 6
# Over all comparisons of a call, after Bonferroni: how often a right device is called wrong.
ERROR_RATE = 0.01
LEAST_EXPECTED = 5


@dataclass(frozen=True)
class Case:
    """A network of one hidden neuron and one output."""

    name: str
    drive: Drive
    memory: tuple[int, int] = (1, 1)  # qubits of the hidden neuron and of the output


CASES = (
    Case("no membrane", Rectified()),
    *(Case(f"K = {length}", Leaky(reset_steps=length)) for length in range(4)),
    Case("whole membrane, M = 0", Leaky(), (0, 0)),
    Case("whole membrane, M = 1", Leaky()),
    Case("whole membrane, M = 1, output M = 0", Leaky(), (1, 0)),
)


class Gathered(Executor):
    """An executor that runs equal rows of one shot as shots of one row.

    Shots are independent, as rows are. Rows are sent by the power of two of their number, so that
    at most twice as many shots are measured as are used.
    """

    def run(
        self,
        circuit: Any,
        steps: int,
        values: np.ndarray,
        shots: int,
        generator: torch.Generator,
        **options: Any,
    ) -> np.ndarray:
        """See `Executor.run`."""
        if shots != 1:
            return super().run(circuit, steps, values, shots, generator, **options)
        rows, place, counts = np.unique(values, axis=0, return_inverse=True, return_counts=True)
        order = np.argsort(place.ravel(), kind="stable")  # equal rows side by side
        first = np.cumsum(counts) - counts
        spikes = np.empty((len(values), 1, steps, circuit.channels), bool)
        power = [int(count - 1).bit_length() for count in counts]
        for exponent in sorted(set(power)):
            some = [row for row, own in enumerate(power) if own == exponent]
            found = super().run(circuit, steps, rows[some], 2**exponent, generator, **options)
            for row, bits in zip(some, found, strict=True):
                here = order[first[row] : first[row] + counts[row]]
                spikes[here, 0] = bits[: len(here)]
        return spikes


def network_of(case: Case, circuit: str) -> SpikingNetwork:
    """A network far from any special value: its records spread, and own spikes weigh."""
    generator = seeded(1)
    neurons = [
        partial(SQSNeurons, circuit=circuit, drive=case.drive, memory_qubits=qubits)
        for qubits in case.memory
    ]
    network = SpikingNetwork([2, 1, 1], neurons=neurons, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        for population in populations_of(network):
            population.angles.uniform_(-0.6, 0.6, generator=generator)
            if isinstance(case.drive, Leaky):
                population.beta.fill_(0.8)
                population.bias.fill_(0.15)
                population.reset.uniform_(0.3, 0.5, generator=generator)
        for synapses in synapses_of(network):
            synapses.weight.uniform_(0.2, 0.4, generator=generator)
    return network


def populations_of(network: SpikingNetwork) -> list[SQSNeurons]:
    """The hidden neuron and the output."""
    return [require_circuits(network.population(name)) for name in network.names]


def synapses_of(network: SpikingNetwork) -> list[Any]:
    """The synapses of the hidden neuron and of the output."""
    return [pathway.synapses for pathway in network.pathways]


def sample() -> torch.Tensor:
    """Spikes of two inputs, (T, 1, 2, 1)."""
    rows = [[1, 1, 0, 1, 1, 0], [0, 1, 1, 1, 0, 1]]
    return torch.tensor(rows, dtype=torch.float64).T[:, None, :, None]


@torch.no_grad()
def law_of(network: SpikingNetwork) -> np.ndarray:
    """P(hidden train, output train), exactly, `(2^T, 2^T)`; the first step is the highest bit."""
    into, between = synapses_of(network)
    hidden, output = populations_of(network)
    places = torch.arange(STEPS - 1, -1, -1)
    trains = (torch.arange(2**STEPS) >> places[:, None]) & 1  # (T, 2^T)
    first = hidden.sequence_probabilities(into(sample()))[0, 0]
    second = output.sequence_probabilities(between(trains.double()[:, :, None, None]))[:, 0]
    return (first[:, None] * second).numpy()


def counted(record: NetworkRecord) -> np.ndarray:
    """How often each pair of trains was measured, `(2^T, 2^T)`."""
    weights = 2 ** torch.arange(STEPS - 1, -1, -1)
    hidden, output = (weights @ layer.spikes[:, :, 0, 0].long() for layer in record.layers)
    return torch.bincount(hidden * 2**STEPS + output, minlength=4**STEPS).numpy()


def p_value(counts: np.ndarray, law: np.ndarray) -> float:
    """The p value of counts under a law by chi-square; rare records count in groups of five.

    A group is of records of similar probability, and is expected five times or more.
    """
    expected = law.ravel() * counts.sum()
    groups, total = np.empty(expected.shape, int), np.inf
    number = -1
    for place in np.argsort(-expected):
        if total >= LEAST_EXPECTED:
            number, total = number + 1, 0.0
        groups[place], total = number, total + expected[place]
    if total < LEAST_EXPECTED and number > 0:
        groups[groups == number] = number - 1
    seen, wanted = (np.bincount(groups, values.ravel()) for values in (counts, expected))
    return float(chisquare(seen, wanted, sum_check=False).pvalue)


def without_own_spikes(network: SpikingNetwork) -> SpikingNetwork | None:
    """A network whose own spikes take nothing, as if no condition held; None if it is the same."""
    silent = deepcopy(network)
    resets = [getattr(population, "reset", torch.empty(0)) for population in populations_of(silent)]
    with torch.no_grad():
        for reset in resets:
            reset.zero_()
    return silent if any(reset.numel() for reset in resets) else None


def measured(backend: str, circuit: str, case: Case, shots: int, seed: int) -> dict[str, Any]:
    """Run a case on a device, a snapshot without its noise, or note why the device refuses it."""
    network, executor = network_of(case, circuit), Gathered(find(backend), noisy=False)
    row: dict[str, Any] = {"circuit": circuit, "case": case.name}
    try:
        plans = plan_network(network, STEPS)
        compiled = [plan.compiled(executor, neurons.circuit) for neurons, plan in plans]
    except HardwareError as error:
        return {**row, "refused": str(error)}
    began = time.perf_counter()
    spikes = sample().expand(-1, shots, -1, -1).contiguous()
    record = run_network(network, spikes, DeviceBits(executor), seeded(seed))
    seconds = time.perf_counter() - began
    with torch.no_grad():
        simulated = counted(network(spikes, generator=seeded(seed)))
    counts, law, silent = counted(record), law_of(network), without_own_spikes(network)
    return {
        **row,
        "steps_per_circuit": [plan.steps for _, plan in plans],
        "conditions": [feedforward.conditions(each.circuit) for each in compiled],
        "records": int((counts > 0).sum()),
        "p": p_value(counts, law),
        "p_of_the_simulator": p_value(simulated, law),
        "p_without_own_spikes": None if silent is None else p_value(counts, law_of(silent)),
        "jobs": executor.counts.jobs,
        "executions": executor.counts.shots,
        "seconds": seconds,
    }


def compare(
    backend: str, circuits: Sequence[str], shots: int, seed: int, watch: Callable[[str], None]
) -> dict[str, Any]:
    """Compare all cases on a device with their exact laws.

    Raises:
        ConfigError: If the device is one that is paid for.
    """
    if backend.startswith("ibm:"):
        raise ConfigError(
            f"backend is {backend!r}, whose jobs are paid for; this command neither asks nor keeps "
            "them: take a simulator or a snapshot (fake_...)"
        )
    rows = []
    for circuit, case in product(circuits, CASES):
        rows.append(measured(backend, circuit, case, shots, seed))
        watch(line(rows[-1]))
    ran = [row["p"] for row in rows if "p" in row]
    least = ERROR_RATE / max(1, len(ran))
    return {
        "backend": backend,
        "shots": shots,
        "steps": STEPS,
        "seed": seed,
        "error_rate": ERROR_RATE,
        "comparisons": len(ran),
        "least_p": least,
        "agrees": min(ran, default=1.0) >= least,
        "rows": rows,
    }


def line(row: dict[str, Any]) -> str:
    """Say a row in one line."""
    said = f"{row['circuit']}, {row['case']}: "
    if "refused" in row:
        return f"{said}refused: {row['refused']}"
    return (
        f"{said}p = {row['p']:.3g}; {row['conditions']} conditions, {row['jobs']} jobs, "
        f"{row['seconds']:.1f} s"
    )


def table(content: dict[str, Any]) -> str:
    """Write the figures as a Markdown table, and what they say."""
    lines = [
        "| circuit | drive | conditions of a shot (hidden, output) | p | p of the simulator | "
        "p without own spikes |",
        "|---|---|---|---|---|---|",
    ]
    for row in content["rows"]:
        cells = ["", "refused", "", ""]
        if "refused" not in row:
            hidden, output = row["conditions"]
            p = [row["p"], row["p_of_the_simulator"], row["p_without_own_spikes"]]
            cells = [f"{hidden}, {output}", *map(_shown, p)]
        lines.append(f"| {' | '.join([row['circuit'], row['case'], *cells])} |")
    agree = "agree with" if content["agrees"] else "DO NOT AGREE with"
    said = (
        f"{content['backend']}, {content['shots']:,} shots of {content['steps']} steps: "
        f"{content['comparisons']} laws {agree} the exact ones (none below p = "
        f"{content['least_p']:.1g}, which a right device reaches once in "
        f"{1 / content['error_rate']:.0f} calls)."
    )
    return "\n".join([*lines, "", said])


def _shown(p: float | None) -> str:
    if p is None:
        return ""
    if p == 0:
        return "< 1e-300"  # the least number there is
    return f"{p:.2f}" if p >= 0.01 else f"{p:.0e}"


def seeded(seed: int) -> torch.Generator:
    """A generator on the CPU."""
    return torch.Generator().manual_seed(seed)
