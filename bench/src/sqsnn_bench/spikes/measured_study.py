"""Fits from measured bits beside exact ones, and free runs of the fitted neurons on devices."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64

from sqsnn import SpikeTrainModel, SQSNeurons
from sqsnn.hardware import DeviceBits, Executor, find
from sqsnn.hardware.bit_source import angle_table
from sqsnn_bench.hardware_laws import against, distance, law_seen, native_law, seeded
from sqsnn_bench.shapes.kept import Kept
from sqsnn_bench.spikes.measured import Law, Windows, draw, exact_law, fit, neuron, silence
from sqsnn_bench.spikes.processes import Renewal, gamma

PROCESS = Renewal("gamma, mean 4, CV 0.3", gamma(4, 0.3))
WINDOWS, FRESH, BINS = 200, 100_000, 6
EXACT_STARTS = 12
AER, SNAPSHOT = "aer", "fake_boston"
RUN_BINS, RUN_SHOTS = 10, 20_000
SAMPLED = ("Aer", "snapshot")
PAIRS = (
    ("Aer", "simulator"),
    ("snapshot", "density matrices"),
    ("snapshot", "simulator"),
    ("density matrices", "simulator"),
)
NATS = ("coin", "exact", "measured", "on_device")
NATS = (*NATS, *(f"{name}_fresh" for name in NATS[1:]))

Figures = dict[str, Any]
Laws = Float64[np.ndarray, "neurons records"]


def measure_all(kept: Kept, seeds: int, watch: Callable[[str], None]) -> None:
    """Fit and run the neurons that are not there yet.

    Args:
        kept: The section of the file of figures.
        seeds: Windows and starts that are drawn, from seed 0 on.
        watch: Called after each part.
    """
    for backend in (AER, SNAPSHOT):
        for seed in range(seeds):
            row = kept.once(backend, f"seed {seed}", partial(fit_one, backend, seed))
            watch(
                f"fit on {backend}, seed {seed}: {row['measured']:.4f} ({row['exact']:.4f} exact)"
            )
    fits = kept.read()[AER]
    fitted = [neuron_with(fits[f"seed {seed}"]["angles"]) for seed in range(seeds)]
    kept.once("free runs", f"{seeds} neurons", partial(run_free, fitted))


def neuron_with(angles: list[float]) -> SQSNeurons:
    """Make a neuron with given angles, in radians."""
    neurons = neuron(seeded())
    with torch.no_grad():
        neurons.angles.copy_(neurons.angles.new_tensor([angles]))
    return neurons


def device_law(executor: Executor, neurons: SQSNeurons, bins: int) -> Law:
    """Compute the probabilities of all records of T bins with the noise of the device."""
    if not executor.device.has_chip:
        return exact_law(neurons, bins)
    row = angle_table(neurons, silence(bins), [()]).flatten(0, 2).detach().numpy()[0]
    return native_law(executor.compiled(neurons.circuit, bins), row)


def fit_one(backend: str, seed: int) -> Figures:
    """Fit a neuron from the bits of a device, and another exactly; nats per bin of both."""
    windows = draw(PROCESS, WINDOWS, BINS, np.random.default_rng(seed))
    fresh = draw(PROCESS, FRESH, BINS, np.random.default_rng([seed, 1]))
    executor = Executor(find(backend))
    began = time.process_time()
    found = fit(DeviceBits(executor), windows, seeded(seed))
    seconds = time.process_time() - began
    law = exact_law(found.neurons, BINS)
    on_device = device_law(executor, found.neurons, BINS)
    model = SpikeTrainModel(circuit="clock", starts=EXACT_STARTS, random_state=seed)
    model.fit(np.repeat(windows.spikes, windows.counts, axis=0))

    def exact(some: Windows) -> float:
        return some.per_bin(model.log_likelihood(some.spikes))

    rate = windows.per_bin(windows.spikes.sum(1))
    return {
        "measured": windows.score(law),
        "exact": exact(windows),
        "measured_fresh": fresh.score(law),
        "exact_fresh": exact(fresh),
        "on_device": windows.score(on_device),
        "on_device_fresh": fresh.score(on_device),
        "coin": float(rate * np.log(rate) + (1 - rate) * np.log(1 - rate)),
        "angles": found.neurons.angles[0].tolist(),
        "circuits": executor.counts.circuits,
        "shots": executor.counts.shots,
        "given_up": float(np.mean([step.given_up for step in found.steps])),
        "cpu_seconds": round(seconds, 1),
    }


def intervals(law: Law) -> Float64[np.ndarray, " T_plus_1"]:
    """Compute the law of the first interval, of 1..T bins or longer, from that of all records."""
    # The first spike is the highest bit of a record's number.
    bins = len(law).bit_length() - 1
    waited = [bins - number.bit_length() for number in range(len(law))]
    return np.bincount(waited, weights=law)


def spikes_per_bin(law: Law) -> float:
    """Compute the mean number of spikes per bin from the law of all records."""
    spikes = [number.bit_count() for number in range(len(law))]
    return float(law @ spikes) / (len(law).bit_length() - 1)


def run_free(fitted: Sequence[SQSNeurons]) -> Figures:
    """Run neurons without input on Aer and on a snapshot, and compare them with the simulator."""
    aer, snapshot = (Executor(find(name)) for name in (AER, SNAPSHOT))

    def seen(executor: Executor) -> Laws:
        source, generator = DeviceBits(executor), seeded()
        bits = [
            source.sample(one, silence(RUN_BINS), [()], RUN_SHOTS, generator)[0, :, :, 0, 0]
            for one in fitted
        ]
        return np.stack([law_seen(records.numpy()) for records in bits])

    laws = {
        "simulator": np.stack([exact_law(one, RUN_BINS) for one in fitted]),
        "Aer": seen(aer),
        "density matrices": np.stack([device_law(snapshot, one, RUN_BINS) for one in fitted]),
        "snapshot": seen(snapshot),
    }
    first = {name: np.stack([intervals(law) for law in of]) for name, of in laws.items()}
    return {
        "bins": RUN_BINS,
        "shots": RUN_SHOTS,
        "spikes_per_bin": {
            name: float(np.mean([spikes_per_bin(law) for law in of])) for name, of in laws.items()
        },
        "intervals": {name: of.mean(0).tolist() for name, of in first.items()},
        "distances": {
            f"{one} against {other}": {"intervals": _apart(first, one, other)}
            | {"records": _apart(laws, one, other)}
            for one, other in PAIRS
        },
    }


def _apart(laws: Mapping[str, Laws], one: str, other: str) -> Figures:
    """Compute the mean total variation, and beside it that of as many draws from the law itself."""
    found = {"total_variation": float(distance(laws[one], laws[other]).mean())}
    if one in SAMPLED:
        found |= against(laws[one], laws[other], RUN_SHOTS)
    return found


def _free_runs(found: Figures) -> Figures:
    """Take the figures of as many neurons as were fitted."""
    return found["free runs"][f"{len(found[AER])} neurons"]


def fits_table(found: Figures) -> str:
    """Write the log-likelihoods of the fits in nats per bin as a Markdown table."""
    lines = [
        "| bits from | seed | coin | exact fit | from bits | on the device | fresh: exact fit | "
        "from bits | on the device | given up | CPU s |",
        f"|---|---|{'---:|' * 9}",
    ]
    for backend in (AER, SNAPSHOT):
        for name, row in found[backend].items():
            nats = (f"{row[key]:.4f}" for key in NATS)
            spent = (f"{row['given_up']:.1%}", f"{row['cpu_seconds']:.0f}")
            lines.append(f"| {' | '.join((backend, name.split()[1], *nats, *spent))} |")
    return "\n".join(lines) + "\n"


def intervals_table(found: Figures) -> str:
    """Write the laws of intervals and the spike rates as a Markdown table."""
    figures = _free_runs(found)
    longest = figures["bins"]
    law = PROCESS.law
    rows = {"process": [*law[:longest], law[longest:].sum()], **figures["intervals"]}
    lines = [
        f"| interval | {' | '.join(map(str, range(1, longest + 1)))} | longer | spikes per bin |",
        f"|---|{'---:|' * (longest + 2)}",
    ]
    for name, row in rows.items():
        rate = figures["spikes_per_bin"].get(name)
        cells = [*(f"{p:.3f}" for p in row), "" if rate is None else f"{rate:.4f}"]
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(lines) + "\n"


def distances_table(found: Figures) -> str:
    """Write the distances of laws, and what right draws would show, as a Markdown table."""
    lines = [
        "| laws | first interval | in floors | record | in floors |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, row in _free_runs(found)["distances"].items():
        cells = [name]
        for of in (row["intervals"], row["records"]):
            cells.append(f"{of['total_variation']:.4f}")
            sampled = "mean_ratio" in of
            cells.append(f"{of['mean_ratio']:.2f} ± {of['standard_error']:.2f}" if sampled else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def tables(found: Figures) -> str:
    """Write all tables."""
    return "\n".join((fits_table(found), intervals_table(found), distances_table(found)))
