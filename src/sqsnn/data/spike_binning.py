"""Times of spikes into time bins: what is wrong with times, and into which bin each falls."""

import math
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from sqsnn.checks import check_positive, check_real
from sqsnn.data.spike_arrays import Times
from sqsnn.data.trust import LARGEST_VARIABLE, largest_array
from sqsnn.options import counted

Stop = float | Sequence[float] | Float[np.ndarray, " n"] | None
_EPS = float(np.finfo(np.float64).eps)
_MOST_MERGED = 0.1  # share of the spikes
# Both together: bins so many and so empty are those of times in another unit than seconds.
_MANY_BINS, _RARE = 10**7, 5e-5


class Fault(NamedTuple):
    """The first time that does not fit: whose it is, what it must be, and what it is."""

    train: int
    unit: int
    position: int
    expected: str
    found: str


def bin_times(
    trains: list[Times],
    bin_width: float,
    start: float,
    stop: Stop,
    refusal: Callable[[Fault], Exception] | None = None,
    check_size: Callable[[int], None] | None = None,
) -> tuple[tuple[UInt8[np.ndarray, "_ N"], ...], int]:
    """Bin trains, and count the spikes merged with another of their unit; warn if there are any.

    Args:
        trains: Seconds, an array per train and unit.
        bin_width: Seconds.
        start: Seconds, where every train begins.
        stop: Seconds, where it ends: one number, or one per train; None for its last spike's bin.
        refusal: Describes a time that does not fit; None for a ValueError.
        check_size: Refuses too many bins, before any is made; None to allow what one array may be.

    Raises:
        ValueError: If a time, the width, the start or the stop does not fit; if a train has neither
            spikes nor a stop; if more than 10 % of the spikes would be merged; if the bins are too
            narrow or too many; or if there are more than 10 million, with fewer than one spike in
            20,000.
    """
    bin_width, start = check_positive("bin_width", bin_width), check_real("start", start)
    stops = _stop_of_each(check_stop(stop, start), len(trains))
    fault = _time_fault(trains, start, stops)
    if fault is not None and refusal is not None:
        raise refusal(fault)
    if fault is not None:
        name = f"times[{fault.train}]" + (f"[{fault.unit}]" if len(trains[0]) > 1 else "")
        raise ValueError(f"{name}[{fault.position}] must be {fault.expected}, but is {fault.found}")
    lengths, units = _count_bins(trains, bin_width, start, stops), len(trains[0])
    if check_size is not None:
        check_size(sum(lengths) * units)
    elif sum(lengths) * units > largest_array():
        raise ValueError(
            f"bin_width is {bin_width:g} s, which makes {sum(lengths) * units:,} bins, but there "
            f"may be {largest_array():,}: choose fewer, or allow more by ${LARGEST_VARIABLE}, in GB"
        )
    spikes = tuple(np.zeros((length, units), np.uint8) for length in lengths)
    for binned, train in zip(spikes, trains, strict=True):
        for unit, times in enumerate(train):
            bins = np.floor(_positions(times, bin_width, start)).astype(np.int64)
            # Up to rounding, a last spike may lie on the edge where the recording ends.
            binned[np.minimum(bins, len(binned) - 1), unit] = 1
    merged = _count(trains) - sum(int(np.count_nonzero(train)) for train in spikes)
    if merged:
        _say_merged(trains, merged, bin_width)
    return spikes, merged


def _say_merged(trains: list[Times], merged: int, bin_width: float) -> None:
    """Warn of merged spikes, or refuse a width that merges too many."""
    total = _count(trains)
    intervals = np.sort(np.concatenate([np.diff(times) for train in trains for times in train]))
    said = (
        f"{merged} of {total} spikes are merged with another of their unit in the same bin: "
        f"bin_width is {bin_width:g} s, the shortest interval {intervals[0]:.3g} s"
    )
    if merged <= _MOST_MERGED * total:
        advice = f"choose bin_width below {intervals[0]:.3g} s"
        warnings.warn(f"{said}; {advice}", stacklevel=_level_of_user())
        return
    # Spikes further apart than a bin are not merged: at most those of the shorter intervals are.
    enough = float(intervals[int(_MOST_MERGED * total)])
    raise ValueError(
        f"{said}. At most {_MOST_MERGED:.0%} may be merged: choose bin_width {0.95 * enough:.2g} s "
        "or less"
    )


def _level_of_user() -> int:
    """The stack level of the line outside of this package that led to the caller's warning."""
    frames = traceback.walk_stack(sys._getframe(1))
    names = [frame.f_globals.get("__name__", "") for frame, _ in frames]
    return max(level for level, name in enumerate(names, 2) if name.startswith("sqsnn."))


