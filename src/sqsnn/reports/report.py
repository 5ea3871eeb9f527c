"""The page of a run: how well it does, what that costs, how it got there and how to repeat it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqsnn.reports.accounting import cost_rows
from sqsnn.reports.page import (
    MISSING,
    Block,
    Code,
    Figure,
    Page,
    Picture,
    Section,
    Table,
    Text,
    columns,
    count,
    percent,
    seconds,
)

_ALTS = {
    "learning-curve.png": "Loss and accuracy over the epochs",
    "raster.png": "Spikes of one test sample in every layer",
    "confusion-matrix.png": "How often each true class was read as each class",
    "circuit.png": "The circuit of a neuron, one time step",
    "noise.png": "Accuracy against the strength of a device's noise",
    "gradients.png": "Bias and noise of gradients from measured bits",
}
_PLACES = (
    ("Learning curve", ("learning-curve.png",)),
    ("One sample through the network", ("raster.png",)),
    ("Confusion matrix", ("confusion-matrix.png",)),
    ("The neuron", ("circuit.png",)),
    ("Under the noise of a device", ("noise.png",)),
    ("Gradients from measured bits", ("gradients.png",)),
)


@dataclass(frozen=True)
class RunFacts:
    """What there is to know of a run.

    dataset: Its name.
    model: The network, in words.
    command: What trains it again; None where no command does.
    config: The settings as a file.
    chosen, others: Rows (setting, value, default, meaning) of settings that differ from the
        defaults, and (setting, value, meaning) of those that do not.
    planned_epochs: How many were asked for.
    epochs: The figures of each epoch so far.
    result: What metrics.json holds; None for a run that is not finished.
    costs: What `Costs.as_dict` gave; None where nothing was counted.
    training_seconds: Of all epochs; None where they are unknown.
    machine: Device, threads and versions.
    pictures: The bytes of PNG files by name.
    left_out: The names of pictures that there should be.
    """

    dataset: str
    model: str
    command: str | None
    config: str
    chosen: Sequence[tuple[str, str, str, str]]
    others: Sequence[tuple[str, str, str]]
    planned_epochs: int
    epochs: Sequence[Mapping[str, Any]]
    result: Mapping[str, Any] | None
    costs: Mapping[str, Any] | None
    training_seconds: int | float | None
    machine: Mapping[str, Any]
    pictures: Mapping[str, bytes]
    left_out: Sequence[str]


def run_page(facts: RunFacts) -> Page:
    """Lay out the page of a run.

    Args:
        facts: what there is to know of it.
    """
    sections = [_repeat(facts), _settings(facts), *_pictures(facts)]
    if facts.result is not None:
        sections.append(_costs(facts.costs))
    if facts.machine:
        machine = tuple((name, str(value)) for name, value in facts.machine.items())
        table = Table(("of the training", "value"), machine, numbers=False)
        sections.append(Section("Machine and versions", (table,)))
    if facts.epochs:
        sections.append(Section("All epochs", (_epochs(facts.epochs),), folded=True))
    if facts.others:
        rows = Table(("setting", "value", "meaning"), tuple(facts.others), numbers=False)
        sections.append(Section("Settings left at their defaults", (rows,), folded=True))
    sections.append(Section("config.toml", (Code(facts.config),), folded=True))
    return Page(
        title=f"{facts.dataset}: {facts.model}",
        lead=_lead(facts),
        figures=_figures(facts),
        sections=tuple(sections),
        warning="" if facts.result is not None else _unfinished(facts),
    )


def _lead(facts: RunFacts) -> str:
    if facts.result is None:
        return f"A training on {facts.dataset} that is not finished."
    return (
        f"A network trained on {facts.dataset}, tested on {count(facts.result['test_samples'])} "
        f"samples with the weights of epoch {facts.result['best_epoch']} of {len(facts.epochs)}, "
        "the best on the validation samples."
    )


def _unfinished(facts: RunFacts) -> str:
    return (
        f"This run is not finished: {len(facts.epochs)} of {facts.planned_epochs} epochs are done "
        "and nothing has been tested. What there is so far, on the validation samples:"
    )


def _figures(facts: RunFacts) -> tuple[Figure, ...]:
    if facts.result is None:
        return _figures_so_far(facts)
    result = facts.result
    found = [
        _accuracy("by spikes", result.get("test_accuracy_spikes"), "spike counts, ties shared"),
        _accuracy("ties by probability", result["test_accuracy"], "ties broken by probability"),
        _accuracy("by probability", result["test_accuracy_probability"], "summed probabilities"),
        Figure("parameters", f"{result['parameters']:,}", "all that is learned"),
        Figure("spikes", count(sum(result["spikes_per_sample"])), "of all layers, an inference"),
        Figure("training time", seconds(facts.training_seconds), "all epochs"),
    ]
    return tuple(figure for figure in found if figure.value != MISSING)


def _figures_so_far(facts: RunFacts) -> tuple[Figure, ...]:
    if not facts.epochs:
        return ()
    best = max(facts.epochs, key=lambda epoch: epoch["validation_accuracy"])
    note = f"best so far, epoch {best['epoch']}"
    return (
        Figure("epochs", f"{len(facts.epochs)} of {facts.planned_epochs}"),
        Figure("validation accuracy", percent(best["validation_accuracy"]), note),
        Figure("training time", seconds(facts.training_seconds), "so far"),
    )


def _accuracy(how: str, share: float | None, note: str) -> Figure:
    return Figure(f"test accuracy, {how}", percent(share), note)


def _repeat(facts: RunFacts) -> Section:
    if facts.command is None:
        said = "Its settings are those of config.toml, below; no single command gives them."
        return Section("To repeat it", (Text(said),))
    version = facts.machine.get("sqsnn")
    known = "" if version is None else f" with sqsnn {version}"
    said = (
        f"This trains it again{known}. The same versions on the same kind of machine give the same "
        "figures, bit for bit."
    )
    return Section("To repeat it", (Text(said), Code(facts.command)))


def _settings(facts: RunFacts) -> Section:
    if not facts.chosen:
        said = "All settings are the defaults of the dataset."
        return Section("Settings", (Text(said),))
    table = Table(("setting", "value", "default", "meaning"), tuple(facts.chosen), numbers=False)
    said = "Those that differ from the defaults of the dataset; the others are below."
    return Section("Settings", (Text(said), table))


def _pictures(facts: RunFacts) -> list[Section]:
    sections = []
    for title, names in _PLACES:
        blocks: list[Block] = []
        for name in names:
            if name in facts.pictures:
                blocks.append(Picture(facts.pictures[name], _ALTS[name]))
            elif name in facts.left_out:
                blocks.append(Text(_why_left_out(facts, name)))
        if blocks:
            sections.append(Section(title, tuple(blocks)))
    return sections


def _why_left_out(facts: RunFacts, name: str) -> str:
    if facts.result is None:
        return f"{name} is drawn when the run is finished."
    return f"{name} is not in the folder of the run and could not be drawn anew."


def _costs(costs: Mapping[str, Any] | None) -> Section:
    title = "What an inference costs"
    if costs is None:
        said = "Costs were not counted: the spikes were measured on a backend, or the run is old."
        return Section(title, (Text(said),))
    total = costs["total"]
    dense, every_step = total["dense_operations"], total["dense_operations_every_step"]
    said = (
        f"Means over {count(costs['samples'])} test samples. The spikes of an inference add "
        f"{count(total['synaptic_operations'])} weights to currents; a dense network of the same "
        f"sizes multiplies and adds {count(dense)} in one pass, and {count(every_step)} if it runs "
        f"at every step, of which this is {percent(total['synaptic_operations'] / every_step, 1)}."
    )
    blocks: list[Block] = [Text(said)]
    if total["multiply_accumulates"]:
        blocks.append(Text("The input is values, not spikes: its weights are multiplied, too."))
    if total["measurements"]:
        placed, skipped = total["encoding_rotations"], total["skipped_rotations"]
        said = (
            f"The neurons take {count(total['gates'])} gates and {count(total['measurements'])} "
            f"measurements, each with a reset. Of {count(placed + skipped)} rotations of the "
            f"encoding {count(placed)} are placed; a current of 0 or below leaves them out."
        )
        blocks.append(Text(said))
    layers = costs["layers"]
    hidden = [f"hidden layer {number}" for number in range(1, len(layers))]
    rows = [
        (row.label, *map(count, row.layers), "" if row.total is None else count(row.total))
        for row in cost_rows(costs)
    ]
    blocks.append(Table(("an inference", *hidden, "output layer", "all"), tuple(rows)))
    return Section(title, tuple(blocks))


def _epochs(epochs: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        (
            str(epoch["epoch"]),
            f"{epoch['train_loss']:.4f}",
            percent(epoch["train_accuracy"], 1),
            percent(epoch.get("validation_accuracy_spikes"), 1),
            percent(epoch["validation_accuracy"], 1),
            percent(epoch["validation_accuracy_probability"], 1),
            count(sum(epoch["spikes_per_sample"])),
            f"{epoch['learning_rate']:.2g}",
        )
        for epoch in epochs
    ]
    return columns(
        (
            "epoch",
            "training loss",
            "training accuracy",
            "validation, by spikes",
            "ties by probability",
            "by probability",
            "spikes a sample",
            "learning rate",
        ),
        rows,
    )
