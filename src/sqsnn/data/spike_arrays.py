"""What users give for spike trains, brought into one form: bins of 0 and 1, or times per unit."""

from typing import Any

import numpy as np
from jaxtyping import Real, UInt8

Times = list[Real[np.ndarray, " _"]]  # of each unit of a train


def binary_trains(argument: str, trains: Any) -> tuple[UInt8[np.ndarray, "_ N"], ...]:
    """Copy trains of 0 and 1 to (T_i, N) each.

    Args:
        argument: The name of the trains in errors.
        trains: An array (n, T) or (n, T, N), or a list of arrays (T_i,) or (T_i, N).

    Raises:
        TypeError: If they are not numbers.
        ValueError: If a value is neither 0 nor 1, or a shape does not fit.
    """
    if not isinstance(trains, list | tuple):
        trains = _array(argument, trains)
        if trains.ndim not in (2, 3):
            hint = f"; one train is [{argument}]" if trains.ndim == 1 else ""
            raise ValueError(
                f"{argument} must have the shape (n, T) or (n, T, N), or be a list of trains, but "
                f"has {trains.shape}{hint}"
            )
    found = tuple(_binary(f"{argument}[{number}]", train) for number, train in enumerate(trains))
    _check_units(argument, [train.shape[1] for train in found])
    return found


def unit_times(argument: str, times: Any) -> list[Times]:
    """Bring the times of spikes into one array per train and unit.

    Args:
        argument: The name of the times in errors.
        times: A list of trains, each an array or a list of one array per unit; or one array.

    Raises:
        TypeError: If they are not numbers.
        ValueError: If there is no train, or their units differ.
    """
    if not _is_nested(times):
        return [[_times(argument, times)]]
    trains = []
    for number, train in enumerate(times):
        name = f"{argument}[{number}]"
        named = [(name, train)]
        if _is_nested(train) and train:
            named = [(f"{name}[{unit}]", values) for unit, values in enumerate(train)]
        trains.append([_times(*unit) for unit in named])
    _check_units(argument, list(map(len, trains)))
    return trains


def _is_nested(values: Any) -> bool:
    """Whether a list holds lists or arrays rather than numbers; an empty one might."""
    return isinstance(values, list | tuple) and not any(
        np.isscalar(value) or getattr(value, "ndim", 1) == 0 for value in values
    )


def _array(name: str, values: Any) -> np.ndarray:
    """Copy nothing: numpy's view of an array, a tensor or a list of numbers."""
    try:
        if hasattr(values, "detach"):
            values = values.detach().cpu()
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise TypeError(f"{name} must be an array of numbers, but: {error}") from error
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be an array of numbers, but holds {array.dtype}")
    return array


def _binary(name: str, values: Any) -> UInt8[np.ndarray, "T N"]:
    array = _array(name, values)
    if array.ndim not in (1, 2) or 0 in array.shape:
        raise ValueError(
            f"{name} must have the shape (T,) or (T, N) and at least one bin, but has {array.shape}"
        )
    # Of long trains the masks below would take several times the memory of the bins.
    if array.dtype.kind not in ("b", "u") or array.max() > 1:
        wrong = (array != 0) & (array != 1)
        if wrong.any():
            place = tuple(np.argwhere(wrong)[0].tolist())
            where = f"bin {place[0]}" + (f", unit {place[1]}" if len(place) == 2 else "")
            raise ValueError(f"{name} must hold 0 and 1 only, but holds {array[place]} at {where}")
    return array.astype(np.uint8).reshape(len(array), -1)


def _times(name: str, values: Any) -> Real[np.ndarray, " _"]:
    array = _array(name, values)
    if array.ndim != 1 or array.dtype.kind == "b":
        raise ValueError(
            f"{name} must be an array (K,) of times in seconds, but holds {array.dtype} of shape "
            f"{array.shape}"
        )
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def _check_units(argument: str, units: list[int]) -> None:
    if not units:
        raise ValueError(f"{argument} must hold at least one train, but is empty")
    for number, count in enumerate(units):
        if count != units[0]:
            raise ValueError(
                f"{argument}[{number}] has {count} units, but {argument}[0] has {units[0]}: units "
                "recorded together are in every train"
            )
