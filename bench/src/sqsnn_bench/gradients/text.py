"""The tables of a gradient diagnosis, as the command line shows them."""

from collections.abc import Iterable, Iterator
from dataclasses import astuple

from rich import box
from rich.table import Table
from rich.text import Text

from sqsnn_bench.gradients.diagnosis import Diagnosis, Estimate

_KEY = ("estimator", "W", "R/K")

READING = """\
The window: its bias stays at infinitely many shots (first table). A longer window reduces it, but \
brings more events that the trials do not catch (second row of each window).
The shots: noise, which separates a single draw from the mean of many and falls with the shots. A \
step of training uses a single draw. A bias hardly above its noise may be noise."""
LIKELIHOOD = """\
With --signal likelihood the exact gradient is 0 on average over spikes and shrinks as the batch \
grows, which the bias of a window does not: compare with --signal signs."""


def tables(found: Diagnosis) -> Iterator[Table]:
    """Lay out a diagnosis: the windows, the estimators, and the estimators by kind of parameter.

    Args:
        found: What `diagnose` returned.
    """
    yield _windows(found)
    yield _estimators(found)
    yield _by_kind(found)


def _windows(found: Diagnosis) -> Table:
    table = _table(
        "The window alone, at infinitely many shots: cosine",
        *("W", "trials", "impos-\nsible", *_headings(found.norm), "bias,\nall"),
    )
    for limit in found.limits:
        table.add_row(
            str(limit.window),
            "no limit" if limit.max_trials is None else str(limit.max_trials),
            f"{limit.impossible:.1%}",
            *map(_number, limit.cosine.values()),
            _number(limit.bias["all"]),
        )
    return table


def _estimators(found: Diagnosis) -> Table:
    table = _table(
        f"Estimators, all parameters: {found.draws} draws, {found.neuron_steps} steps of neurons",
        *_KEY,
        *("shots\nper step", "cir-\ncuits", "given\nup"),
        *("cosine\nmean", "bias\nmean", "its\nnoise", "vari-\nance", "cosine\ndraw"),
    )
    for one in found.estimates:
        table.add_row(
            *_key(one),
            f"{one.shots_per_step:,.0f}",
            f"{one.circuits_per_step:.1f}",
            "" if one.given_up is None else f"{one.given_up:.1%}",
            *map(_number, astuple(one.quality["all"])),
        )
    return table


def _by_kind(found: Diagnosis) -> Table:
    kinds = [kind for kind in found.norm if kind != "all"]
    table = _table("By kind of parameter: cosine of the mean / of a draw", *_KEY, *_headings(kinds))
    for one in found.estimates:
        chosen = [one.quality[kind] for kind in kinds]
        table.add_row(
            *_key(one), *(f"{_number(q.cosine)} / {_number(q.draw_cosine)}" for q in chosen)
        )
    return table


def _headings(kinds: Iterable[str]) -> Iterator[str]:
    yield from (kind.replace(" ", "\n") for kind in kinds)


def _table(title: str, *headings: str) -> Table:
    # Narrow enough for 80 columns.
    table = Table(
        title=Text(title),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for heading in headings:
        justify = "left" if heading == "estimator" else "right"
        table.add_column(heading, justify=justify, no_wrap=True)
    return table


def _key(one: Estimate) -> tuple[str, str, str]:
    return one.name, str(one.window), str(one.size)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
