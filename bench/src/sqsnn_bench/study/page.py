"""The page of a study: for every dataset its models side by side, and how to repeat it."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sqsnn.errors import CheckpointError, ConfigError
from sqsnn.readfile import read_sealed, read_text
from sqsnn.reports.page import (
    MISSING,
    PNG,
    code,
    count,
    escape,
    render,
    table,
)
from sqsnn_bench.study import costs, headline
from sqsnn_bench.study.headline import Headline

Row = Mapping[str, Any]

RESULTS = "results.json"
SETTINGS = "study.toml"
COSTS = """\
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
Differences of {}, paired by seed: equal seeds give both models the same split
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


def reading(rows: Sequence[Row]) -> str:
    """How to read the tables of a study.

    Args:
        rows: The rows of its results.
    """
    return "\n".join([*(judged.reading for judged in _headlines(rows)), COSTS])


def comparing(rows: Sequence[Row]) -> str:
    """How to read the comparisons of a study.

    Args:
        rows: The rows of its results.
    """
    return COMPARING.format(" or of ".join(judged.differences for judged in _headlines(rows)))


def _headlines(rows: Sequence[Row]) -> list[Headline]:
    """Each headline of a study once, in the order of its groups."""
    found = {judged.name: judged for judged in map(headline.of, rows)}
    return list(found.values())


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
        parts.append(f"## How to read it\n\n{reading(rows)}")
    pictures = _pictures(folder)
    folded = []
    for group in groups:
        chosen = [row for row in rows if row["dataset"] == group]
        parts += _dataset(group, chosen, _above(results, group), pictures)
        folded += [_every_seed(group), _settings_found(group)]
    if comparisons := results["comparisons"]:
        judged = {row["dataset"]: headline.of(row) for row in rows}
        lines = [compared(one, judged[one["dataset"]]) for one in comparisons]
        parts.append(f"## Comparisons\n\n{comparing(rows)}\n{table(COMPARED, lines)}")
    if irregular := results["irregular_tests"]:
        lines = [reads(one) for one in irregular]
        parts.append(f"## Reads of the test part\n\n{IRREGULAR}\n")
        parts.append(table(READS, lines, numbers=False))
    sizes = [name for name in pictures if name.startswith("size-")]
    if sizes:
        parts.append("## Results against size\n")
        parts += [_picture(name, "All models against parameters") for name in sizes]
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
    judged = headline.of(rows[0])
    yield f"## {escape(group)}\n"
    yield _headline(rows, above, judged)
    picture = f"accuracy-{group}.png"
    if picture in pictures:
        yield _picture(picture, f"All models: {judged.label}")
    if any(row["seeds"] for row in rows):
        yield _costs(rows, judged)
        picture = f"operations-{group}.png"
        if picture in pictures:
            yield _picture(picture, f"All models: {judged.label} against operations")
        yield f"## {escape(_every_seed(group))}\n"
        yield _seeds(rows, judged)
    if any(row.get("found") for row in rows):
        yield f"## {escape(_settings_found(group))}\n"
        yield _found(rows)


def _every_seed(group: str) -> str:
    return f"{group}: every seed"


def _settings_found(group: str) -> str:
    return f"{group}: settings found"


def _headline(rows: Sequence[Row], above: Above | None, judged: Headline) -> str:
    heads = ["model", "parameters", "hidden", "seeds", "validation", *judged.tested.values()]
    heads += [] if above is None else [f"{judged.above} {above[0]}"]
    lines = [
        [
            row["label"],
            count(row.get("parameters")),
            MISSING if row.get("hidden") is None else "-".join(map(str, row["hidden"])),
            _trained(row),
            shown(row.get(judged.validation), judged),
            *(shown(row.get(name), judged) for name in judged.tested),
            *([] if above is None else [shown(above[1].get(row["label"]), judged, "+")]),
        ]
        for row in rows
    ]
    if (linear := baseline(rows)) is not None:
        reached = [str(len(linear["values"])), MISSING, shown(linear, judged)]
        lines.append([linear["model"], MISSING, MISSING, *reached])
        lines[-1] += [MISSING] * (len(heads) - len(lines[-1]))
    return table(heads, lines)


def _costs(rows: Sequence[Row], judged: Headline) -> str:
    return table(
        ["model", judged.label, *costs.HEADS],
        [[row["label"], shown(row[judged.test], judged), *costs.cells(row)] for row in rows],
    )


def _seeds(rows: Sequence[Row], judged: Headline) -> str:
    """The headline, one column per seed; a dash for a seed that is missing."""
    seeds = sorted({seed for row in rows for seed in row["seeds"]})
    lines = []
    for row in rows:
        reached = (row.get(judged.test) or {}).get("values", [])
        values = [f"{judged.written(value)} {judged.unit}".rstrip() for value in reached]
        known = dict(zip(row["seeds"], values, strict=False))
        lines.append([row["label"], *(known.get(seed, MISSING) for seed in seeds)])
    return table([judged.label, *(f"seed {seed}" for seed in seeds)], lines)


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


def _picture(name: str, alt: str) -> str:
    return f"![{alt}](<{name}>)\n"


def shown(found: Mapping[str, Any] | None, judged: Headline, sign: str = "") -> str:
    """Write a mean without its unit, with its interval where it is known.

    Args:
        found: "mean" and "interval".
        judged: The headline whose mean it is.
        sign: "+" for a difference.
    """
    if found is None or found.get("mean") is None:
        return MISSING
    mean, interval = judged.written(found["mean"], sign), found.get("interval")
    return mean if interval is None else f"{mean} ± {judged.written(interval)}"


def baseline(rows: Sequence[Row]) -> Row | None:
    """What a linear model reaches in a group, over as many seeds as there are; None if unknown.

    Args:
        rows: The rows of the group.
    """
    known = [row["baseline"] for row in rows if "baseline" in row]
    return max(known, key=lambda one: len(one["values"]), default=None)


def compared(found: Mapping[str, Any], judged: Headline) -> list[str]:
    """Write a comparison as the cells of a row, one per head of `COMPARED`.

    Args:
        found: The comparison.
        judged: The headline of its group.
    """
    effect = found["effect"]
    return [
        found["dataset"],
        *found["labels"],
        str(len(found["pairs"])),
        shown(found, judged, "+"),
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
