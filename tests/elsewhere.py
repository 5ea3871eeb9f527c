"""A second device on any machine: numbers lie on the CPU, but torch is told that they do not.

Within `elsewhere()` the device `THERE` computes. As with a GPU, tensors of two devices do not mix,
the compiled kernel cannot read there, and a generator belongs to one device. What a GPU would have
to wait for is counted: numbers that are read back, and tensors that are copied to the device.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

THERE = torch.device("lazy", 0)  # a name that torch knows, and that it runs on the same thread
CPU = torch.device("cpu")

# Operations whose result, or whose shape, the host must know.
READING = {"_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select"}


class There(Tensor):
    """A tensor of the second device."""

    inner: Tensor

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner: Tensor) -> "There":
        made = Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=THERE,
        )
        made.inner = inner
        return made

    def __repr__(self, **_: Any) -> str:
        return f"There({self.inner!r})"

    # Torch swaps tensors of such classes whole where it would else give one another's data.
    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["inner"], None

    @staticmethod
    def __tensor_unflatten__(inner: dict[str, Tensor], *_: Any) -> "There":
        return There(inner["inner"])

    def tolist(self) -> Any:
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError("a tensor of the second device is used outside of elsewhere()")


class GeneratorThere(torch.Generator):
    """A generator of the second device."""

    device = THERE  # pyright: ignore[reportAssignmentType]

    def __reduce__(self) -> Any:
        return _with_state, (self.get_state(),)


def _with_state(state: Tensor) -> GeneratorThere:
    made = GeneratorThere()
    made.set_state(state)
    return made


class _Generators(type):
    """Makes generators of the second device too, which torch itself refuses."""

    def __call__(cls, device: torch.device | str = CPU) -> torch.Generator:
        return GeneratorThere() if torch.device(device) == THERE else _GENERATOR(device)

    def __instancecheck__(cls, made: object) -> bool:
        return isinstance(made, _GENERATOR)


_GENERATOR = torch.Generator


class _Generator(metaclass=_Generators):
    """Stands for `torch.Generator`."""


class Counts(TorchDispatchMode):
    """Computes for the second device.

    Attributes:
        reads: How often the host waited for numbers, by operation.
        uploads: How often a tensor was copied to the device, by operation.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reads: Counter[str] = Counter()
        self.uploads: Counter[str] = Counter()

    def clear(self) -> None:
        """Start to count afresh."""
        self.reads.clear()
        self.uploads.clear()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = func.overloadpacket.__name__
        given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        there = [x for x in given if isinstance(x, There)]
        device = kwargs.get("device")
        onto = None if device is None else torch.device(device)
        if there:
            self._check(name, given, there, args)
        if name == "_to_copy" and onto is not None:
            self._count(bool(there) and onto == CPU, not there and onto == THERE, name)
        if name == "copy_":
            into = isinstance(args[0], There)
            upload = into and len(there) == 1 and args[1].dim() > 0
            self._count(bool(there) and not into, upload, name)
        if onto == THERE:
            kwargs["device"] = CPU
        plain_args, plain = tree_map_only(There, lambda x: x.inner, (args, kwargs))
        # Below torch's dispatch a conjugate in name alone would be taken for what it is not.
        physical = name == "_conj" and there
        made = (torch.conj_physical if physical else func)(*plain_args, **plain)
        stays = there and onto is None and (name != "copy_" or isinstance(args[0], There))
        if onto != THERE and not stays:
            return made
        same = {id(x.inner): x for x in there}
        return tree_map_only(Tensor, lambda x: same[id(x)] if id(x) in same else There(x), made)

    def _check(self, name: str, given: list[Tensor], there: list["There"], args: Any) -> None:
        strangers = [x for x in given if not isinstance(x, There) and x.dim()]
        indexing = name in ("index", "index_put", "index_put_", "_index_put_impl_")
        if indexing:
            masks = [x for x in args[1] if x is not None and x.dtype == torch.bool]
            self._count(bool(masks), bool(strangers), name)
        elif strangers and name not in ("copy_", "_to_copy"):
            raise RuntimeError(f"{name}: tensors of two devices meet, {[x.shape for x in given]}")
        self._count(name in READING, False, name)

    def _count(self, read: bool, upload: bool, name: str) -> None:
        self.reads.update([name] * read)
        self.uploads.update([name] * upload)


# Torch turns a product from a row into one from a matrix, in place and out of sight.
_PRODUCTS = torch.matmul, Tensor.matmul, Tensor.__matmul__
# And it makes tensors of lists.
_INDEXING = Tensor.__getitem__, Tensor.__setitem__


class _Makers(TorchFunctionMode):
    """Makes tensors of Python's numbers here first: torch would do so out of sight.

    It also sees what torch's dispatch does not: of which device a generator is.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is Tensor.new_tensor and isinstance(args[0], There):
            kwargs = {"dtype": args[0].dtype, "device": THERE} | kwargs
            func, args = torch.tensor, args[1:]
        if func in _PRODUCTS and isinstance(args[0], There) and args[0].dim() == 1:
            return func(args[0][None], args[1])[..., 0, :] if args[1].dim() > 1 else func(*args)
        if func in _INDEXING and isinstance(args[0], There):
            index = tree_map_only(list, torch.tensor, args[1], is_leaf=lambda x: type(x) is list)
            return func(args[0], index, *args[2:])
        device = kwargs.get("device")
        if args and kwargs.get("generator") is not None:
            into = kwargs.get("out", args[0])
            drawn = getattr(into, "device", CPU) if device is None else torch.device(device)
            if kwargs["generator"].device != drawn:
                made = f"on {kwargs['generator'].device} draws numbers on {drawn}"
                raise RuntimeError(f"{func.__name__}: a generator {made}")
        if func not in (torch.tensor, torch.as_tensor) or device is None:
            return func(*args, **kwargs)
        if torch.device(device) != THERE or isinstance(args[0], There):
            return func(*args, **kwargs)
        learned = kwargs.pop("requires_grad", False)  # a leaf, as torch makes it
        made = func(*args, **kwargs | {"device": CPU}).to(THERE)
        return made.requires_grad_() if learned else made


@contextmanager
def elsewhere() -> Iterator[Counts]:
    """Let the second device compute, and count what it would wait for."""
    with patch.object(torch, "Generator", _Generator), _Makers(), Counts() as counts:
        yield counts
