"""The table of limits: how near memories of all sizes come to each renewal process."""

from collections.abc import Callable
from typing import Any

import torch

from sqsnn_bench.shapes.kept import Kept
from sqsnn_bench.spikes import limits
from sqsnn_bench.spikes.processes import RENEWALS, Renewal

Find = Callable[[Renewal, int, torch.Generator], limits.Limit]

COLUMNS: dict[str, tuple[Find, int]] = {
    **{f"{d} states": (limits.classical, d) for d in (2, 3, 4, 5, 6, 8, 12)},
    "1 qubit": (limits.quantum, 2),
    "3 levels": (limits.quantum, 3),
    "2 qubits": (limits.quantum, 4),
}


def measure_all(kept: Kept, seed: int, watch: Callable[[str], None]) -> None:
    """Find the limits that are not there yet.

    Args:
        kept: The section of the file of figures.
        seed: Of the random starts of each limit.
        watch: Called after each limit.
    """
    for process in RENEWALS:
        for name, (find, size) in COLUMNS.items():

            def measure(
                process: Renewal = process, find: Find = find, size: int = size
            ) -> dict[str, float | int]:
                found = find(process, size, torch.Generator().manual_seed(seed))
                return {"millinats": round(found.millinats, 4), "agreeing": found.agreeing}

            figures = kept.once(process.name, name, measure)
            watch(f"{process.name}, {name}: {figures['millinats']:.2f} millinats per step")


def table(found: dict[str, Any]) -> str:
    """Write the distances in millinats per step as a Markdown table."""
    lines = [f"| intervals | {' | '.join(COLUMNS)} |", f"|---|{'---:|' * len(COLUMNS)}"]
    for process in RENEWALS:
        cells = [_shown(found[process.name][name]["millinats"]) for name in COLUMNS]
        lines.append(f"| {' | '.join([process.name, *cells])} |")
    return "\n".join(lines) + "\n"


def _shown(millinats: float) -> str:
    return f"{abs(millinats):.{0 if millinats >= 100 else 1 if millinats >= 1 else 2}f}"
