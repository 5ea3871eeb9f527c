"""The comparison of models that classify series: a search on validation samples, then a test."""

import shlex
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from sqsnn.errors import TrainingError
from sqsnn.runs import run as runs
from sqsnn.settings.run import RunSettings, from_flat
from sqsnn.storage import write_json
from sqsnn.training import baselines
from sqsnn.training.machine import threads
from sqsnn.training.trainer import rank
from sqsnn_bench.series import rocket
from sqsnn_bench.series.options import SeriesOptions
from sqsnn_bench.series.problems import PROBLEMS, Problem, check_archive
from sqsnn_bench.study import library, sizing
from sqsnn_bench.timing import machine

SEARCH_SEED = 1000  # none of those that are reported
LEARNING_RATES = (0.003, 0.01, 0.03)

# All membranes start with the decay of presets for long series, and learn it.
_SLOW = {"beta": 0.9}
MODELS: Mapping[str, Mapping[str, Any]] = {
    "SQS leaky drive, M=0": {"neurons": "sqs", "memory_qubits": 0, **_SLOW},
    "SQS leaky drive, M=1": {"neurons": "sqs", "memory_qubits": 1, **_SLOW},
    "LIF": {"neurons": "lif", **_SLOW},
    "StochasticLIF": {"neurons": "stochastic_lif", **_SLOW},
}

Watch = Callable[[str], None]


def compare(archive: Path, chosen: SeriesOptions, out: Path, watch: Watch) -> dict[str, Any]:
    """Compare all models on all problems, and write the figures as JSON.

    Learning rate and encoding are chosen by a grid of as many trials for each kind of neurons, with
    a seed that is not reported.

    Args:
        archive: Folder with a folder per problem, in which lie NAME_TRAIN.ts and NAME_TEST.ts.
        chosen: What is equal.
        out: The file.
        watch: Called after each model.

    Raises:
        ConfigError: If a file of the archive is missing.
    """
    check_archive(archive)
    out.parent.mkdir(parents=True, exist_ok=True)
    began = time.process_time()
    found: dict[str, dict[str, Any]] = {}
    with threads(1):
        for problem in PROBLEMS:
            found[problem.name] = one(problem, archive, chosen, watch)
    numbers = {"kernels": chosen.kernels, "seeds": chosen.seeds}
    flags = [part for name, value in numbers.items() for part in (f"--{name}", str(value))]
    content = {
        "command": shlex.join(["sqsnn-bench", "series", "--archive", str(archive), *flags]),
        "cpu_seconds": round(time.process_time() - began),
        **machine(),
        **numbers,
        "problems": found,
    }
    write_json(out, content)
    return content


def one(problem: Problem, archive: Path, chosen: SeriesOptions, watch: Watch) -> dict[str, Any]:
    """Test all models on one problem."""
    dataset = problem.dataset(archive)
    _, data = runs.prepare(from_flat(dataset, {}))
    test = data.load_test()
    parts = data.train, data.validation, test
    ridge = baselines.ridge(data, test)
    assert ridge is not None  # all problems are small enough
    convolved = [rocket.accuracy(*parts, chosen.kernels, seed) for seed in range(chosen.seeds)]
    models: dict[str, Any] = {}
    for name, neurons in MODELS.items():
        models[name] = _neurons(problem, dataset, neurons, chosen.seeds)
        watch(f"{problem.name}, {name}: {models[name]['accuracy']['mean']:.1%}")
    return {
        "source": data.source,
        "parameters": problem.parameters,
        **problem.equal(),
        "samples": [len(part.targets) for part in parts],
        "models": models,
        "ridge": ridge.figures["accuracy"],
        "rocket": summary(convolved),
        "chance": baselines.chance(data, test),
    }


def _neurons(
    problem: Problem, dataset: str, neurons: Mapping[str, Any], seeds: int
) -> dict[str, Any]:
    """Search the settings of some neurons, and test the best ones."""
    searched: dict[tuple[str, float], tuple[float, ...]] = {}
    for encoding, rate in product(problem.encodings, LEARNING_RATES):
        trial = {"encoding": encoding, "learning_rate": rate, "seed": SEARCH_SEED}
        settings = _sized(problem, dataset, {**neurons, **trial})
        try:
            searched[encoding, rate] = rank(library.validate(settings))
        except TrainingError:  # it diverged, and is not chosen
            searched[encoding, rate] = (0.0, 0.0, -float("inf"))
    encoding, rate = max(searched, key=searched.__getitem__)  # of equals the first
    best = {"encoding": encoding, "learning_rate": rate}
    tested, hidden = [], 0
    for seed in range(seeds):
        settings = _sized(problem, dataset, {**neurons, **best, "seed": seed})
        hidden = settings.hidden[0]
        with tempfile.TemporaryDirectory() as folder:
            made = runs.begin(settings, Path(folder) / "run", pictures=False)
            tested.append(made.read_result())
    return {
        **best,
        "hidden": hidden,
        "parameters": tested[0]["parameters"],
        "validation": searched[encoding, rate][0],
        "accuracy": summary([result["test_accuracy"] for result in tested]),
        "probability": summary([result["test_accuracy_probability"] for result in tested]),
    }


def _sized(problem: Problem, dataset: str, given: Mapping[str, Any]) -> RunSettings:
    """Make the settings of a training whose network has the parameters of the problem."""
    settings = from_flat(dataset, {**problem.equal(), **given})
    facts = library.look(settings)

    def count(hidden: tuple[int, ...]) -> int:
        return library.count(library.resized(settings, hidden), facts.features, facts.outputs)

    return library.resized(settings, sizing.fit(count, problem.parameters).hidden)


def summary(figures: list[float]) -> dict[str, Any]:
    """Mean and standard deviation over seeds, and the figure of each."""
    return {
        "mean": statistics.fmean(figures),
        "deviation": statistics.stdev(figures),
        "seeds": figures,
    }
