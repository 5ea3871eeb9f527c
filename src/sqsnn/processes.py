"""Processes that share one training: who computes which rows of a batch, and how these add up.

Under `torchrun` every process holds the same network. It computes its own rows of each batch, but
draws the random numbers of all rows, so that a run gives the same however many processes share it,
up to the rounding of sums. What the processes tell each other goes through `torch.distributed`:
gloo on CPUs, NCCL on GPUs.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from sqsnn import launch
from sqsnn.errors import EndedError, ProcessError

Value = TypeVar("Value")


@dataclass(frozen=True)
class Processes:
    """The processes that share a training, as one of them knows them.

    Attributes:
        rank: The number of this one, from 0.
        count: How many there are.
    """

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes files and talks to the user."""
        return self.rank == 0

    def share(self, batch: int) -> int:
        """Count the rows of a batch that this process computes for all."""
        return batch * (self.rank + 1) // self.count - batch * self.rank // self.count

    def rows(self, batch: int) -> slice:
        """Give the rows of a batch that this process computes, at least one.

        Where there are fewer rows than processes, one without a share computes the first row, too,
        so that all processes take the same steps; it does not count.
        """
        start = batch * self.rank // self.count if self.share(batch) else 0
        return slice(start, start + max(1, self.share(batch)))

    def weight(self, batch: int) -> float:
        """Give the weight of this process's rows in the mean over a batch; weights add up to 1."""
        return self.share(batch) / batch

    def sum_(self, tensor: Tensor) -> Tensor:
        """Replace a tensor by its sum over the processes, the same bits in each of them."""
        if self.count > 1:
            with _reporting():
                distributed.all_reduce(tensor)
        return tensor

    def gather(self, items: Sequence[Value]) -> list[Value]:
        """Join lists of all processes in turn: the first item of each, then the second of each."""
        if self.count == 1:
            return list(items)
        found: list[Sequence[Value]] = [()] * self.count
        with _reporting():
            distributed.all_gather_object(found, list(items))
        longest = max(map(len, found))
        return [own[turn] for turn in range(longest) for own in found if turn < len(own)]

    def of_first(self, make: Callable[[], Value]) -> Value:
        """Let the first process make something, for which the others wait; give it to all."""
        if self.count == 1:
            return make()
        made: list[Any] = [make() if self.is_first else None]
        with _reporting():
            distributed.broadcast_object_list(made)
        return made[0]

    def wait_for_first(self) -> None:
        """Wait until the first process comes here, too."""
        self.of_first(lambda: None)

    def sum_gradients(
        self, parameters: Iterable[Tensor], weight: float, numbers: Sequence[float] = ()
    ) -> list[float]:
        """Turn gradients of means over each process's rows into those of the batch, in one go.

        Args:
            parameters: What may have gradients, the same in all processes.
            weight: The share of the batch that this process computed, see `weight`.
            numbers: Further means over the same rows, summed in the precision of the gradients.

        Returns:
            The further means over the whole batch.
        """
        if self.count == 1:
            return list(numbers)
        gradients = [p.grad for p in parameters if p.grad is not None]
        own = [gradient.flatten() for gradient in gradients]
        like = gradients[0] if gradients else torch.empty(0, dtype=torch.float64)
        flat = torch.cat([*own, like.new_tensor(numbers)])
        self.sum_(flat.mul_(weight))
        sizes = [len(gradient) for gradient in own]
        *summed, found = flat.split([*sizes, len(numbers)])
        for gradient, values in zip(gradients, summed, strict=True):
            gradient.copy_(values.view_as(gradient))
        return found.tolist()

    def check_alike(self, parameters: Iterable[Tensor], epoch: int) -> None:
        """Refuse to go on where the trainings of the processes are no longer the same.

        Raises:
            ProcessError: If they differ in the epochs that are done, or in the weights.
        """
        if self.count == 1:
            return
        sums = [float(parameter.detach().double().sum()) for parameter in parameters]
        (first_epoch, first_sums), *others = self.gather([(epoch, sums)])
        for rank, (done, found) in enumerate(others, start=1):
            if done != first_epoch:
                raise ProcessError(
                    f"process {rank} has {done} epochs behind it, and process 0 has {first_epoch}: "
                    "the folder of the run must lie on a disk that all processes share"
                )
            if found != first_sums:
                raise ProcessError(
                    f"the weights of process {rank} are not those of process 0: their processors "
                    "compute differently; run all processes on machines of one kind"
                )


ALONE = Processes()
_MEETINGS = count()  # how often this process has joined the others; all join equally often
_STORES: list[Any] = []  # where the processes of a meeting leave word


@cache
def _meeting_place() -> tuple[Any, int, int]:
    """Give the store where processes leave their addresses, this one's rank, and their number."""
    from torch.distributed.rendezvous import rendezvous  # not in every build of torch

    return next(rendezvous("env://"))


