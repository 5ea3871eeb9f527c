"""Test accuracy over seeds: `python -m sqsnn_bench.accuracy digits`.

`local-digits` and other names of groups run several. Every seed is one `sqsnn train` run of its own
process, exactly as a user would type it; finished runs are not repeated. Settings were chosen on
validation data (`--search` shows how); the test set is read once, at the end of each run. Figures
go to bench/results/accuracy.json, one line per name.
"""

import argparse
import hashlib
import json
import os
import shlex
import statistics
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scipy import stats

from sqsnn.learning.rule import COUNTS

# Names without "drive" have the paper's drive, and one memory qubit in every layer.
PAPER = ["--drive", "rectified", "--output-memory-qubits", "1"]
DIGITS = ["digits", *PAPER, "--hidden", "64", "--steps", "10"]
DEEP = ["digits", *PAPER, "--hidden", "64,64", "--steps", "10"]
USPS = ["usps", *PAPER, "--classes", "1,7", "--train-samples", "500", "--test-samples", "125"]
USPS += ["--steps", "10", "--learning-rate", "0.03"]
NO_HIDDEN, USPS = [*USPS, "--hidden", ""], [*USPS, "--hidden", "2"]
RECALL = ["recall", *PAPER, "--circuit-options.coupling", "1.885"]
SHORT = [*RECALL, "--cue-delay", "2", "--train-samples", "1000", "--hidden", "8"]
SHORT += ["--learning-rate", "0.02"]
# The example of docs/hardware.md.
TWO_DIGITS = ["digits", "--classes", "1,7", "--hidden", "4", "--backend", "aer"]
TWO_DIGITS += ["--batch-size", "16", "--learning-rate", "0.05", "--epochs", "5"]
LOCAL = ["--rule", "local"]
BITS = [*LOCAL, "--score", "measured"]
SNAPSHOT = ["--noise-from", "fake_boston"]
FIRE = ["--signal", "both", "--feedback", "symmetric", "--circuit", "integrate_and_fire"]

# The same with the leaky drive, whose reset counts three steps by the presets.
DRIVEN = [word for word in USPS if word not in ("--drive", "rectified")]

BENCHMARKS = {
    "drive-digits": ["digits"],
    "digits-aer": [*TWO_DIGITS, *BITS, "--feedback", "symmetric", "--repeats", "2"],
    "drive-usps-bits": [*DRIVEN, *BITS, "--feedback", "symmetric", "--repeats", "5"],
    "drive-usps-noise": [*DRIVEN, *BITS, *SNAPSHOT, "--feedback", "symmetric", "--repeats", "5"],
    "usps-noise": [*USPS, *BITS, *SNAPSHOT, "--feedback", "symmetric", "--repeats", "5"],
    "drive-usps-fake": [*DRIVEN, *BITS, "--feedback", "symmetric", "--backend", "fake_boston"],
    "digits": DIGITS,
    "mnist": ["mnist", *PAPER, "--hidden", "256", "--steps", "5"],
    "digits-frozen": [*DIGITS, *LOCAL, "--signal", "none"],
    "digits-random": [*DIGITS, *LOCAL],
    "digits-symmetric": [*DIGITS, *LOCAL, "--feedback", "symmetric"],
    "digits-reinforce": [*DIGITS, *LOCAL, "--signal", "reinforce", "--samples", "4"],
    "digits-both": [*DIGITS, *LOCAL, "--signal", "both"],
    "digits-both-weighted": [*DIGITS, *LOCAL, "--signal", "both", "--reward-weight", "0.1"],
    "digits-online": [*DIGITS, *LOCAL, "--score", "online"],
    "deep": DEEP,
    "deep-frozen": [*DEEP, *LOCAL, "--signal", "none"],
    "deep-symmetric": [*DEEP, *LOCAL, "--feedback", "symmetric"],
    "deep-random": [*DEEP, *LOCAL],
    "deep-direct": [*DEEP, *LOCAL, "--feedback-path", "direct"],
    "usps-no-hidden": NO_HIDDEN,
    "usps-backprop": USPS,
    "usps-feedback": [*USPS, *LOCAL],
    "usps-both": [*USPS, *LOCAL, "--signal", "both"],
    "usps-both-fire": [*USPS, *LOCAL, *FIRE],
    "usps-exact": [*USPS, *LOCAL, "--feedback", "symmetric", "--epochs", "90"],
    "usps-bits": [*USPS, *BITS, "--feedback", "symmetric", "--repeats", "5"],
    "usps-aer": [*USPS, *BITS, "--feedback", "symmetric", "--repeats", "5", "--backend", "aer"],
    "usps-fake": [*USPS, *BITS, "--feedback", "symmetric", "--backend", "fake_boston"],
    "usps-bits-r1": [*USPS, *BITS, "--feedback", "symmetric"],
    "recall": RECALL,
    "recall-feedback": [*RECALL, *LOCAL],
    "recall-reinforce": [*RECALL, *LOCAL, "--signal", "reinforce"],
    "recall-both": [*RECALL, *LOCAL, "--signal", "both"],
    "short-exact": [*SHORT, *LOCAL, "--feedback", "symmetric"],
    "short-w1": [*SHORT, *BITS, "--feedback", "symmetric", "--repeats", "5"],
    "short-w2": [*SHORT, *BITS, "--feedback", "symmetric", "--repeats", "5", "--window", "2"],
    "short-w4": [*SHORT, *BITS, "--feedback", "symmetric", "--repeats", "5", "--window", "4"],
}
BACKENDS = ["digits-aer", "usps-aer", "usps-fake", "drive-usps-fake"]
GROUPS = {
    "local-digits": [
        name for name in BENCHMARKS if name.startswith("digits") and name not in BACKENDS
    ],
    "local-deep": [name for name in BENCHMARKS if name.startswith("deep")],
    "local-usps": [name for name in BENCHMARKS if name.startswith("usps") and name not in BACKENDS],
    "backends": BACKENDS,
    "local-windows": [name for name in BENCHMARKS if name.startswith("short")],
    "drive-bits": [
        *("usps-bits", "drive-usps-bits", "usps-noise", "drive-usps-noise"),
        *("usps-fake", "drive-usps-fake"),
    ],
    "local-recall": [name for name in BENCHMARKS if name.startswith("recall")],
}
RATES = [["--learning-rate", rate] for rate in ("0.005", "0.01", "0.02")]
SEARCHES = {
    "drive-digits": [
        [*rate, "--loss-on", loss, "--bias", bias]
        for rate in RATES
        for loss in ("count", "probability")
        for bias in ("0", "0.2")
    ],
    "mnist": [
        [*circuit, "--batch-size", batch, "--learning-rate", rate, "--epochs", "3"]
        for circuit, batch, rate in (
            (["--circuit", "crx"], "64", "0.003"),
            (["--circuit", "crx"], "64", "0.01"),
            ([], "64", "0.003"),
            ([], "64", "0.01"),
            ([], "128", "0.003"),
            ([], "256", "0.003"),
            ([], "256", "0.01"),
        )
    ],
}
SEARCH_SEEDS = (1000, 1001)  # apart from the seeds that are reported


