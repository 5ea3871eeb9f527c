"""Classifying time series beside simple and strong baselines: `python -m sqsnn_bench.series`.

Two problems are generated, three come with the library pyts, all with its own split. Every model
sees the values step by step or flattened, as it wants them:

- the classifier with quantum neurons and with LIF: two hidden layers of 64, population encoding,
  one learning rate of two, chosen on a held-out third of the training part, then three seeds;
- ridge regression of all values flattened;
- ridge regression of 10,000 random convolutions (ROCKET; Dempster, Petitjean and Webb, 2020).

Writes bench/results/series.json.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, pstdev
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeClassifierCV
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sqsnn import SQSNNClassifier
from sqsnn.data.series import sines
from sqsnn_bench.timing import machine

Array = NDArray[Any]

SEEDS = 3
RATES = [0.003, 0.01]
ALPHAS = np.logspace(-3, 3, 10)
GRADIENT_STEPS = 1000  # per training, in whole epochs
BATCH = 16


class Problem(NamedTuple):
    """Series `(n, T, F)` and their classes, to train and to test."""

    X: Array
    y: Array
    X_test: Array
    y_test: Array


def periods() -> Problem:
    """Noisy sines of random phase; the class is the period."""
    return Problem(*sines(600, 150, 0), *sines(300, 150, 1_000_000))


def shapes() -> Problem:
    """Cylinders, bells and funnels of random place, length and height, under noise."""
    from pyts.datasets import make_cylinder_bell_funnel

    X, y = make_cylinder_bell_funnel(600, random_state=0)[:2]
    parts = train_test_split(X[..., None], y, test_size=0.5, stratify=y, random_state=0)
    X, X_test, y, y_test = map(np.asarray, parts)
    return Problem(X, y, X_test, y_test)


def shipped(name: str) -> Callable[[], Problem]:
    """A dataset of the UCR and UEA archives that pyts brings along."""

    def load() -> Problem:
        from pyts import datasets

        X, X_test, y, y_test = getattr(datasets, f"load_{name}")(return_X_y=True)
        X, X_test = (it[..., None] if it.ndim == 2 else it.swapaxes(1, 2) for it in (X, X_test))
        return Problem(X, y, X_test, y_test)

    return load


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "sines": periods,
    "cylinder-bell-funnel": shapes,
    "GunPoint": shipped("gunpoint"),
    "Coffee": shipped("coffee"),
    "BasicMotions": shipped("basic_motions"),
}
NEURONS = {
    "SQS": {"neurons": "sqs"},
    "LIF": {"neurons": "lif"},
}


def spiking(options: dict[str, Any], problem: Problem) -> dict[str, Any]:
    """Test the classifier with some neurons, over seeds."""
    epochs = max(1, round(GRADIENT_STEPS * BATCH / len(problem.y)))
    common = {"hidden": (64, 64), "encoding": "population", "beta": 0.9}
    common |= {"batch_size": BATCH, "epochs": epochs}
    classifier = SQSNNClassifier(**common, **options, random_state=0)
    split = StratifiedShuffleSplit(1, test_size=1 / 3, random_state=0)
    search = GridSearchCV(classifier, {"learning_rate": RATES}, cv=split, refit=False)
    rate = search.fit(problem.X, problem.y).best_params_["learning_rate"]
    classifier.set_params(learning_rate=rate)
    found = [
        classifier.set_params(random_state=seed)
        .fit(problem.X, problem.y)
        .score(problem.X_test, problem.y_test)
        for seed in range(SEEDS)
    ]
    deviation = pstdev(found)
    return {"accuracy": mean(found), "deviation": deviation, "runs": found, "learning_rate": rate}


def flattened(problem: Problem) -> dict[str, Any]:
    """Test ridge regression of all values."""
    flat = FunctionTransformer(lambda X: X.reshape(len(X), -1))
    model = make_pipeline(flat, StandardScaler(), RidgeClassifierCV(ALPHAS))
    score = model.fit(problem.X, problem.y).score(problem.X_test, problem.y_test)
    return {"accuracy": float(score)}


def convolved(problem: Problem) -> dict[str, Any]:
    """Test ridge regression of random convolutions, over seeds."""
    from pyts.multivariate.transformation import MultivariateTransformer
    from pyts.transformation import ROCKET

    X, X_test = (it.swapaxes(1, 2) for it in (problem.X, problem.X_test))
    found = []
    for seed in range(SEEDS):
        convolve = MultivariateTransformer(ROCKET(random_state=seed), flatten=True)
        model = make_pipeline(convolve, StandardScaler(), RidgeClassifierCV(ALPHAS))
        found.append(float(model.fit(X, problem.y).score(X_test, problem.y_test)))
    return {"accuracy": mean(found), "deviation": pstdev(found), "runs": found}


def compare(problem: Problem) -> dict[str, Any]:
    """Test every model on a problem."""
    models: dict[str, Callable[[], dict[str, Any]]] = {
        name: lambda options=options: spiking(options, problem) for name, options in NEURONS.items()
    }
    models["ridge, flattened"] = lambda: flattened(problem)
    models["random convolutions"] = lambda: convolved(problem)
    found = {}
    for name, test in models.items():
        began = time.perf_counter()
        found[name] = test() | {"seconds": round(time.perf_counter() - began, 1)}
        print(f"  {name:22} {found[name]['accuracy']:.3f}  {found[name]['seconds']} s", flush=True)
    samples, steps, features = problem.X.shape
    shape = {"train": samples, "test": len(problem.y_test), "steps": steps, "features": features}
    chance = float(np.unique(problem.y_test, return_counts=True)[1].max() / len(problem.y_test))
    return {**shape, "largest_class": chance, "models": found}


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m sqsnn_bench.series")
    parser.add_argument("--only", choices=PROBLEMS, nargs="*", help="Problems [default: all].")
    parser.add_argument("--out", type=Path, default=Path("bench/results/series.json"))
    arguments = parser.parse_args()
    result: dict[str, Any] = {"machine": machine(), "problems": {}}
    if arguments.only and arguments.out.is_file():
        result["problems"] = json.loads(arguments.out.read_text())["problems"]
    for name in arguments.only or PROBLEMS:
        print(name, flush=True)
        result["problems"][name] = compare(PROBLEMS[name]())
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