def _join(backend: str) -> Any:
    from torch.distributed.distributed_c10d import PrefixStore

    store, rank, number = _meeting_place()
    # The addresses of the last time are still there, and lead to a process that left late.
    fresh = PrefixStore(f"sqsnn/{next(_MEETINGS)}", store)
    distributed.init_process_group(backend, store=fresh, rank=rank, world_size=number)
    return fresh


@contextmanager
def joined() -> Iterator[Processes]:
    """Join the processes that `torchrun` started; without it there is one alone.

    A process group that is there already is used, and stays.

    Raises:
        ProcessError: If the others cannot be reached.
    """
    if distributed.is_initialized():
        yield Processes(distributed.get_rank(), distributed.get_world_size())
        return
    if not launch.is_launched():
        yield ALONE
        return
    gpus = torch.cuda.device_count()
    if launch.local_rank() < gpus:
        torch.cuda.set_device(launch.local_rank())
    with _reporting():
        _STORES.append(_join("cpu:gloo,cuda:nccl" if gpus else "gloo"))
    processes = Processes(distributed.get_rank(), distributed.get_world_size())
    try:
        yield processes
    except Exception as error:
        if not isinstance(error, ProcessError):  # the others find the exchange broken
            with suppress(RuntimeError):
                _STORES[-1].compare_set("ended", "", f"process {processes.rank}: {error}")
        raise
    finally:
        _STORES.pop()
        distributed.destroy_process_group()


class SharedGenerator(torch.Generator):
    """Draws for a whole batch what one process alone would draw, and keeps this process's rows.

    Numbers that belong to samples are split (`sqsnn.uniforms`); what is drawn for weights is the
    same in all processes.

    Attributes:
        processes: The processes.
        batch: Rows of the batch of which this process computes its own; None where it computes
            whole batches.
    """

    processes: Processes
    batch: int | None

    def __new__(cls, processes: Processes, device: torch.device | str = "cpu") -> "SharedGenerator":
        """Make a generator on a device."""
        made = super().__new__(cls, torch.device(device))  # pyright: ignore[reportCallIssue]
        made.processes, made.batch = processes, None
        return made

    def __init__(self, processes: Processes, device: torch.device | str = "cpu") -> None:
        """Do nothing: `__new__` has set everything."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Refuse to be copied or pickled: the copy would draw for one process alone."""
        raise TypeError(
            "a SharedGenerator cannot be copied or pickled: make one in each process, and set its "
            "state by set_state(other.get_state())"
        )

    def copies(self, rows: int) -> int:
        """Count the copies of this process's rows that follow each other in so many rows."""
        if self.batch is None:
            return 1
        own = self.processes.rows(self.batch)
        width = own.stop - own.start
        if rows % width:
            raise ValueError(
                f"{rows} rows are drawn, which is no multiple of the {width} rows that process "
                f"{self.processes.rank} computes of a batch of {self.batch}"
            )
        return rows // width


def processes_of(generator: torch.Generator) -> Processes:
    """Name the processes that draw from generators like this one."""
    return generator.processes if isinstance(generator, SharedGenerator) else ALONE


def whole_batch(generator: torch.Generator, rows: int) -> int:
    """Count the rows that a generator draws for all processes when this one keeps so many."""
    if not isinstance(generator, SharedGenerator) or generator.batch is None:
        return rows
    return generator.copies(rows) * generator.batch


def batch_sum(generator: torch.Generator, own: Tensor) -> Tensor:
    """Turn the sum over this process's rows of a batch into the sum over all rows."""
    if not isinstance(generator, SharedGenerator) or generator.batch is None:
        return own
    counts = generator.processes.share(generator.batch) > 0
    return generator.processes.sum_(own.clone() if counts else torch.zeros_like(own))


def batch_mean(generator: torch.Generator, own: Tensor) -> Tensor:
    """Turn the mean over this process's rows of a batch into the mean over all rows.

    Its gradient stays that of this process's rows: `sum_gradients` weighs and adds the gradients.
    """
    if not isinstance(generator, SharedGenerator) or generator.batch is None:
        return own
    mean = own.detach() * generator.processes.weight(generator.batch)
    return own + (generator.processes.sum_(mean) - own.detach())


@contextmanager
def _reporting() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # of gloo or NCCL, which name addresses only
        if word := _word():
            raise EndedError(word) from error
        raise ProcessError(
            f"another process has ended, or is out of reach ({_reason(str(error))})"
        ) from error


def _word() -> str:
    """What a process left that ended by an error; the store may have ended with it."""
    with suppress(RuntimeError):
        if _STORES and _STORES[-1].check(["ended"]):
            return _STORES[-1].get("ended").decode()
    return ""


def _reason(said: str) -> str:
    """What a library says of an exchange that failed, in its field's words where it has them."""
    known = re.search(r"connection (reset|closed|refused)|broken pipe|timed? ?out", said, re.I)
    return known[0].lower() if known else said.splitlines()[0]
