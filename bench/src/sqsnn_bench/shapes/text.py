"""The figures of networks of any shape, as Markdown tables."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqsnn_bench.shapes import nmnist, parity
from sqsnn_bench.shapes.trials import paired, spread, tested


def tables(path: Path) -> str:
    """Write the tables of each section that a file of figures has, one after the other."""
    written = {"parity": _parity, "nmnist": _nmnist, "memory": _memory, "speed": _speed}
    content = json.loads(path.read_text("utf-8"))
    return "\n".join(written[name](content[name]) for name in written if name in content)


def _parity(found: dict[str, Any]) -> str:
    rows = []
    for model in parity.MODELS:
        runs = tested(found[model.name])
        every, last = (_all(runs, f"accuracy_{which}") for which in ("all_steps", "last_step"))
        cpu = sum(_all(runs, "cpu_seconds")) / len(runs)
        rows.append([model.name, runs[0]["parameters"], spread(every), spread(last), f"{cpu:.0f}"])
    lines = [table(("model", "parameters", "all steps, %", "last step, %", "CPU s"), rows)]
    for neurons in ("SQS, M=0", "SQS, M=1", "LIF"):
        one, other = (
            _all(tested(found[f"{neurons}, {kind}, backprop"]), "accuracy_last_step")
            for kind in ("recurrent", "feed-forward")
        )
        gain = paired(one, other)
        lines.append(
            f"- {neurons}: recurrent minus feed-forward, last step, by pairs "
            f"{100 * gain['mean']:+.1f} ± {100 * gain['deviation']:.1f} points\n"
        )
    return "\n".join(lines)


def _nmnist(found: dict[str, Any]) -> str:
    rows = []
    for model in nmnist.MODELS:
        runs = tested(found[model.name])
        spikes = sum(sum(run["spikes_per_sample"]) for run in runs) / len(runs)
        cpu = max(_all(runs, "cpu_seconds"))
        figures = [spread(_all(runs, name)) for name in ("accuracy", "accuracy_by_probability")]
        rows.append([model.name, runs[0]["parameters"], *figures, f"{spikes:.0f}", f"{cpu:.0f}"])
    titles = ("model", "parameters", "spikes alone, %", "by probability, %")
    return table((*titles, "spikes per sample", "CPU s, at most"), rows)


def _memory(found: dict[str, Any]) -> str:
    batches = sorted(found["batches"].items(), key=lambda item: int(item[0]))
    rows = [[b, f"{row['peak_gb']:.2f}", f"{row['cpu_seconds']:.1f}"] for b, row in batches]
    return table(("batch", "peak, GB", "CPU s per step"), rows)


def _speed(found: dict[str, Any]) -> str:
    rows = []
    for row in found["versions"]:
        name = f"{'-'.join(map(str, row['sizes']))}, batch {row['batch']}, {row['work']}"
        times = [f"{row[f'{version}_ms']:.1f}" for version in ("old", "new")]
        rows.append([name, *times, _range(row), _range(row["same_version"])])
    versions = table(("work", "ms before", "ms now", "ratio", "same version twice"), rows)
    cycles = [
        [name, f"{row['layer_ms']:.1f}", f"{row['cycle_ms']:.1f}", _range(row)]
        for name, row in found["cycles"].items()
    ]
    return f"{versions}\n{table(('network', 'ms, layer', 'ms, cycle', 'ratio'), cycles)}"


def _range(row: dict[str, float]) -> str:
    return f"{row['ratio']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def _all(runs: list[dict[str, Any]], name: str) -> list[float]:
    return [run[name] for run in runs]


def table(titles: tuple[str, ...], rows: Iterable[list[Any]]) -> str:
    """Write a table in Markdown."""
    lines = [f"| {' | '.join(titles)} |", f"|---|{'---:|' * (len(titles) - 1)}"]
    lines += [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join(lines) + "\n"
