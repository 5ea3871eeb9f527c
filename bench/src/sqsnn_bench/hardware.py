"""What `sqsnn.hardware` does: `python -m sqsnn_bench.hardware law|digits|packing|noise|cost`.

law      Sampled spikes against the exact law of whole records, random neurons of all circuits on
         noiseless Aer: through the executor, and as OpenQASM 3 there and back.
digits   A trained network on noiseless Aer and on snapshots of devices with noise, one shot per
         inference, beside the simulator on the same samples (`sqsnn hardware`).
packing  Neurons side by side on a chip against one at a time, noiseless and noisy; time to compile
         and to run, and the estimate of device time with and without.
noise    The library's density matrices with a snapshot's reported rates against Aer; accuracy
         against the strength of the noise, trained without noise and with it.
cost     A training step from measured bits on Aer and on a snapshot: seconds per sample, jobs.

Snapshots (fake_...) are simulations of a device with the error rates of one day, no device. "Floor"
is the mean total variation between a law and as many draws from it. Writes
bench/results/hardware/NAME.json.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

import numpy as np
import torch

from sqsnn import SpikingNetwork, data, encoding
from sqsnn.hardware import DeviceBits, Executor, find
from sqsnn.hardware.compile import compile_neuron
from sqsnn.learning import Feedback, Geometric, Local, Measured
from sqsnn.runs.on_device import DeviceOptions
from sqsnn_bench.accuracy import folder_name, train
from sqsnn_bench.hardware_laws import (
    NAMES,
    SHOTS,
    STEPS,
    against,
    against_each_other,
    distance,
    floor,
    law_seen,
    native_law,
    neuron_of,
    seeded,
    spread_neuron,
    through_text,
)

CASES = [(name, n, m) for name, n, m in product(NAMES, (1, 2), (1, 2, 3))]
SNAPSHOT = "fake_brisbane"  # what packing, noise and cost were measured on; now retired
NEWEST = "fake_boston"
DIGITS = ["digits", "--hidden", "32", "--steps", "10"]
AWARE = [*DIGITS, "--noise-from", SNAPSHOT, "--noise-strength", "2"]
SAMPLES = 200
# Settings of `sqsnn hardware`, and how many seeds of them.
ON_DEVICES: list[tuple[dict[str, object], int]] = [
    ({"backend": "aer"}, 5),
    ({"backend": NEWEST}, 5),
    ({"backend": NEWEST, "mitigate_readout": True}, 3),
    ({"backend": "fake_fez"}, 3),
]
PACKED_STEPS, PACKED_SHOTS, NOISY_SHOTS, TIMED_SHOTS = 3, 4000, 100, 16
BITS = 8  # of a record whose noisy law is compared


def compare_laws() -> dict[str, object]:
    """Total variation in units of its floor, of every circuit and shape, both ways."""
    executor, rows = Executor(find("aer")), []
    print(f"T={STEPS}, {SHOTS} shots\n| circuit | N | M | floor | executor | OpenQASM 3 |")
    print("|---|---|---|---|---|---|  (total variation / floor)")
    for name, n, m in CASES:
        neuron, angles, law = spread_neuron(name, n, m)
        lowest = floor(law, SHOTS)
        bits = executor.run(neuron.circuit, STEPS, angles, SHOTS, seeded())[0]
        text = through_text(neuron, angles[0], STEPS)
        ratios = {
            way: float(distance(law_seen(seen), law)) / lowest
            for way, seen in (("executor", bits), ("openqasm", text))
        }
        rows.append({"circuit": name, "channels": n, "memory_qubits": m, "floor": lowest, **ratios})
        found = " | ".join(f"{ratio:.2f}" for ratio in ratios.values())
        print(f"| {name} | {n} | {m} | {lowest:.4f} | {found} |", flush=True)
    worst = {way: max(row[way] for row in rows) for way in ("executor", "openqasm")}
    print("worst, in floors:", worst)
    return {"steps": STEPS, "shots": SHOTS, "neurons": rows, "worst": worst}


def sqsnn(*arguments: str) -> None:
    """A command of its own process with one thread, as a user types it."""
    result = subprocess.run(
        [sys.executable, "-m", "sqsnn", *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    if result.returncode != 0:
        raise SystemExit(f"sqsnn {' '.join(arguments)}\nfailed:\n{result.stderr[-2000:]}")


def trained(arguments: list[str], seed: int, runs: Path) -> Path:
    """The folder of a run, trained unless it is there."""
    return train(arguments, seed, runs / folder_name("hardware", arguments, seed))


def test_accuracies(run: Path) -> dict[str, float]:
    """Read the test accuracies of a run."""
    result = json.loads((run / "metrics.json").read_text())
    return {name: value for name, value in result.items() if name.startswith("test_accuracy")}


def label(options: dict[str, object]) -> str:
    """Name the folder of the results of `sqsnn hardware`."""
    own = {name: value for name, value in options.items() if name != "backend"}
    return DeviceOptions.model_validate({"device": {"backend": options["backend"]}, **own}).label


def typed(options: dict[str, object]) -> list[str]:
    """Settings as flags."""
    flags = [(f"--{name.replace('_', '-')}", value) for name, value in options.items()]
    return [
        part for flag, value in flags for part in ([flag] if value is True else [flag, str(value)])
    ]


def on_devices(runs: Path) -> dict[str, object]:
    """One trained network on every backend, seed by seed; results that are there are taken."""
    run = trained(DIGITS, 0, runs)
    table = []
    for setting, seeds in ON_DEVICES:
        outcomes = []
        for seed in range(seeds):
            options = {"samples": SAMPLES} | setting | {"seed": seed}
            result = run / "hardware" / label(options) / "result.json"
            if not result.exists():
                sqsnn("hardware", str(run), *typed(options))
            outcomes.append(json.loads(result.read_text()))
        error = sum(o["standard_error"] ** 2 for o in outcomes) ** 0.5 / seeds
        means = {
            name: statistics.mean(o[name] for o in outcomes)
            for name in ("accuracy", "simulator_accuracy", "difference")
        }
        table.append(
            {"command": f"sqsnn hardware RUN {' '.join(typed({'samples': SAMPLES} | setting))}"}
            | means
            | {"standard_error": error, "seeds": outcomes}
        )
        first, row = outcomes[0], table[-1]
        hidden = first["layers"][0]
        print(
            f"{row['command']}: {means['accuracy']:.1%}, simulator "
            f"{means['simulator_accuracy']:.1%}, difference {100 * means['difference']:+.1f} ± "
            f"{100 * error:.1f} points; {[round(100 * o['accuracy'], 1) for o in outcomes]}; depth "
            f"{hidden['depth']}, {hidden['gates']}, one shot {hidden['shot_microseconds']} us, "
            f"estimate {first['estimated_seconds']} s, calibrated {first['calibrated']}",
            flush=True,
        )
    within = abs(table[0]["difference"]) < 3 * table[0]["standard_error"]
    print(f"noiseless Aer within 3 standard errors of the simulator: {within}")
    return {
        "trained": f"sqsnn train {' '.join(DIGITS)} --seed 0",
        **test_accuracies(run),
        "noiseless_within_3_standard_errors": within,
        "backends": table,
    }


def compare_packing() -> dict[str, object]:
    """As many neurons as fit, each on its own law; what packing costs here and saves there."""
    device, steps = find(SNAPSHOT), PACKED_STEPS
    packed, alone = (Executor(device, pack=pack, noisy=False) for pack in (None, 1))
    noisy = Executor(device, pack=None)
    circuit = neuron_of(NAMES[1], 1, 1, steps, 0)[0].circuit
    groups = packed.compiled(circuit, steps).groups
    neurons = [neuron_of(NAMES[1], 1, 1, steps, seed) for seed in range(len(groups))]
    angles = np.concatenate([row for _, row, _ in neurons])
    laws = np.stack([law for _, _, law in neurons])
    noisy_laws = np.stack(
        [
            native_law(compile_neuron(circuit, steps, device, (group,)), row)
            for group, row in zip(groups, angles, strict=True)
        ]
    )
    print(f"{len(groups)} neurons side by side on {SNAPSHOT}, T={steps}", flush=True)

    def seen(executor: Executor, shots: int) -> np.ndarray:
        return np.stack(
            [law_seen(bits) for bits in executor.run(circuit, steps, angles, shots, seeded())]
        )

    together, single = (seen(executor, PACKED_SHOTS) for executor in (packed, alone))
    imitated = seen(noisy, NOISY_SHOTS)
    comparisons = {
        "packed, noiseless, against exact laws": against(together, laws, PACKED_SHOTS),
        "alone, noiseless, against exact laws": against(single, laws, PACKED_SHOTS),
        "packed against alone, noiseless": against_each_other(together, single, laws, PACKED_SHOTS),
        "packed, noisy, against density matrices": against(imitated, noisy_laws, NOISY_SHOTS),
        "packed, noisy, against noiseless laws": against(imitated, laws, NOISY_SHOTS),
    }
    for name, figures in comparisons.items():
        print(f"{name}: {figures}", flush=True)
    return {
        "neurons": len(groups),
        "steps": steps,
        "shots": {"noiseless": PACKED_SHOTS, "noisy": NOISY_SHOTS},
        "comparisons": comparisons,
        "costs": packing_costs(),
    }


def packing_costs() -> dict[str, dict[str, float | None]]:
    """Seconds here, and the estimate of device time of a layer of as many neurons; T=10."""
    steps, costs = 10, {}
    neuron, angles, _ = neuron_of(NAMES[1], 1, 1, steps, 0)
    circuit = neuron.circuit
    fits = Executor(find(SNAPSHOT), pack=None).compiled(circuit, steps).slots
    for name, pack, noisy in (
        ("packed, noiseless", None, False),
        ("packed, noisy", None, True),
        ("alone, noiseless", 1, False),
        ("alone, noisy", 1, True),
    ):
        executor = Executor(find(SNAPSHOT), pack=pack, noisy=noisy)
        began = time.perf_counter()
        executor.compiled(circuit, steps)
        compiled = time.perf_counter()
        executor.run(circuit, steps, angles.repeat(fits, 0), TIMED_SHOTS, seeded())
        ended = time.perf_counter()
        expected = executor.estimate(circuit, steps, 50 * fits, 1)
        costs[name] = {
            "compile_seconds": compiled - began,
            "seconds_of_16_shots": ended - compiled,
            "circuits_of_50_samples": expected.circuits,
            "device_seconds_of_50_samples": expected.device_seconds,
        }
        print(f"{name}: {costs[name]}", flush=True)
    return costs


def compare_noise(runs: Path, seeds: int, pictures: Path) -> dict[str, object]:
    """Laws of records of 8 bits, and accuracy against the strength of the noise."""
    executor, rows = Executor(find(SNAPSHOT)), []
    print("| circuit | N | M | T | Aer against density matrices | floor | against no noise |")
    print("|---|---|---|---|---|---|---|")
    for name, n, m in CASES:
        neuron, angles, noiseless = neuron_of(name, n, m, BITS // n, 0)
        law = native_law(executor.compiled(neuron.circuit, BITS // n), angles[0])
        seen = law_seen(executor.run(neuron.circuit, BITS // n, angles, SHOTS, seeded())[0])
        row = {
            "circuit": name,
            "channels": n,
            "memory_qubits": m,
            "steps": BITS // n,
            "distance": float(distance(seen, law)),
            "floor": floor(law, SHOTS),
            "distance_from_noiseless": float(distance(seen, noiseless)),
        }
        rows.append(row)
        shown = [f"{v:.4f}" if isinstance(v, float) else str(v) for v in row.values()]
        print(f"| {' | '.join(shown)} |", flush=True)
    beyond = max(row["distance"] - row["floor"] for row in rows)
    print(f"largest distance beyond the floor: {beyond:.4f} (0.02 was allowed)", flush=True)
    curves = {}
    for name, arguments in (("trained without noise", DIGITS), ("trained with noise", AWARE)):
        points = []
        for seed in range(seeds):
            run = trained(arguments, seed, runs)
            if not (run / "noise.json").exists():
                sqsnn("inspect", "noise", str(run), "--backend", SNAPSHOT)
            points.append(json.loads((run / "noise.json").read_text())["points"])
        curves[name] = {
            "command": f"sqsnn train {' '.join(arguments)}",
            "strengths": [point["strength"] for point in points[0]],
            "validation_accuracy": [[p["mean"] for p in seed] for seed in points],
        }
        means = np.mean(curves[name]["validation_accuracy"], axis=0)
        print(name, dict(zip(curves[name]["strengths"], means.round(4).tolist(), strict=True)))
    pictures.mkdir(parents=True, exist_ok=True)
    shutil.copy(trained(DIGITS, 0, runs) / "noise.png", pictures / "noise.png")
    laws = {"bits": BITS, "shots": SHOTS, "largest_beyond_floor": beyond, "neurons": rows}
    return {"laws": laws, "accuracy": curves}


def training_cost() -> dict[str, dict[str, float]]:
    """Seconds and counts of a step on a batch of 64: USPS 1 versus 7, two hidden neurons, T=10."""
    usps, batch = data.load("usps", classes=[1, 7], train_samples=500, test_samples=125), 64
    steps = 4  # the first one transpiles
    spikes = encoding.rate(usps.train.values[:batch], 10, generator=seeded())
    table = {}
    for backend, repeats in product(("aer", SNAPSHOT), (1, 5)):
        executor = Executor(find(backend))
        source, generator = DeviceBits(executor), seeded()
        score = Measured(estimator=Geometric(repeats=repeats), source=source)
        rule = Local(signal=Feedback("symmetric"), score=score)
        network = SpikingNetwork([usps.features, 2, 2], generator=seeded())
        seconds = []
        for _ in range(steps):
            began = time.perf_counter()
            rule.step(network, spikes, usps.train.targets[:batch], generator)
            seconds.append(time.perf_counter() - began)
        figures = {
            "seconds_per_sample": statistics.median(seconds[1:]) / batch,
            "seconds_of_first_step": seconds[0],
            "jobs_per_step": executor.counts.jobs / steps,
            "circuits_per_sample": executor.counts.circuits / steps / batch,
            "shots_per_sample": executor.counts.shots / steps / batch,
            "transpilations_in_all": executor.counts.transpilations,
        }
        table[f"{backend}, R={repeats}"] = figures
        print(f"{backend}, R={repeats}: {figures}", flush=True)
    return table


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m sqsnn_bench.hardware")
    parser.add_argument("name", choices=["law", "digits", "packing", "noise", "cost"])
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--out", type=Path, default=Path("bench/results/hardware"))
    parser.add_argument("--pictures", type=Path, default=Path("docs/images"), help="of noise")
    parser.add_argument("--seeds", type=int, default=3, help="of the trainings that noise compares")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    match arguments.name:
        case "law":
            result: dict = compare_laws()
        case "digits":
            result = on_devices(arguments.runs)
        case "packing":
            result = compare_packing()
        case "noise":
            result = compare_noise(arguments.runs, arguments.seeds, arguments.pictures)
        case _:
            result = training_cost()
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f"{arguments.name}.json"
    path.write_text(json.dumps({"cores": os.cpu_count()} | result, indent=1) + "\n")


if __name__ == "__main__":
    main()
