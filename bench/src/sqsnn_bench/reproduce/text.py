"""The claims of the paper as a page in Markdown: paper, their code, ours."""

from collections.abc import Sequence
from typing import Any

from sqsnn_bench.reproduce.claims import NOT_READ
from sqsnn_bench.study.headline import ACCURACY
from sqsnn_bench.study.page import shown

_HEAD = f"""# The claims of arXiv:2506.21324

Test accuracy in per cent by spikes alone, mean and half width of the 95 % Student-t interval over
seeds. The test part is read once per training. "{NOT_READ}" is a figure that could not be read; no
figure here is guessed. *Their code* is the authors' repository, github.com/kclip/SQSNN: it prints
accuracies and states none ("no figure"). "Their rule" is its local rule, written anew and run here;
of equal counts it names the first class, where ours shares ties evenly.

    sqsnn-bench reproduce           # all whose data are there; or by name
"""


def page(rows: Sequence[dict[str, Any]]) -> str:
    """Write the page."""
    lines = ["| | paper | their code | ours |", "|---|---|---|---|"]
    lines += [f"| {row['name']} | {row['paper']} | {_theirs(row)} | {_ours(row)} |" for row in rows]
    return "\n".join([_HEAD, *lines, ""]) + "".join(map(_section, rows))


def _theirs(row: dict[str, Any]) -> str:
    ran = row["authors_rule"]
    if ran is None:
        return row["their_code"]
    return f"{row['their_code']}; their rule: {shown(ran['test_accuracy'], ACCURACY)}"


def _ours(row: dict[str, Any]) -> str:
    return row["state"] or _reached(row["ours"])


def _reached(row: dict[str, Any] | None) -> str:
    return "not run" if row is None else shown(row["test_accuracy"], ACCURACY)


def _section(row: dict[str, Any]) -> str:
    text = [f"\n## {row['name']}\n", f"{row['claim']}.\n", f"What differs: {row['differs']}.\n"]
    found = [each for each in (row["ours"], *row["others"]) if each is not None]
    if found:
        text += ["| model | parameters | seeds | test accuracy |", "|---|---:|---:|---:|"]
        text += [
            f"| {each['label']} | {each['parameters']:,} | {len(each['seeds'])} "
            f"| {_reached(each)} |"
            for each in found
        ]
    ran = row["authors_rule"]
    if ran is not None:
        values = ", ".join(f"{100 * value:.1f}" for value in ran["test_accuracy"]["values"])
        text.append(f"\nTheir rule, seeds {', '.join(map(str, ran['seeds']))}: {values}.")
    return "\n".join(text) + "\n"
