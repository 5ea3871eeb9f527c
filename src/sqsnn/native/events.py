"""Products of spikes that are mostly 0 with dense matrices, through the kernel of `events.cpp`."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int32, Int64
from torch import Tensor

from sqsnn.native import library
from sqsnn.native.threads import run_tasks

_ALONE = 2_000_000  # multiply-adds below which one thread is faster


class Events(NamedTuple):
    """What is not 0 in a matrix, row by row, and in a row from the first column to the last."""

    starts: Int64[Tensor, "rows_and_1"]  # of each row among the events
    index: Int32[Tensor, "events"]  # columns
    values: Float[Tensor, "events"]


def find(x: Float[Tensor, "rows columns"]) -> Events:
    """List the events of a matrix; NaN is one."""
    x, (rows, columns) = _plain(x), x.shape
    call, is_double = library.load().sqsnn_find_events, x.dtype == torch.float64
    starts = torch.empty(rows + 1, dtype=torch.int64, device="cpu")
    call(x.data_ptr(), rows, columns, starts.data_ptr(), None, None, is_double)
    found = Events(starts, *_room(x, int(starts[-1])))
    call(x.data_ptr(), rows, columns, *_addresses(found), is_double)
    return found


def by_column(events: Events, columns: int) -> Events:
    """List the events column by column, and in a column from the first row to the last."""
    rows, is_double = len(events.starts) - 1, events.values.dtype == torch.float64
    starts = torch.empty(columns + 1, dtype=torch.int64, device="cpu")
    turned = Events(starts, *_room(events.values, len(events.index)))
    _check(
        library.load().sqsnn_turn_events(
            rows, columns, *_addresses(events), *_addresses(turned), is_double
        )
    )
    return turned


def currents(events: Events, weight: Float[Tensor, "H P"], out: Float[Tensor, "rows H"]) -> None:
    """Write the product of the events and the transposed weights, summed in the order of P."""
    _multiply(events, _plain(weight), out, backward=False)


def weight_gradient(
    by_source: Events, gradient: Float[Tensor, "rows H"], out: Float[Tensor, "H P"]
) -> None:
    """Write the product of the transposed gradient and the events, summed in the order of rows.

    Args:
        by_source: The events column by column.
        gradient: By the currents.
        out: What is written.
    """
    _multiply(by_source, _plain(gradient), out, backward=True)


def _multiply(events: Events, dense: Tensor, out: Tensor, *, backward: bool) -> None:
    kernel, is_double = library.load(), dense.dtype == torch.float64
    lists = len(events.starts) - 1
    rows, columns = dense.shape if backward else dense.shape[::-1]
    tasks = kernel.sqsnn_event_tasks(lists, columns, is_double)

    def some(first: int, last: int) -> int:
        return kernel.sqsnn_sum_events(
            *_addresses(events),
            lists,
            rows,
            columns,
            dense.data_ptr(),
            out.data_ptr(),
            first,
            last,
            backward,
            is_double,
        )

    work = (len(events.index) + rows) * columns
    _check(run_tasks(some, tasks, alone=work < _ALONE))


def _plain(x: Tensor) -> Tensor:
    """Lay a matrix out as the kernel reads it; a view may be negated in name alone."""
    return x.resolve_neg().contiguous()


def _room(like: Tensor, events: int) -> tuple[Tensor, Tensor]:
    dtypes = torch.int32, like.dtype
    columns, values = (torch.empty(events, dtype=dtype, device="cpu") for dtype in dtypes)
    return columns, values


def _addresses(events: Events) -> list[int]:
    return [part.data_ptr() for part in events]


def _check(failed: int) -> None:
    if failed:
        raise MemoryError("the kernel found no memory for the events of the synapses")
