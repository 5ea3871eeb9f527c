"""Differences between the models of a study: paired by seed, tested, corrected for their number.

Equal seeds give two models the same split of the data and the same order of samples in every epoch,
so that their headlines are compared seed by seed. Initial weights differ between models, and so
do the spikes that they draw. Of the n differences d of the headline on the test samples:

    interval   mean d +- t(0.975, n - 1) s / sqrt(n), with s their standard deviation
    p          paired Student t test, two-sided
    Holm       the j-th smallest of m values of p times m + 1 - j, never below the one before it
    effect     Hedges' g of paired values, (1 - 3 / (4 (n - 1) - 1)) mean d / s, from n = 3 on

m is the number of all comparisons of the study, in all its groups; one without a p counts as p = 1.
"""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from sqsnn_bench.study import headline
from sqsnn_bench.study.config import Study

Comparison = dict[str, Any]
Row = Mapping[str, Any]

# Figures are about 1 or less: rounding of differences is a thousandth of this.
_EQUAL = 1e-12


def of_rows(study: Study, rows: Sequence[Row]) -> list[Comparison]:
    """Compare the models of a study by their headlines on the test samples.

    Args:
        study: The study, which says who is compared with whom.
        rows: The rows of its results.

    Returns:
        Per comparison its group, the two models and their labels, and what `paired` gives, with
        "p_holm".
    """
    reached = {
        (row["dataset"], row["model"]): dict(
            zip(row["seeds"], row[headline.of(row).test]["values"], strict=True)
        )
        for row in rows
    }
    found: list[Comparison] = [
        {
            "dataset": dataset,
            "model": model,
            "other": other,
            "labels": [study.label(model), study.label(other)],
            **paired(reached[dataset, model], reached[dataset, other]),
        }
        for dataset, model, other in compared(study)
    ]
    for one, corrected in zip(found, holm([one["p"] for one in found]), strict=True):
        one["p_holm"] = corrected
    return found


def compared(study: Study) -> Iterator[tuple[str, str, str]]:
    """Every group with the pairs that are compared in it: the reference first, then others."""
    for dataset in study.datasets:
        models, reference = study.models_of(dataset), study.reference
        if reference is not None and reference in models:
            yield from ((dataset, model, reference) for model in models if model != reference)
        for one, other in study.comparisons:
            if one in models and other in models:
                yield dataset, one, other


def paired(one: Mapping[int, float], other: Mapping[int, float]) -> Comparison:
    """The difference of two models over the seeds that both have.

    Args:
        one: The headline by seed.
        other: The one that is subtracted.

    Returns:
        "pairs", the seeds; "mean"; half width "interval" of its 95 % interval, "p" and "effect",
        None where there are too few pairs or all differences are equal.
    """
    from scipy.stats import ttest_rel

    seeds = sorted(one.keys() & other.keys())
    differences = [one[seed] - other[seed] for seed in seeds]
    found: Comparison = {"pairs": seeds, "mean": fmean(differences) if seeds else None}
    found |= {"interval": None, "p": None, "effect": None}
    if len(seeds) < 2 or (deviation := stdev(differences)) < _EQUAL:
        return found
    test = ttest_rel([one[seed] for seed in seeds], [other[seed] for seed in seeds])
    low, high = test.confidence_interval(0.95)
    found |= {"interval": float(high - low) / 2, "p": float(test.pvalue)}
    if len(seeds) > 2:
        correction = 1 - 3 / (4 * (len(seeds) - 1) - 1)
        found["effect"] = correction * found["mean"] / deviation
    return found


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Correct the p of all comparisons for their number, after Holm.

    Args:
        values: All of them; None, one that is not known, counts as 1 and stays None.
    """
    known = sorted((p, place) for place, p in enumerate(values) if p is not None)
    corrected: list[float | None] = [None] * len(values)
    highest = 0.0
    for rank, (p, place) in enumerate(known):
        highest = max(highest, min(1.0, (len(values) - rank) * p))
        corrected[place] = highest
    return corrected