def train(arguments: list[str], seed: int, folder: Path) -> Path:
    """Run `sqsnn train` in a process of its own with one thread, unless it is done."""
    if not (folder / "metrics.json").exists():
        command = [sys.executable, "-m", "sqsnn", "train", *arguments]
        resume = [sys.executable, "-m", "sqsnn", "train", "--resume", str(folder)]
        fresh = [*command, "--seed", str(seed), "--threads", "1", "--out", str(folder)]
        started = (folder / "config.toml").exists()
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        result = subprocess.run(
            resume if started else fresh, env=environment, capture_output=True, text=True
        )
        if result.returncode != 0:
            raise SystemExit(f"{' '.join(result.args)}\nfailed:\n{result.stderr[-2000:]}")
    return folder


def folder_name(name: str, arguments: list[str], seed: int) -> str:
    """Name a folder of its own for every set of arguments, so that no run is taken for another."""
    digest = hashlib.sha256(shlex.join(arguments).encode()).hexdigest()[:8]
    return f"{name}-{digest}-{seed}"


def replaced(arguments: list[str], by: list[str]) -> list[str]:
    """Replace or add the values of some flags."""
    flags, given = set(by[::2]), list(arguments)
    for flag in flags & set(given):
        place = given.index(flag)
        del given[place : place + 2]
    return [*given, *by]


