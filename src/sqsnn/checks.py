"""Checks at the door: refuse a wrong argument with an error that names it.

Every message names the argument, what it must be and what it is. Checks of values take one pass and
one or two figures, which are judged with all others of a call (`readback.py`).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from importlib import import_module
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin

import torch
from torch import Tensor

from sqsnn.options import as_text
from sqsnn.readback import ask

Shape = tuple[int, ...]  # of a population: (H,), (maps, length) or (maps, height, width)


def check_shape(argument: str, tensor: object, expected: Sequence[str | int]) -> None:
    """Refuse a tensor whose shape is not the expected one: sizes, or names that stand for any size.

    The same name twice stands for the same size twice.
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
    """Refuse a tensor that holds NaN or an infinity."""
    values = _require_tensor(argument, tensor).detach()
    if not (values.is_floating_point() or values.is_complex()):
        return
    # A finite sum proves all values finite and needs no mask of the tensor's size; a sum that is
    # not finite may be an overflow of finite values, so only then every value is tested.
    total = values.sum().resolve_conj()
    ask(
        torch.view_as_real(total) if total.is_complex() else total,
        lambda sums: None if all(map(math.isfinite, sums)) else _refuse_infinite(argument, values),
    )


def check_magnitude(argument: str, tensor: Tensor, largest: float) -> None:
    """Refuse a tensor that holds NaN, an infinity or a number beyond +-`largest`."""
    check_magnitudes({argument: tensor}, largest)


def check_magnitudes(tensors: Mapping[str, Tensor], largest: float) -> None:
    """Refuse, by its name, any tensor with such values; all are read at once."""
    values = {name: tensor.detach() for name, tensor in tensors.items() if tensor.numel()}
    if not values:
        return

    def judge(bounds: Sequence[float]) -> None:
        # aminmax passes NaN on, and no comparison with NaN holds: one test refuses all faults.
        if -largest <= bounds[0] and bounds[1] <= largest:
            return
        for name, tensor in values.items():
            _refuse_infinite(name, tensor)
            low, high = (float(bound) for bound in torch.aminmax(tensor))
            if low < -largest or high > largest:
                raise ValueError(
                    f"{name} holds {high if high > largest else low:g}; its values must be between "
                    f"-{largest:g} and {largest:g}"
                )

    together = [*values.values()] if len(values) == 1 else [v.flatten() for v in values.values()]
    whole = together[0] if len(together) == 1 else torch.cat(together)
    ask(torch.stack(torch.aminmax(whole)), judge)


def check_unit_interval(argument: str, tensor: Tensor, *, below_one: bool = False) -> None:
    """Refuse a tensor with values outside [0, 1], or [0, 1)."""
    if tensor.numel() == 0:
        return
    values = tensor.detach()

    def judge(bounds: Sequence[float]) -> None:
        low, high = bounds
        # aminmax passes NaN on, and no comparison with NaN holds: one test refuses all faults.
        if low >= 0 and (high < 1 if below_one else high <= 1):
            return
        if math.isnan(low):
            found = f"{int(values.isnan().sum())} of {values.numel()} are NaN"
        else:
            found = f"they run from {low:g} to {high:g}"
        raise ValueError(f"{argument} must lie in [0, 1{')' if below_one else ']'}, but {found}")

    ask(torch.stack(torch.aminmax(values)), judge)


def check_none(wrong: Tensor, refusal: Callable[[], str]) -> None:
    """Refuse, with a message that is made only then, if any element of a mask is true."""

    def judge(counts: Sequence[float]) -> None:
        if counts[0]:
            raise ValueError(refusal())

    ask(wrong.sum(dtype=torch.float64), judge)


def check_no_transform(what: str) -> None:
    """Refuse to run under vmap, grad or another transform of torch.func."""
    if torch._C._functorch.peek_interpreter_stack() is not None:  # pyright: ignore[reportAttributeAccessIssue]
        raise RuntimeError(
            f"{what} cannot run under torch.func (vmap, grad, jvp, ...): put what vmap would map "
            "over into the batch, and differentiate by backward() or torch.autograd.grad"
        )


def check_same_device(**tensors: object) -> None:
    """Refuse tensors that lie on different devices; None stands for an argument left out."""
    given = {name: value for name, value in tensors.items() if value is not None}
    devices = {name: _require_tensor(name, value).device for name, value in given.items()}
    if len(set(devices.values())) > 1:
        found = ", ".join(f"{name} on {device}" for name, device in devices.items())
        raise ValueError(f"{', '.join(devices)} must lie on one device, but are {found}")


