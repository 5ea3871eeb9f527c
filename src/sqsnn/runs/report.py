"""The page of a run: how well it does, what that costs, how it got there and how to repeat it."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sqsnn.errors import SqsnnError
from sqsnn.network.wiring import say_layer
from sqsnn.reports import page, style
from sqsnn.reports.page import MISSING, code, count, escape, percent, table
from sqsnn.runs import folder as folders
from sqsnn.runs import loading, pictures, report_figures
from sqsnn.runs.backend import backend_of
from sqsnn.runs.costs import cost_rows
from sqsnn.runs.folder import RunFolder
from sqsnn.settings.command import list_settings, train_command
from sqsnn.settings.run import RunSettings
from sqsnn.settings.toml import portable, to_toml
from sqsnn.storage import write_atomically
from sqsnn.training.build import layer_circuits
from sqsnn.training.machine import threads

_NEURONS = {
    "lif": "LIF neurons",
    "stochastic_lif": "stochastic LIF neurons",
    "qlif": "QLIF neurons",
    "published_sqs": "neurons of the published formula",
}
# Titles of sections, the picture of each, and what it shows to those who do not see it.
_PICTURES = (
    ("Learning curve", pictures.CURVE, "Loss, and accuracy or error, over the epochs"),
    (
        "Samples through the network",
        pictures.RASTER,
        "Spikes in every layer: of a test sample that the network gets right, and of one that it "
        "gets wrong, if there are both",
    ),
    (
        "Predictions",
        pictures.PREDICTIONS,
        "Predictions beside the truth: of the first test series, or of each test sample",
    ),
    ("Confusion matrix", pictures.CONFUSION, "How often each true class was read as each class"),
    ("The network", pictures.NETWORK, "Populations as boxes, connections as arrows"),
    ("The neuron", pictures.CIRCUIT, "The circuit of a neuron, one time step"),
    (
        "The neuron of the output layer",
        pictures.OUTPUT_CIRCUIT,
        "The circuit of an output neuron, one time step",
    ),
    ("Under the noise of a device", "noise.png", "Accuracy against the strength of the noise"),
)
_FOLDED = (
    report_figures.ALL_CLASSES,
    "All epochs",
    "Settings left at their defaults",
    "config.toml",
)


class Written(NamedTuple):
    """A page on the disk."""

    path: Path
    left_out: tuple[str, ...]  # why pictures are missing on it


def write_report(path: Path, out: Path | None = None, data_dir: Path | None = None) -> Written:
    """Write a run as one HTML file that holds all its figures and pictures, by default report.html.

    The run may be unfinished. Datasets are looked for in `data_dir` where pictures are drawn anew.
    """
    found = folders.find(path)
    settings = found.read_settings()
    epochs = found.read_metrics()
    result = found.read_result() if found.is_finished() else None
    timing = found.read_times()
    wanted = [pictures.CURVE, *pictures.of_test(settings), *pictures.circuits(settings)]
    shown = {name: found.path / name for _, name, _ in _PICTURES}
    shown = {name: file.read_bytes() for name, file in shown.items() if file.is_file()}
    shown = {name: png for name, png in shown.items() if png.startswith(page.PNG)}
    missing = [name for name in wanted if name not in shown]
    drawn, why = _draw(found, settings, epochs, missing, data_dir) if missing else ({}, ())
    shown |= drawn

    told = portable(settings)
    parts = [
        f"A network trained on {escape(told.data.dataset)}.",
        report_figures.so_far(settings, epochs, timing)
        if result is None
        else report_figures.headline(epochs, result, timing),
        _repeat(told, timing),
        *_pictures(shown, [name for name in missing if name not in shown], result is not None),
        *_sections({} if result is None else report_figures.classes(result)),
        *([] if result is None else [_costs(settings, _read_costs(found, result))]),
        *_tables(told, epochs, timing),
    ]
    title = f"{told.data.dataset}: {_describe(settings)}"
    text = page.render(title, "\n\n".join(parts), shown, _FOLDED)
    target = found.path / "report.html" if out is None else out
    write_atomically(target, lambda part: part.write_text(text, "utf-8"))
    return Written(target, why)


def _read_costs(found: RunFolder, result: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Read the costs of the run, or those counted later by `sqsnn inspect costs`."""
    if result["costs"] is None and found.costs.exists():
        return found.read_costs()
    return result["costs"]


def _draw(
    found: RunFolder,
    settings: RunSettings,
    epochs: Sequence[Mapping[str, Any]],
    missing: Collection[str],
    data_dir: Path | None,
) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """Draw missing pictures anew, beside the folder, and say why others cannot be drawn."""
    figures, why = pictures.draw_training(settings, epochs), ()
    backend = backend_of(settings)
    if found.is_finished() and set(pictures.of_test(settings)) & set(missing):
        if backend is not None:
            why = (f"No test is repeated for pictures: {backend.backend} measured its spikes",)
        else:
            try:
                loaded = loading.load(found, data_dir)
                with threads(settings.training.threads):
                    figures |= pictures.draw_test(loaded, loading.test(loaded))
            except SqsnnError as error:
                why = (f"Pictures are missing, because the test cannot be repeated: {error}",)
    return {name: style.png(one) for name, one in figures.items() if name in missing}, why


