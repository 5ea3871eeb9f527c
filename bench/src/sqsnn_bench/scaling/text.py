"""The figures of scaling as Markdown tables."""

import json
from pathlib import Path
from typing import Any

from sqsnn_bench.scaling.growth import size_of
from sqsnn_bench.shapes.text import table

UNITS = {
    "batch": "batch",
    "hidden": "hidden neurons",
    "time_steps": "T",
    "register": "2^(N + M), as N+M",
}


def tables(path: Path) -> str:
    """Write the tables of each section that a file of figures has, one after the other."""
    written = {
        "parity": _parity,
        "processes": _processes,
        "growth": _growth,
        "calculated": _calculated,
    }
    content = json.loads(path.read_text("utf-8"))
    return "\n".join(written[name](content[name]) for name in written if name in content)


def _parity(found: dict[str, Any]) -> str:
    rows = []
    for name, counts in found["trainings"].items():
        for count, row in counts.items():
            shares = row["divergences"]
            first = next((str(n) for n, share in enumerate(shares, start=1) if share), "none")
            gradients = row.get("gradients")
            told = "" if gradients is None else f"{gradients[0]:.0e}, {max(gradients):.0e}"
            figures = (f"{row['weights']:.0e}", f"{row['metrics']:.0e}", first)
            rows.append([name, count, *figures, f"{1e6 * shares[-1]:.1f}", told])
    titles = ("training", "processes", "weights", "figures", "first step with another spike")
    return table((*titles, "other spikes per million, last step", "gradients, given spikes"), rows)


def _processes(found: dict[str, Any]) -> str:
    rows = []
    for network in found["networks"]:
        name = f"{'-'.join(map(str, network['sizes']))}, batch {network['batch']}"
        for team, row in network["teams"].items():
            training, evaluation = row["training"], row["evaluation"]
            figures = [f"{row['samples_per_second']:,.0f}"]
            figures += [f"{1e3 * training['seconds']['median']:.1f}", _range(training)]
            figures += [_range(evaluation), f"{1e3 * row['processor_seconds']:.1f}"]
            exchange = row["exchange_seconds"]
            shares = team == "2 processes"
            rows.append([name, team, *figures, f"{1e3 * exchange:.1f}" if shares else ""])
    titles = ("network", "who trains", "samples/s", "ms per step", "efficiency")
    last = ("efficiency of evaluation", "processor ms per step", "exchange alone, ms")
    return table((*titles, *last), rows)


def _growth(found: dict[str, Any]) -> str:
    parts = []
    for variable, shapes in found["variables"].items():
        points = [
            found["points"][", ".join(f"{k} {v}" for k, v in shape.items())] for shape in shapes
        ]
        laws = found["calculated_laws"][variable]
        names = [_size(variable, shape) for shape in shapes]
        rows = []
        for measure, unit in (("milliseconds", "ms"), ("megabytes", "MB")):
            law = laws[measure]
            told = f"{law['constant']:.3g} + {law['slope']:.3g} x ({law['largest_miss']:.0%})"
            values = [f"{point[measure]:.0f}" for point in points]
            rows.append([f"{unit} per step" if unit == "ms" else unit, *values, told])
        parts.append(table((UNITS[variable], *names, "calculated law"), rows))
    return "\n".join(parts)


def _calculated(found: dict[str, Any]) -> str:
    rows, counts = [], list(found["simulators"][0]["10 Gbit/s"]["processes"])
    for network in found["simulators"]:
        name = f"{'-'.join(map(str, network['sizes']))}, batch {network['batch']}"
        for link in ("10 Gbit/s", "100 Gbit/s"):
            reached = network[link]["processes"].values()
            cells = [f"{r['samples_per_second']:,.0f} ({r['efficiency']:.2f})" for r in reached]
            rows.append([name, link, *cells, f"{network[link]['half']:.0f}"])
    simulators = table(("calculated", "link", *counts, "half at"), rows)
    rows = []
    for row in found["devices"]:
        shots = (row["shots_of_an_inference"], row["shots_of_a_training_sample"])
        shots += (row["shots_of_a_step"],)
        cells = [f"{count:,}" for count in shots]
        cells.insert(1, f"{row['seconds_of_an_inference']:.3f}")
        seconds = f"{row['seconds_of_a_step']:,.0f}"
        rows.append(["-".join(map(str, row["sizes"])), *cells, row["jobs_of_a_step"], seconds])
    titles = ("calculated", "shots of an inference", "device s", "shots of scores per sample")
    devices = table((*titles, "shots per step", "jobs per step", "device s per step"), rows)
    return f"{simulators}\n{devices}"


def _size(variable: str, shape: dict[str, int]) -> str:
    size = str(size_of(variable, shape))
    return f"{size}, {shape['channels']}+{shape['memory']}" if variable == "register" else size


def _range(row: dict[str, Any]) -> str:
    found = row["efficiency"]
    return f"{found['ratio']:.2f} ({found['low']:.2f} to {found['high']:.2f})"
