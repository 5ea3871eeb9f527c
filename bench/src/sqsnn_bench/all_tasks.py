"""The studies side by side: neurons against tasks, from results that `sqsnn-bench compare` wrote.

python -m sqsnn_bench.all_tasks [--accuracy spikes|ties|probability]

Prints Markdown: means over seeds with 95 % intervals, per cent of the test samples.
"""

import argparse
import json
from pathlib import Path
from typing import Any

RESULTS = Path("bench/results")
ACCURACIES = {
    "spikes": "test_accuracy",
    "ties": "test_accuracy_ties_by_probability",
    "probability": "test_accuracy_probability",
}
# Heading, study and group of its file in bench/studies.
TASKS = (
    ("MNIST", "images", "mnist"),
    ("FashionMNIST", "images", "fashion-mnist"),
    ("USPS", "images", "usps"),
    ("N-MNIST subset", "events", "nmnist"),
    ("Braille", "braille", "braille"),
    ("order", "temporal", "order"),
    ("recall", "temporal", "recall"),
)


def read_rows(study: str, group: str) -> dict[str, Any]:
    """Read the rows of one group by model; empty where nothing was measured."""
    path = RESULTS / study / "results.json"
    if not path.is_file():
        return {}
    rows = json.loads(path.read_text("utf-8"))["rows"]
    return {row["model"]: row for row in rows if row["dataset"] == group and row["seeds"]}


def cell(row: Any, accuracy: str) -> str:
    """Write mean and half width of the interval, and how many seeds failed."""
    if row is None:
        return "not run"
    found = row[accuracy]
    text = f"{100 * found['mean']:.1f}"
    if found["interval"] is not None:
        half = 100 * found["interval"]
        text += f" ± {half:.1f}" if half >= 0.05 else f" ± {half:.2f}"
    return text + (f" ({row['failed']} failed)" if row["failed"] else "")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="The studies side by side.")
    parser.add_argument("--accuracy", choices=ACCURACIES, default="spikes")
    accuracy = ACCURACIES[parser.parse_args().accuracy]
    columns = {heading: read_rows(study, group) for heading, study, group in TASKS}
    labels: dict[str, str] = {}
    for rows in columns.values():
        for model, row in rows.items():
            labels.setdefault(model, row["label"])
    print("| neuron | " + " | ".join(columns) + " |")
    print("|---" + "|---:" * len(columns) + "|")
    for model, label in labels.items():
        cells = (cell(rows.get(model), accuracy) for rows in columns.values())
        print(f"| {label} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
