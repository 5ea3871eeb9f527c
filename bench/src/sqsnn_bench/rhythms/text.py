"""The comparison on rhythms as Markdown tables."""

from typing import Any

from sqsnn_bench.rhythms.task import PERIODS


def tables(content: dict[str, Any]) -> str:
    """Write all tables: networks, fixed layers, averaged counts, and tuning curves."""
    ideal, parameters = _per_cent(content["ideal_observer"]), content["parameters"]
    parts = {
        f"Trained networks of about {parameters} parameters: per cent of fresh samples, by spikes "
        f"alone. The ideal observer names {ideal}.": trained(content),
        f"Untrained layers of {content['neurons']} neurons, and a linear readout of their spike "
        "counts.": fixed(content),
        "Untrained resonators, counts averaged over several runs of a sample.": averaged(content),
        "Spikes per sample of untrained neurons, against the period.": tuning(content),
    }
    return "\n".join(f"{title}\n\n{table}" for title, table in parts.items())


def trained(content: dict[str, Any]) -> str:
    """Write the networks that were trained."""
    lines = [
        "| hidden layer | neurons | accuracy | validation | spikes per neuron | start, learning "
        "rate |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for name, row in content["trained"].items():
        lines.append(
            f"| {name} | {row['hidden']} | {_spread(row['accuracy'])} "
            f"| {_per_cent(row['validation'])} | {row['hidden_spikes']:.1f} "
            f"| {_start(row['start'])}, {row['learning_rate']:g} |"
        )
    return "\n".join(lines) + "\n"


def fixed(content: dict[str, Any]) -> str:
    """Write the layers that were not trained."""
    lines = ["| layer | accuracy | start |", "|---|---:|---|"]
    for name, row in content["fixed"].items():
        lines.append(f"| {name} | {_spread(row)} | {_start(row['start'])} |")
    return "\n".join(lines) + "\n"


def averaged(content: dict[str, Any]) -> str:
    """Write what averaging over runs wins."""
    rows = content["averaged"]
    runs = list(next(iter(rows.values())))
    lines = [f"| neurons | {' | '.join(f'{n} runs' for n in runs)} |"]
    lines[0] = lines[0].replace("| 1 runs |", "| 1 run |")
    lines.append(f"|---:|{'---:|' * len(runs)}")
    for neurons, row in rows.items():
        lines.append(f"| {neurons} | {' | '.join(_per_cent(row[n]) for n in runs)} |")
    return "\n".join(lines) + "\n"


def tuning(content: dict[str, Any]) -> str:
    """Write tuning curves: spikes of a resonator at its own period and at others, and their worth.

    For a leaky neuron, the smallest and the largest number of spikes stand in their place.
    """
    lines = [
        "| neuron | at its own period | at the others | bits per spike | bits per sample | "
        "coherence kept per step |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, row in content["tuning"].items():
        curve, kept = row["spikes"], row.get("coherence_kept_per_step")
        own = [line[place] for place, line in enumerate(curve)] if kept is not None else curve[0]
        shown = (
            f"{sum(own) / len(own):.2f} | {sum(own) / len(own) / row['contrast']:.2f}"
            if kept is not None
            else f"{max(own):.2f} (largest) | {min(own):.2f} (smallest)"
        )
        lines.append(
            f"| {name} | {shown} | {row['bits_per_spike']:.3f} | {row['bits_per_sample']:.3f} "
            f"| {'' if kept is None else f'{kept:.3f}'} |"
        )
    periods = ", ".join(map(str, PERIODS))
    return "\n".join(lines) + f"\n\nPeriods: {periods} steps.\n"


def _spread(row: dict[str, Any]) -> str:
    return f"{_per_cent(row['mean'])} ± {100 * row['deviation']:.1f}"


def _per_cent(share: float) -> str:
    return f"{100 * share:.1f}"


def _start(start: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in start.items())
