"""The comparison on rhythms: tuning curves, fixed layers, and networks that are trained."""

import shlex
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from sqsnn.errors import TrainingError
from sqsnn.storage import write_json
from sqsnn.training.build import Purpose, count_trained
from sqsnn.training.machine import threads
from sqsnn_bench.rhythms import fixed, task, training, tuning
from sqsnn_bench.rhythms.models import (
    FIXED,
    MODELS,
    RESONATORS,
    TRAINED_STARTS,
    Model,
    Start,
    build,
)
from sqsnn_bench.rhythms.options import RhythmOptions
from sqsnn_bench.study import sizing
from sqsnn_bench.timing import machine

SEARCH_SEED = 1000  # none of those that are reported
LEARNING_RATES = (0.001, 0.003, 0.01, 0.03)
TUNED_SAMPLES = 6000
TOLERANCE = 0.015  # of the number of parameters: a neuron more or less is 2.4 %

Watch = Callable[[str], None]


def compare(chosen: RhythmOptions, out: Path, watch: Watch) -> dict[str, Any]:
    """Compare all layers, and write the figures as JSON.

    Start and learning rate are chosen by a grid of as many trials for each model, each half as long
    as a training, with a seed that is not reported. No figure is one of samples seen before.

    Args:
        chosen: What is equal.
        out: The file.
        watch: Called after each model.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    numbers = {name: getattr(chosen, name) for name in ("parameters", "neurons", "steps", "seeds")}
    flags = [part for name, value in numbers.items() for part in (f"--{name}", str(value))]
    began = time.process_time()
    with threads(1):
        content: dict[str, Any] = {
            "command": shlex.join(["sqsnn-bench", "rhythms", *flags]),
            **machine(),
            **numbers,
            "ideal_observer": ideal(),
            "tuning": tuning.measure(TUNED_SAMPLES, SEARCH_SEED),
        }
        content["fixed"] = {
            name: fixed.compare(MODELS[name], chosen.neurons, SEARCH_SEED, chosen.seeds)
            for name in FIXED
        }
        content["averaged"] = {
            str(neurons): fixed.averaged(
                MODELS[RESONATORS], neurons, content["fixed"][RESONATORS]["start"], SEARCH_SEED
            )
            for neurons in (chosen.neurons, 4 * chosen.neurons)
        }
        content["trained"] = {}
        for name, model in MODELS.items():
            content["trained"][name] = found = one(model, chosen)
            content["cpu_seconds"] = round(time.process_time() - began)
            write_json(out, content)  # after each, as it takes long
            watch(f"{name}: {found['accuracy']['mean']:.1%}")
    return content


def ideal() -> float:
    """The accuracy of the ideal observer, which knows the law of the rhythms."""
    spikes, labels = task.fresh(training.TESTED, 0, Purpose.TEST)
    return float((task.ideal_observer(spikes).argmax(axis=1) == labels.numpy()).mean())


def one(model: Model, chosen: RhythmOptions) -> dict[str, Any]:
    """Search start and learning rate of a model, and test the best with other seeds."""
    searched: list[tuple[float, Start, float]] = []
    brief = replace(chosen, steps=max(chosen.steps // 2, 2))
    for start, rate in product(model.starts[:TRAINED_STARTS], LEARNING_RATES):
        try:
            found = _trained(model, start, rate, brief, SEARCH_SEED, Purpose.VALIDATION)
            searched.append((found.accuracy, start, rate))
        except TrainingError:  # it diverged, and is not chosen
            searched.append((0.0, start, rate))
    validation, start, rate = max(searched, key=lambda trial: trial[0])  # of equals the first
    tested = [
        _trained(model, start, rate, chosen, seed, Purpose.TEST) for seed in range(chosen.seeds)
    ]
    hidden = _hidden(model, start, chosen.parameters)
    return {
        "start": dict(start),
        "learning_rate": rate,
        "validation": validation,
        "searched": [figure for figure, _, _ in searched],
        "hidden": hidden,
        "parameters": count_trained(build(model, hidden, start, 0)),
        "accuracy": summary([found.accuracy for found in tested]),
        "hidden_spikes": statistics.fmean(found.spikes for found in tested),
    }


def _trained(
    model: Model, start: Start, rate: float, chosen: RhythmOptions, seed: int, part: Purpose
) -> training.Found:
    network = build(model, _hidden(model, start, chosen.parameters), start, seed)
    training.train(network, model.rule, rate, chosen.steps, seed)
    return training.test(network, seed, part)


def _hidden(model: Model, start: Start, parameters: int) -> int:
    """Choose the width at which a network has the number of parameters."""

    def count(hidden: tuple[int, ...]) -> int:
        return count_trained(build(model, hidden[0], start, 0))

    return sizing.fit(count, parameters, tolerance=TOLERANCE).hidden[0]


def summary(figures: list[float]) -> Mapping[str, Any]:
    """Mean and standard deviation over seeds, and the figure of each."""
    return {
        "mean": statistics.fmean(figures),
        "deviation": statistics.stdev(figures),
        "seeds": figures,
    }
