"""The page of a study: for every dataset its models side by side, and how to repeat it."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sqsnn.errors import CheckpointError, ConfigError
from sqsnn.readfile import read_sealed, read_text
from sqsnn.reports.page import (
    MISSING,
    PNG,
    code,
    count,
    escape,
    percent,
    render,
    table,
)
from sqsnn_bench.study import costs

Row = Mapping[str, Any]

RESULTS = "results.json"
SETTINGS = "study.toml"
# The headline first: spikes alone, the same question to every neuron.
ACCURACIES: Mapping[str, str] = MappingProxyType(
    {
        "test_accuracy": "test accuracy",
        "test_accuracy_ties_by_probability": "ties by probability",
        "test_accuracy_probability": "by probability",
    }
)
READING = """\
Accuracies are in per cent of the test samples, read once per seed: mean and half width of the 95 %
Student-t interval over seeds, which are trainings on one split after one search; what other samples
would add is not in it. Test accuracy, and validation: the class with most spikes, ties shared
evenly. Secondary: ties broken by firing probability (where nothing is random, by class number), and
summed probabilities alone. "Above": the mean difference of test accuracies, paired by seed, with
its 95 % Student-t interval.

Costs are those of an inference, means over test samples and seeds, layers and steps summed.
Synaptic operations: weights that spikes add to currents. Neuron updates: steps of neurons, of
circuits or of membranes. Membrane operations: multiply-accumulates of leaky membranes, which older
records do not say. Gates and measurements: of circuits. The device time is an estimate, since no
row ran on a device: one shot per neuron, one after another, with the usual 250 us between shots,
two 32 ns pulses per rotation, two 68 ns gates and two rotations per two-qubit gate, and 3.28 us for
measurement and reset of a step (times of fake_boston), without the overhead of jobs. The training
time is that of one training by this code on a shared machine.
"""
COMPARING = """\
Differences of test accuracy in points, paired by seed: equal seeds give both models the same split
and the same order of samples; initial weights and random spikes differ. Interval and p: the paired
Student t test, two-sided, over the seeds that both models have. p (Holm): corrected for the number
of all comparisons in this table, where one without a p counts as p = 1. Effect: Hedges' g of paired
values, (1 - 3 / (4 n - 5)) times the mean of the n differences over their standard deviation; it
says how far a difference stands out of the scatter of seeds, not how large it is.
"""
COMPARED = ["group", "model", "against", "seeds", "difference", "p", "p (Holm)", "effect"]
IRREGULAR = """\
The test part was read once per network, as tested.jsonl says, but for these reads:
"""
READS = ["group", "model", "seed", "time", "why"]


def study_page(folder: Path) -> str:
    """Write the page of a study as HTML.

    Args:
        folder: The folder that `sqsnn-bench compare` wrote.

    Raises:
        ConfigError: If its results cannot be read.
    """
    path = folder / RESULTS
    try:
        return read_sealed(path, partial(_rendered, folder))
    except (CheckpointError, KeyError, AttributeError) as error:
        raise ConfigError(
            f"{path} must hold the results of a study: {error}; `sqsnn-bench tables {folder}` "
            "writes it anew"
        ) from error


def _rendered(folder: Path, results: Mapping[str, Any]) -> str:
    rows: list[Row] = results["rows"]
    groups = list(dict.fromkeys(row["dataset"] for row in rows))
    models = len({row["model"] for row in rows})
    lead = (
        f"{_counted(models, 'model')} compared on {', '.join(groups) or 'no dataset'}, with "
        "equally many parameters (within 1 %), the same data and the same budget of search."
    )
    parts = [escape(lead) + "\n"]
    if not results["complete"]:
        parts.append(
            "> This study is not complete: trials are missing. The tables hold what is done.\n"
        )
    if groups:
        parts.append(f"## How to read it\n\n{READING}")
    pictures = _pictures(folder)
    folded = []
    for group in groups:
        chosen = [row for row in rows if row["dataset"] == group]
        parts += _dataset(group, chosen, _above(results, group), pictures)
        folded += [_every_seed(group), _settings_found(group)]
    if comparisons := results["comparisons"]:
        lines = [compared(one) for one in comparisons]
        parts.append(f"## Comparisons\n\n{COMPARING}\n{table(COMPARED, lines)}")
    if irregular := results["irregular_tests"]:
        lines = [reads(one) for one in irregular]
        parts.append(f"## Reads of the test part\n\n{IRREGULAR}\n")
        parts.append(table(READS, lines, numbers=False))
    sizes = [name for name in pictures if name.startswith("size-")]
    if sizes:
        parts.append("## Accuracy against size\n")
        parts += [_shown(name, "Test accuracy against parameters") for name in sizes]
    parts += _repeat(folder)
    return render(f"Study: {results['name']}", "\n".join(parts), pictures, folded)


Above = tuple[str, Mapping[str, Row]]  # label of the reference, and comparisons with it by label


def _above(results: Mapping[str, Any], group: str) -> Above | None:
    reference = results.get("reference")
    if reference is None:
        return None
    found = [one for one in results["comparisons"] if one["dataset"] == group]
    return reference, {one["labels"][0]: one for one in found if one["labels"][1] == reference}


def _dataset(
    group: str, rows: Sequence[Row], above: Above | None, pictures: Mapping[str, bytes]
) -> Iterator[str]:
    yield f"## {escape(group)}\n"
    yield _accuracies(rows, above)
    picture = f"accuracy-{group}.png"
    if picture in pictures:
        yield _shown(picture, "Test accuracy of all models")
    if any(row["seeds"] for row in rows):
        yield _costs(rows)
        picture = f"operations-{group}.png"
        if picture in pictures:
            yield _shown(picture, "Test accuracy of all models against operations")
        yield f"## {escape(_every_seed(group))}\n"
        yield _seeds(rows)
    if any(row.get("found") for row in rows):
        yield f"## {escape(_settings_found(group))}\n"
        yield _found(rows)


def _every_seed(group: str) -> str:
    return f"{group}: every seed"


def _settings_found(group: str) -> str:
    return f"{group}: settings found"


def _accuracies(rows: Sequence[Row], above: Above | None) -> str:
    heads = ["model", "parameters", "hidden", "seeds", "validation", *ACCURACIES.values()]
    heads += [] if above is None else [f"above {above[0]}"]
    return table(
        heads,
        [
            [
                row["label"],
                count(row.get("parameters")),
                MISSING if row.get("hidden") is None else "-".join(map(str, row["hidden"])),
                _trained(row),
                accuracy(row.get("validation_accuracy")),
                *(accuracy(row.get(name)) for name in ACCURACIES),
                *([] if above is None else [accuracy(above[1].get(row["label"]), "+.2f")]),
            ]
            for row in rows
        ],
    )


def _costs(rows: Sequence[Row]) -> str:
    return table(
        ["model", "test accuracy", *costs.HEADS],
        [[row["label"], accuracy(row["test_accuracy"]), *costs.cells(row)] for row in rows],
    )


def _seeds(rows: Sequence[Row]) -> str:
    """Test accuracy, one column per seed; a dash for a seed that is missing."""
    seeds = sorted({seed for row in rows for seed in row["seeds"]})
    lines = []
    for row in rows:
        values = (row.get("test_accuracy") or {}).get("values", [])
        known = dict(zip(row["seeds"], values, strict=False))
        lines.append([row["label"], *(percent(known.get(seed)) for seed in seeds)])
    return table(["test accuracy", *(f"seed {seed}" for seed in seeds)], lines)


def _found(rows: Sequence[Row]) -> str:
    """What the search chose for each model."""
    lines = []
    for row in rows:
        settings = (row.get("found") or {}).items()
        text = ", ".join(f"{name} = {value}" for name, value in settings) or MISSING
        lines.append([row["label"], text])
    return table(["model", "settings"], lines, numbers=False)


def _repeat(folder: Path) -> Iterator[str]:
    yield "## To repeat it\n"
    yield "In this folder, this goes on with the study; what is done is not repeated.\n"
    yield code(f"sqsnn-bench compare {SETTINGS} --out .")
    path = folder / SETTINGS
    if path.is_file():
        yield f"{SETTINGS}:\n"
        yield code(read_text(path, refusal=ConfigError))
    else:
        yield f"The folder has no {SETTINGS}: the settings are not known here.\n"


def _pictures(folder: Path) -> dict[str, bytes]:
    """Read the pictures of a study by their names; a broken file counts as missing."""
    kinds = ("accuracy", "operations", "size")
    paths = [path for kind in kinds for path in sorted(folder.glob(f"{kind}-*.png"))]
    found = {path.name: path.read_bytes() for path in paths if path.is_file()}
    return {name: content for name, content in found.items() if content.startswith(PNG)}


def _shown(name: str, alt: str) -> str:
    return f"![{alt}](<{name}>)\n"


def accuracy(found: Mapping[str, Any] | None, form: str = ".2f") -> str:
    """Write a mean in per cent, with its interval where it is known.

    Args:
        found: "mean" and "interval".
        form: How the mean is written.
    """
    if found is None or found.get("mean") is None:
        return MISSING
    mean, interval = format(100 * found["mean"], form), found.get("interval")
    return mean if interval is None else f"{mean} ± {100 * interval:.2f}"


def compared(found: Mapping[str, Any]) -> list[str]:
    """Write a comparison as the cells of a row, one per head of `COMPARED`."""
    effect = found["effect"]
    return [
        found["dataset"],
        *found["labels"],
        str(len(found["pairs"])),
        accuracy(found, "+.2f"),
        *(_probability(found[name]) for name in ("p", "p_holm")),
        MISSING if effect is None else format(effect, "+.2f"),
    ]


def reads(found: Mapping[str, Any]) -> list[str]:
    """Write a read of the test part as the cells of a row, one per head of `READS`."""
    return [found["dataset"], found["model"], str(found["seed"]), found["time"], found["why"]]


def _probability(p: float | None) -> str:
    if p is None:
        return MISSING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _trained(row: Row) -> str:
    failed = row.get("failed")
    return f"{len(row['seeds'])}{f', {failed} failed' if failed else ''}"


def _counted(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"