def _describe(settings: RunSettings) -> str:
    """Describe the network in a few words."""
    layers, joined = settings.in_words, settings.joined_in_words
    neurons: Any = settings.neurons
    if neurons.kind != "sqs":
        return ", ".join([f"{layers} {_NEURONS.get(neurons.kind, neurons.kind)}", *joined])
    memory = dict.fromkeys(circuit.memory_qubits for circuit in layer_circuits(settings))
    qubits = f"N={neurons.channels}, M={' and '.join(map(str, memory))}"
    return ", ".join([f"{layers} SQS neurons", str(neurons.circuit), qubits, *joined])


def _repeat(settings: RunSettings, timing: Mapping[str, Any]) -> str:
    version = timing.get("machine", {}).get("sqsnn")
    known = "" if version is None else f" with sqsnn {escape(str(version))}"
    return (
        f"## To repeat it\n\nThis trains it again{known}. The same versions on the same kind of "
        f"machine give the same figures, bit for bit.\n\n{code(train_command(settings))}"
    )


def _pictures(shown: Collection[str], missing: Collection[str], is_finished: bool) -> list[str]:
    sections = []
    for title, name, alt in _PICTURES:
        if name in shown:
            sections.append(f"## {title}\n\n![{alt}]({name})")
        elif name in missing:
            why = "is drawn when the run is finished."
            if is_finished:
                why = "is not in the folder of the run and could not be drawn anew."
            sections.append(f"## {title}\n\n{name} {why}")
    return sections


def _costs(settings: RunSettings, costs: Mapping[str, Any] | None) -> str:
    title = "## Costs of an inference\n\n"
    if costs is None:
        return title + "Costs were not counted: a backend measured the spikes."
    total, layers = costs["total"], costs["layers"]
    dense, every_step = total["dense_operations"], total["dense_operations_every_step"]
    text = (
        f"Means over {count(costs['samples'])} test samples. The spikes of an inference add "
        f"{count(total['synaptic_operations'])} weights to currents; a network of the same "
        f"connections without spikes multiplies and adds {count(dense)} in one pass, and "
        f"{count(every_step)} if it runs at every step, of which this is "
        f"{percent(total['synaptic_operations'] / every_step, 1)}."
    )
    if total["multiply_accumulates"]:
        text += (
            f" {count(total['multiply_accumulates'])} of the weights added are multiplied first: "
            "values arrive there, of the input, of traces, or of delays between two steps."
        )
    if total["measurements"]:
        placed, skipped = total["encoding_rotations"], total["skipped_rotations"]
        text += (
            f" The neurons take {count(total['gates'])} gates and {count(total['measurements'])} "
            f"measurements, each with a reset. Of {count(placed + skipped)} rotations of the "
            f"encoding {count(placed)} are placed; a drive of 0 or below leaves them out."
        )
    if total["membrane_operations"]:
        text += f" Leaky membranes multiply and add {count(total['membrane_operations'])} numbers."
    if settings.reads_values:
        text += " The linear readout of the last layer is not counted."
    names = [say_layer(layer["population"]) for layer in layers]
    rows = [
        (row.label, *map(count, row.layers), "" if row.total is None else count(row.total))
        for row in cost_rows(costs)
    ]
    return f"{title}{text}\n\n{table(('per inference', *names, 'all'), rows)}"


def _tables(
    settings: RunSettings, epochs: Sequence[Mapping[str, Any]], timing: Mapping[str, Any]
) -> list[str]:
    """Write what is for reference: settings, machine, epochs and the file of the settings."""
    listed = list_settings(settings)
    rows = [(one, (one.name, _shown(one.value), _shown(one.default))) for one in listed]
    chosen = [(*cells, one.meaning) for one, cells in rows if one.is_chosen]
    others = [(*cells[:2], one.meaning) for one, cells in rows if not one.is_chosen]
    machine = [(name, str(value)) for name, value in timing.get("machine", {}).items()]
    names = ("setting", "value", "default", "meaning")
    sections = {
        "Settings that differ from the defaults": table(names, chosen, numbers=False)
        if chosen
        else "All settings are the defaults of the dataset.",
        "Machine and versions": machine and table(("training", ""), machine, numbers=False),
        "All epochs": epochs and report_figures.all_epochs(epochs),
        "Settings left at their defaults": table((*names[:2], names[3]), others, numbers=False),
        "config.toml": code(to_toml(settings)),
    }
    return _sections(sections)


def _sections(texts: Mapping[str, Any]) -> list[str]:
    """Write sections by their titles, without those that are empty."""
    return [f"## {title}\n\n{text}" for title, text in texts.items() if text]


def _shown(value: Any) -> str:
    if value is None or value in ({}, ""):
        return MISSING
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {one}" for name, one in value.items())
    return str(value).lower() if isinstance(value, bool) else str(value)