def check_positive_int(argument: str, value: object, low: int = 1, high: int | None = None) -> None:
    """Refuse a value that is not an integer from `low` to `high`; booleans do not count."""
    wanted = f"an integer of at least {low}" if high is None else f"an integer in {low}..{high}"
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{argument} must be {wanted}, but is {as_text(value)}")
    if not low <= int(value) <= (int(value) if high is None else high):
        raise ValueError(f"{argument} must be {wanted}, but is {as_text(value)}")


def differentiable_once(backward: Callable[..., tuple[Tensor | None, ...]]) -> Callable[..., Any]:
    """Refuse to differentiate a hand-written backward pass again (a decorator).

    torch's own of this kind lets second derivatives pass as 0 where the gradient that comes in is
    a constant, as that of a sum is.
    """

    @wraps(backward)
    def run(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "the gradients of these neurons or synapses are computed by hand and cannot be "
                "differentiated a second time; leave out create_graph=True"
            )
        return backward(ctx, *gradients)

    return run


def checked_shape(argument: str, size: object) -> Shape:
    """Give the shape that a size stands for: a number of neurons, or the sides of their grid."""
    if not isinstance(size, Sequence) or isinstance(size, str):
        check_positive_int(argument, size)
        return (int(cast("int", size)),)
    if not size:
        raise ValueError(
            f"{argument} is empty; it may be a number of neurons, or the shape of a grid such as "
            "(maps, height, width)"
        )
    for number, side in enumerate(size):
        check_positive_int(f"{argument}[{number}]", side)
    return tuple(map(int, size))


def check_choice(argument: str, value: object, choices: object) -> None:
    """Refuse a value that is no choice of a Literal, or of its union with `Callable`."""
    names, *others = get_args(choices) if get_origin(choices) is not Literal else [choices]
    allowed = get_args(names)
    if value in allowed or (others and callable(value)):
        return
    listed = ", ".join(allowed) + (" or a function" if others else "")
    raise ValueError(f"{argument} is {value!r}; it may be one of {listed}")


def from_module(argument: str, place: str, what: str, is_one: Callable[[Any], bool]) -> Any:
    """Give what a user's module holds under "module:name", and refuse what is not of that sort.

    Args:
        argument: What the place was given for.
        place: "module:name"; the module is imported.
        what: What it must be, in words.
        is_one: Whether something is that.
    """
    module, _, name = place.partition(":")
    where = f"{argument} is {place!r}, but module {module!r}"
    try:
        if not all(part.isidentifier() for part in module.split(".")):
            raise ImportError("that is no name of a module")
        found = getattr(import_module(module), name, None)
    except ImportError as error:
        raise ValueError(
            f"{where} cannot be imported: {error}; it must lie in the current folder, "
            f"{Path.cwd()}, or on the Python path"
        ) from None
    except SyntaxError as error:
        raise ValueError(f"{where} is no Python: {error}") from None
    if not is_one(found):
        raise ValueError(f"{where} has no {what} {name!r}")
    return found


def _refuse_infinite(argument: str, values: Tensor) -> None:
    wrong = ~values.isfinite()
    count = int(wrong.sum())
    if count:
        first = tuple(wrong.nonzero()[0].tolist())
        raise ValueError(
            f"{argument} must be finite, but {count} of {values.numel()} values are NaN or "
            f"infinite, the first ({values[first].item()}) at index {first}"
        )


def _require_tensor(argument: str, value: object) -> Tensor:
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{argument} must be a torch.Tensor, but is a {type(value).__name__}")
    return value


def _shown(shape: Sequence[str | int]) -> str:
    # As Python prints a tuple, but without quotes round the names of free sizes.
    inner = ", ".join(map(str, shape))
    return f"({inner},)" if len(shape) == 1 else f"({inner})"


def check_positive(argument: str, value: object) -> float:
    """Give a positive, finite number as a float.

    Raises:
        TypeError: If it is no number.
        ValueError: If it is not positive and finite.
    """
    number = check_real(argument, value)
    if number <= 0:
        raise ValueError(f"{argument} must be above 0, but is {number:g}")
    return number


def check_real(argument: str, value: object) -> float:
    """Give a finite number as a float.

    Raises:
        TypeError: If it is no number.
        ValueError: If it is NaN or infinite.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{argument} must be a number, but is {as_text(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{argument} must be finite, but is {as_text(value)}")
    return number