def _count(trains: list[Times]) -> int:
    return sum(len(times) for train in trains for times in train)


def _time_fault(trains: list[Times], start: float, stops: Sequence[float | None]) -> Fault | None:
    for number, (train, stop) in enumerate(zip(trains, stops, strict=True)):
        for unit, times in enumerate(train):
            with np.errstate(invalid="ignore"):  # inf - inf, refused below
                steps = np.diff(times, prepend=-math.inf)
            for wrong, expected in (
                (~np.isfinite(times), "a finite time"),
                (times < start, f"at least the start, {start:g} s"),
                (steps < 0, "later than the time before"),
                (steps == 0, "later than the time before, which is the same"),
                (times >= (math.inf if stop is None else stop), f"before the stop, {stop} s"),
            ):
                if wrong.any():
                    first, after = int(wrong.argmax()), ""
                    if expected.endswith("before"):
                        after = (
                            f" after {times[first - 1]} s: sort the times of each train and unit"
                        )
                    return Fault(number, unit, first, expected, f"{times[first]} s{after}")
    return None


def _count_bins(
    trains: list[Times], bin_width: float, start: float, stops: Sequence[float | None]
) -> list[int]:
    """Count the bins of each train, before any is made."""
    counts = []
    for number, (train, stop) in enumerate(zip(trains, stops, strict=True)):
        ends = [times[-1:] for times in train if len(times)]
        if stop is None and not ends:
            raise ValueError(
                f"times[{number}] has no spikes, and nothing says how long the train lasts: give "
                "stop"
            )
        if stop is None:
            last = max(float(_positions(end, bin_width, start)[0]) for end in ends)
            counts.append(math.floor(last) + 1)
        else:
            counts.append(math.ceil(_positions(np.array([stop]), bin_width, start)[0]))
    spikes, units = _count(trains), len(trains[0])
    bins = sum(counts) * units
    if bins > _MANY_BINS and spikes < _RARE * bins:
        duration = sum(counts) * bin_width
        raise ValueError(
            f"bin_width is {bin_width:g} s, which makes {bins:,} bins of "
            f"{counted(spikes, 'spike')}: {duration:,.6g} s with "
            f"{spikes / units / duration:.2g} spikes per second. Are the "
            "times in another unit (time_unit of read_spike_trains, --time-unit on the command "
            "line)? If not, choose wider bins or an earlier stop"
        )
    return counts


def _positions(
    times: Float[np.ndarray, " K"], bin_width: float, start: float
) -> Float[np.ndarray, " K"]:
    """Give times in bins from the start: whole numbers where only rounding keeps them from it.

    With bins of 0.1 s, 0.3 s is 2.9999999999999996 bins in floating point. Times, start and width
    are rounded to their precision, and so are the difference and the quotient: a position that far
    from a whole number may be that number.
    """
    wide, own = times.astype(np.float64), float(np.finfo(times.dtype).eps)
    with np.errstate(over="ignore"):  # refused just below
        found = (wide - start) / bin_width
        rounding = (own * abs(wide) + 4 * _EPS * (abs(wide) + abs(start))) / bin_width
    if rounding.max(initial=0) >= 0.5:
        raise ValueError(
            f"bin_width is {bin_width:g} s, but a time of {wide[rounding.argmax()]:g} s in "
            f"{times.dtype} is known to {rounding.max() * bin_width:.1g} s only: choose wider bins"
        )
    nearest = np.rint(found)
    return np.where(abs(found - nearest) <= rounding, nearest, found)


def check_stop(stop: Stop, start: float) -> float | list[float] | None:
    """Give the stop of all trains as a float, or those of each as a list.

    Raises:
        TypeError: If a stop is no number.
        ValueError: If a stop is not finite, or not after the start.
    """
    if stop is None:
        return None
    if isinstance(stop, Sequence | np.ndarray) and np.ndim(stop):
        found = [check_real(f"stop[{number}]", one) for number, one in enumerate(stop)]
    else:
        found = check_real("stop", stop)
    for end in found if isinstance(found, list) else [found]:
        if end <= start:
            raise ValueError(f"stop must be after the start, {start:g} s, but is {end:g} s")
    return found


def _stop_of_each(stop: float | list[float] | None, trains: int) -> list[float | None]:
    """Give the stop of each train; None where its last spike ends it."""
    if not isinstance(stop, list):
        return [stop] * trains
    if len(stop) != trains:
        raise ValueError(
            f"stop must be one number, or one per train ({trains}), but holds {len(stop)}"
        )
    return [*stop]
