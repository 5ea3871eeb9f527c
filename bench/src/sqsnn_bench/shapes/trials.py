"""An equal search for every model: learning rates on validation samples, then seeds on the test."""

import statistics
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from sqsnn.errors import TrainingError
from sqsnn_bench.series.run import summary
from sqsnn_bench.shapes.kept import Kept

SEARCH_SEED = 1000  # none of those that are reported
LEARNING_RATES = (0.003, 0.01, 0.03)

# trial(learning rate, seed, tests): figures, with `rank` of the validation samples, higher better;
# of the test samples, too, where it tests.
Trial = Callable[[float, int, bool], dict[str, Any]]
Watch = Callable[[str], None]


def compare(kept: Kept, name: str, seeds: int, trial: Trial, watch: Watch) -> None:
    """Choose the learning rate of a model, test it with each seed, and keep all of it.

    Args:
        kept: Where figures are kept; trials that lie there are not made again.
        name: The model.
        seeds: Seeds that are tested, from 0 on.
        trial: Trains the model.
        watch: Receives a line per trial.
    """

    def search(rate: float) -> dict[str, Any]:
        try:
            found = trial(rate, SEARCH_SEED, False)
        except TrainingError as error:
            found = {"rank": [], "error": str(error)}  # the lowest of all
        said = f"validation {found['rank'][0]:.3f}" if found["rank"] else found["error"]
        watch(f"{name}, rate {rate}: {said}")
        return found

    def test(seed: int) -> dict[str, Any]:
        found = trial(best, seed, True)
        watch(f"{name}, rate {best}, seed {seed}: {_figures(found)}")
        return found

    tried = {
        rate: kept.once(name, f"rate {rate}", partial(search, rate)) for rate in LEARNING_RATES
    }
    best = max(tried, key=lambda rate: tried[rate]["rank"])  # of equals the first
    for seed in range(seeds):
        kept.once(name, f"seed {seed}", partial(test, seed))


def tested(model: dict[str, Any]) -> list[dict[str, Any]]:
    """Give what was found with each seed, in their order."""
    names = sorted((name for name in model if name.startswith("seed ")), key=_number)
    return [model[name] for name in names]


def paired(one: Sequence[float], other: Sequence[float]) -> dict[str, Any]:
    """Give the differences of two models seed by seed, and their mean and standard deviation."""
    return summary([a - b for a, b in zip(one, other, strict=True)])


def spread(figures: Sequence[float]) -> str:
    """Write mean and standard deviation in per cent."""
    return f"{100 * statistics.fmean(figures):.1f} ± {100 * statistics.stdev(figures):.1f}"


def _number(name: str) -> int:
    return int(name.split()[1])


def _figures(found: dict[str, Any]) -> str:
    accuracies = {name: value for name, value in found.items() if name.startswith("accuracy")}
    return ", ".join(f"{name} {value:.2%}" for name, value in accuracies.items())
