"""The comparison of models that classify series, as Markdown tables."""

from typing import Any

from sqsnn_bench.series.problems import PROBLEMS

_TITLES = {
    "accuracy": "By spikes alone, beside models that are no networks.",
    "probability": "By summed firing probabilities.",
}


def tables(content: dict[str, Any]) -> str:
    """Write mean and standard deviation over seeds in per cent, a table for each way to read."""
    return "\n".join(f"{title}\n\n{_table(content, read)}" for read, title in _TITLES.items())


def _table(content: dict[str, Any], read: str) -> str:
    figures = [content["problems"][problem.name] for problem in PROBLEMS]
    rows = {
        name: [_spread(found["models"][name][read]) for found in figures]
        for name in figures[0]["models"]
    }
    if read == "accuracy":
        convolutions = f"ridge on {content['kernels']:,} random convolutions"
        rows["ridge on all values, flattened"] = [_percent(found["ridge"]) for found in figures]
        rows[convolutions] = [_spread(found["rocket"]) for found in figures]
        rows["chance"] = [_percent(found["chance"]) for found in figures]
    titles = [problem.name for problem in PROBLEMS]
    lines = [f"| {' | '.join(['model', *titles])} |", f"|---|{'---:|' * len(titles)}"]
    lines += [f"| {' | '.join([name, *cells])} |" for name, cells in rows.items()]
    return "\n".join(lines) + "\n"


def _spread(figure: dict[str, Any]) -> str:
    return f"{100 * figure['mean']:.1f} ± {100 * figure['deviation']:.1f}"


def _percent(figure: float) -> str:
    return f"{100 * figure:.1f}"
