"""The comparison of reservoirs as Markdown tables."""

from typing import Any

from sqsnn_bench.reservoir.tasks import TASKS

_TITLES = {
    "spikes": "The readout sees the spikes of one step: all memory is that of the reservoir.",
    "traces": "The readout sees traces of the spikes, decay 0.8 per step.",
}


def tables(content: dict[str, Any]) -> str:
    """Write mean and standard deviation over seeds, a table for each readout."""
    return "\n".join(f"{title}\n\n{_table(content, read)}" for read, title in _TITLES.items())


def _table(content: dict[str, Any], read: str) -> str:
    figures = content["tasks"]
    names = list(figures[TASKS[0].name])
    tasks = [task for task in TASKS if read in figures[task.name][names[0]]]
    lines = [
        f"| {' | '.join(['reservoir', *(task.text for task in tasks)])} |",
        f"|---|{'---:|' * len(tasks)}",
    ]
    for name in names:
        rows = [figures[task.name][name][read] for task in tasks]
        cells = [f"{row['mean']:.3f} ± {row['deviation']:.3f}" for row in rows]
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(lines) + "\n"