def epochs(folder: Path) -> list[dict]:
    """Read the figures of every epoch of a run."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").open()]


def interval(values: list[float]) -> str:
    """Write mean and 95 % interval in per cent."""
    mean = statistics.mean(values)
    if len(values) == 1:
        return f"{100 * mean:.2f} (one seed)"
    # Student's t, two-sided.
    width = float(stats.t.ppf(0.975, len(values) - 1))
    half = width * statistics.stdev(values) / len(values) ** 0.5
    return f"{100 * mean:.2f} ± {100 * half:.2f}"


ACCURACIES = (
    "test_accuracy",
    "test_accuracy_ties_by_probability",
    "test_accuracy_probability",  # unknown where spikes were measured on a backend
)


def add(path: Path, name: str, result: object) -> None:
    """Add a result to a JSON file with one line per name."""
    results = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    lines = [
        f"{json.dumps(key)}: {json.dumps(value)}"
        for key, value in sorted((results | {name: result}).items())
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


def measure(name: str, seeds: int, jobs: int, runs: Path, out: Path, extra: list[str]) -> None:
    """Train with seeds 0, 1, ..., print the figures and add them to those in a file."""
    arguments = replaced(BENCHMARKS[name], extra)
    folders = [runs / folder_name(name, arguments, seed) for seed in range(seeds)]
    with ThreadPoolExecutor(jobs) as pool:
        done = list(pool.map(lambda s: train(arguments, s, folders[s]), range(seeds)))
    metrics = [json.loads((folder / "metrics.json").read_text()) for folder in done]
    timing = [json.loads((folder / "timing.json").read_text()) for folder in done]
    settings = [tomllib.loads((folder / "config.toml").read_text()) for folder in done]
    for setting in settings:
        setting["training"].pop("seed")
        setting["data"].pop("data_dir", None)
    if any(setting != settings[0] for setting in settings):
        raise SystemExit(f"the runs in {runs} have different settings; remove the old ones")
    result = {
        "command": f"sqsnn train {shlex.join(arguments)}",
        "settings": settings[0],
        "seeds": list(range(seeds)),
        **{accuracy: [m[accuracy] for m in metrics] for accuracy in ACCURACIES},
        "parameters": metrics[0]["parameters"],
        "spikes_per_sample": [m["spikes_per_sample"] for m in metrics],
        "training_seconds": [t["training_seconds"] for t in timing],
    }
    result |= {
        count: [sum(epoch[f"train_{count}"] for epoch in epochs(folder)) for folder in done]
        for count in COUNTS
        if f"train_{count}" in epochs(done[0])[0]
    }
    print(result["command"])
    for accuracy in ACCURACIES:
        print(f"{accuracy:34}", shown(result, accuracy))
    add(out / "accuracy.json", "-".join([name, *extra]).replace("--", ""), result)


def shown(result: dict, accuracy: str) -> str:
    """Write an accuracy with its interval; empty where it is unknown."""
    values = result.get(accuracy, [None])
    return "" if None in values else interval(values)


def table(names: list[str], out: Path) -> None:
    """Print the Markdown table of what was measured."""
    results = json.loads((out / "accuracy.json").read_text("utf-8"))
    print(
        "| `sqsnn train` | test accuracy | ties by probability | by probability | seconds per run "
        "| shots in training |"
    )
    print("|---|---|---|---|---|---|")
    for name in names:
        result = results[name]
        settings = result["command"].removeprefix("sqsnn train ")
        seconds = statistics.mean(result["training_seconds"])
        shots = (
            f"{statistics.mean(result['shots']) / 1e6:,.1f} million" if "shots" in result else ""
        )
        cells = [shown(result, accuracy) for accuracy in ACCURACIES]
        print(f"| `{settings}` | {' | '.join(cells)} | {seconds:.0f} | {shots} |")


def search(name: str, jobs: int, runs: Path, out: Path) -> None:
    """Compare settings by validation accuracy on seeds that are not reported."""
    settings = SEARCHES.get(name, RATES)
    pairs = [(tried, seed) for tried in settings for seed in SEARCH_SEEDS]

    def one(pair: tuple[list[str], int]) -> tuple[float, float]:
        tried, seed = pair
        arguments = replaced(BENCHMARKS[name], tried)
        folder = train(arguments, seed, runs / folder_name(f"search-{name}", arguments, seed))
        # The epoch that a run keeps.
        names = ("validation_accuracy_ties_by_probability", "validation_accuracy_probability")
        return max(tuple(epoch[name] for name in names) for epoch in epochs(folder))

    with ThreadPoolExecutor(jobs) as pool:
        reached = list(pool.map(one, pairs))
    table = []
    for tried in settings:
        rows = [r for r, pair in zip(reached, pairs, strict=True) if pair[0] == tried]
        by_count, by_probability = map(statistics.mean, zip(*rows, strict=True))
        table.append(
            {
                "settings": " ".join(tried),
                "seeds": list(SEARCH_SEEDS),
                "validation_accuracy_ties_by_probability": by_count,
                "validation_accuracy_probability": by_probability,
            }
        )
    for row in sorted(table, key=lambda row: -row["validation_accuracy_ties_by_probability"]):
        print(name, row, flush=True)
    add(out / "accuracy-search.json", name, table)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m sqsnn_bench.accuracy")
    parser.add_argument("name", choices=[*BENCHMARKS, *GROUPS])
    parser.add_argument("--search", action="store_true", help="compare on validation data")
    parser.add_argument("--table", action="store_true", help="print what lies in --out")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, one thread each")
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--out", type=Path, default=Path("bench/results"))
    parser.add_argument("extra", nargs="*", help="after --: more arguments for sqsnn train")
    arguments = parser.parse_intermixed_args()
    names = GROUPS.get(arguments.name, [arguments.name])
    if arguments.table:
        return table(names, arguments.out)
    for name in names:
        if arguments.search:
            search(name, arguments.jobs, arguments.runs, arguments.out)
        else:
            measure(
                name,
                arguments.seeds,
                arguments.jobs,
                arguments.runs,
                arguments.out,
                arguments.extra,
            )
    return None


if __name__ == "__main__":
    main()
