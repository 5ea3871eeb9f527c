"""Checks at the door: refuse a wrong argument with an error that names it.

Every message says which argument, what was expected and what came. The checks read shapes, devices
and at most one sum, so that they can stand in front of code that runs at every time step.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from numbers import Integral
from typing import get_args

import torch
from torch import Tensor

from sqsnn.errors import CompilerMissingError

# The compilers that torch.compile calls where the environment variable CXX names no other.
_COMPILERS = {"darwin": "clang++", "win32": "cl"}


def check_shape(argument: str, tensor: object, expected: Sequence[str | int]) -> None:
    """Refuse a tensor whose shape is not the expected one.

    Args:
        argument: the name of the argument, for the message.
        tensor: what the caller passed.
        expected: one entry a dimension; a number must match exactly, a name stands for any size,
            and the same name twice for the same size twice.

    Raises:
        TypeError: if `tensor` is not a tensor.
        ValueError: if the shape differs.
    """
    shape = _require_tensor(argument, tensor).shape
    if len(shape) == len(expected):
        sizes: dict[str, int] = {}
        for actual, wanted in zip(shape, expected, strict=True):
            if actual != (sizes.setdefault(wanted, actual) if isinstance(wanted, str) else wanted):
                break
        else:
            return
    raise ValueError(f"{argument} must have shape {_shown(expected)}, but has {_shown(shape)}")


def check_finite(argument: str, tensor: object) -> None:
    """Refuse a tensor that holds NaN or an infinity.

    Args:
        argument: the name of the argument, for the message.
        tensor: what the caller passed, of any shape and dtype.

    Raises:
        TypeError: if `tensor` is not a tensor.
        ValueError: if a value is not finite.
    """
    values = _require_tensor(argument, tensor).detach()
    if not (values.is_floating_point() or values.is_complex()):
        return
    # A finite sum proves all values finite and needs no mask of the tensor's size; a sum that is
    # not finite may be an overflow of finite values, so only then is every value looked at.
    if values.sum().isfinite():
        return
    wrong = ~values.isfinite()
    count = int(wrong.sum())
    if count:
        first = tuple(wrong.nonzero()[0].tolist())
        raise ValueError(
            f"{argument} must be finite, but {count} of {values.numel()} values are NaN or "
            f"infinite, the first ({values[first].item()}) at index {first}"
        )


def check_same_device(**tensors: object) -> None:
    """Refuse tensors that lie on different devices.

    Args:
        **tensors: the arguments by name; None stands for an argument left out and is skipped.

    Raises:
        TypeError: if an argument is neither a tensor nor None.
        ValueError: if two devices differ.
    """
    given = {name: value for name, value in tensors.items() if value is not None}
    devices = {name: _require_tensor(name, value).device for name, value in given.items()}
    if len(set(devices.values())) > 1:
        found = ", ".join(f"{name} on {device}" for name, device in devices.items())
        raise ValueError(f"{', '.join(devices)} must lie on one device, but are {found}")


def check_positive_int(argument: str, value: object, low: int = 1, high: int | None = None) -> None:
    """Refuse a value that is not an integer from `low` to `high`.

    Args:
        argument: the name of the argument, for the message.
        value: what the caller passed; NumPy integers count, booleans do not.
        low: the smallest value allowed.
        high: the largest value allowed; None for no upper limit.

    Raises:
        TypeError: if `value` is not an integer.
        ValueError: if it is out of range.
    """
    wanted = f"an integer of at least {low}" if high is None else f"an integer in {low}..{high}"
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{argument} must be {wanted}, but is {value!r}")
    if not low <= int(value) <= (int(value) if high is None else high):
        raise ValueError(f"{argument} must be {wanted}, but is {value}")


def check_choice(argument: str, value: object, choices: object) -> None:
    """Refuse a value that is not one of a Literal's choices.

    Args:
        argument: the name of the argument, for the message.
        value: what the caller passed.
        choices: the Literal.

    Raises:
        ValueError: if it is another one.
    """
    allowed = get_args(choices)
    if value not in allowed:
        raise ValueError(f"{argument} is {value!r}; it may be one of {', '.join(allowed)}")


def require_compiler() -> None:
    """Refuse a machine on which torch.compile finds no C++ compiler.

    Raises:
        CompilerMissingError: if the compiler that CXX names, else the usual one, is absent.
    """
    compiler = os.environ.get("CXX", _COMPILERS.get(sys.platform, "g++"))
    if shutil.which(compiler) is None:
        raise CompilerMissingError(
            f"compile needs a C++ compiler, but there is no {compiler!r} on this machine; install "
            "one, name it in the environment variable CXX, or leave compile off"
        )


def _require_tensor(argument: str, value: object) -> Tensor:
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{argument} must be a torch.Tensor, but is a {type(value).__name__}")
    return value


def _shown(shape: Sequence[str | int]) -> str:
    # As Python prints a tuple, but without quotes round the names of free sizes.
    inner = ", ".join(map(str, shape))
    return f"({inner},)" if len(shape) == 1 else f"({inner})"
