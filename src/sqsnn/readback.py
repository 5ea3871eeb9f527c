"""Numbers that come back from a device: all that a call has to know, in one transfer.

To read a number, the host waits until a GPU has done all its work. What a call has to check there
is therefore noted while it runs, and is read and judged once, at the end of the outermost call. On
a CPU the number is there at once, and so is the refusal.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from types import TracebackType
from typing import NamedTuple

import torch
from torch import Tensor

# Raises a ValueError if the figures are wrong.
Judge = Callable[[Sequence[float]], None]


class _Question(NamedTuple):
    figures: Tensor  # (k,)
    judge: Judge


_OPEN: ContextVar[list[_Question] | None] = ContextVar("questions", default=None)


class together:  # noqa: N801 (used as a function, `with together():`)
    """Judge the checks of a block at its end, or at the end of the outermost such block.

    If the block fails, its checks are still judged: they often explain the failure.
    """

    def __enter__(self) -> None:
        """Begin a call, unless one has begun."""
        self._token = None
        if _OPEN.get() is None:
            self._token = _OPEN.set([])

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Judge, if this is the outermost call."""
        if self._token is None:
            return
        questions = _OPEN.get() or []
        _OPEN.reset(self._token)
        _answer(questions)


@contextmanager
def naming(what: str) -> Iterator[None]:
    """Put a name before every refusal of this block, also one that comes at the end of the call."""
    questions = _OPEN.get()
    first = 0 if questions is None else len(questions)
    try:
        with _named(what):
            yield
    finally:
        if questions is not None:
            questions[first:] = [
                asked._replace(judge=partial(_judge_named, what, asked.judge))
                for asked in questions[first:]
            ]


def ask(figures: Tensor, judge: Judge) -> None:
    """Have figures judged at the end of the call; at once on a CPU, or where no call is open."""
    questions = _OPEN.get()
    if questions is None or _is_there(figures):
        judge(figures.reshape(-1).tolist())
    else:
        questions.append(_Question(figures.detach().reshape(-1), judge))


def _is_there(figures: Tensor) -> bool:
    return figures.is_cpu


def read(*figures: Tensor) -> list[float]:
    """Read numbers in one transfer with the checks of the open call, which are judged first."""
    questions = _OPEN.get()
    asked = [] if questions is None else list(questions)
    if questions is not None:
        questions.clear()
    found: list[float] = []
    wanted = torch.stack([figure.detach().double() for figure in figures])
    _answer([*asked, _Question(wanted, found.extend)])
    return found


def transfer(figures: Sequence[Tensor]) -> list[float]:
    """Bring figures, `(k,)` each, to the host, in one transfer per device."""
    if len({part.device for part in figures}) > 1:
        figures = [part.cpu() for part in figures]
    return (torch.cat(list(figures)) if len(figures) > 1 else figures[0]).cpu().tolist()


def _answer(questions: Sequence[_Question]) -> None:
    if not questions:
        return
    figures = transfer([question.figures for question in questions])
    first = 0
    for question in questions:
        last = first + len(question.figures)
        question.judge(figures[first:last])
        first = last


@contextmanager
def _named(what: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from error


def _judge_named(what: str, judge: Judge, figures: Sequence[float]) -> None:
    with _named(what):
        judge(figures)
