"""Callbacks: code of users that the training loop calls, its only hook."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

from sqsnn.settings.run import Recipe
from sqsnn.training.progress import Epoch, Progress, Step


class Callback:
    """Follows a training; derive from it, and write the methods that you need.

    The classifier, the regressor and `sqsnn.train` take a sequence of them, `callbacks=[...]`, and
    the training calls each in turn. A callback may read all that `progress` holds, its network
    among it, and may raise an error to stop the training at once.

    Example:
        >>> class Losses(Callback):
        ...     def __init__(self):
        ...         self.found = []
        ...
        ...     def epoch(self, epoch, progress):
        ...         self.found.append(epoch.metrics["train_loss"])
        ...         return self.found[-1] < 0.1  # True ends the training
    """

    def begin(self, progress: Progress, recipe: Recipe) -> None:
        """Training starts, or goes on after `progress.epoch` epochs, with these settings."""

    def step(self, step: Step) -> None:
        """A training step is done."""

    def epoch(self, epoch: Epoch, progress: Progress) -> bool | None:
        """An epoch is done, validated and, in a run, saved.

        Returns:
            True ends the training after this epoch; False and None let it go on.
        """

    def finish(self, progress: Progress) -> None:
        """Training is over: all epochs are done, patience is over, or a callback ended it."""

    def closed(self, error: BaseException | None) -> None:
        """Nothing more comes, after the test in a run; `error` or an interrupt ended it early."""


@contextmanager
def following(callbacks: Sequence[Callback]) -> Iterator[None]:
    """Call `closed` of each at the end, however it ends."""
    with ExitStack() as stack:
        for callback in callbacks:
            stack.push(partial(_close, callback))
        yield


def _close(callback: Callback, kind: object, error: BaseException | None, trace: object) -> None:
    callback.closed(error)  # what it returns must not swallow the error


def check_callbacks(callbacks: object) -> None:
    """Refuse what is no sequence of callbacks."""
    if not isinstance(callbacks, Sequence):
        raise TypeError(f"callbacks must be a sequence of sqsnn.Callback, but is {callbacks!r}")
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise TypeError(f"each of callbacks must be a sqsnn.Callback, but one is {callback!r}")
