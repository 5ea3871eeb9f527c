"""Faults at a chosen system call of a write: the process is killed, or the disk refuses it."""

import builtins
import errno
import io
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

# What changes files; unlike the first ones, the last ones need no room on the disk.
NEED_ROOM = ("open", "mkdir", "link", "replace", "write", "fsync")
NEED_NONE = ("unlink", "rmdir", "truncate", "flock")

count = 0
Act = Callable[[str], None]


def kill_at(number: int) -> None:
    """Kill this process just before a call, counted from 1, or in the middle of its write."""

    def act(call: str) -> None:
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    install(act)


def refuse_from(number: int, error: int) -> None:
    """Let the disk refuse all calls from one on, counted from 1, that this error can refuse."""
    refused = NEED_ROOM if error == errno.ENOSPC else (*NEED_ROOM, "unlink", "rmdir", "truncate")

    def act(call: str) -> None:
        if count >= number and call in refused:
            raise OSError(error, os.strerror(error))

    install(act)


def count_calls(call: Callable[[], None]) -> None:
    """Count the calls that change files, into the file `count`."""
    install(lambda _: None)
    try:
        call()
    except SystemExit as stop:
        if stop.code:
            raise
    counted = count
    Path("count").write_text(str(counted))


def killed_at(number: int, call: Callable[[], None]) -> None:
    """Call something, and kill it at a call that changes files."""
    kill_at(number)
    call()


def refused_from(number: int, error: int, call: Callable[[], None]) -> None:
    """Call something on a disk that refuses to be written from a call on."""
    refuse_from(number, error)
    call()


def limited(size: int, call: Callable[[], None]) -> None:
    """Call something while the system lets no file grow beyond some bytes."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    call()


def install(act: Act) -> None:
    """Call `act` before each call that changes files; there is no way back for this process."""
    for name in (*NEED_ROOM[1:], *NEED_NONE[:-1]):
        setattr(os, name, _counted(name, getattr(os, name), act))
    os.open = _counted("open", os.open, act, writes=lambda _, flags, *__: flags & _WRITING)
    import fcntl

    fcntl.flock = _counted("flock", fcntl.flock, act)

    class Raw(io.FileIO):
        """A file whose writes are counted, and which a fault leaves half written."""

        def write(self, content: Any, /) -> int:
            view = memoryview(content).cast("B")
            written = super().write(view[: len(view) // 2]) or 0
            _step("write", act)
            return written + (super().write(view[written:]) or 0)

    def opened(file: Any, mode: str = "r", *given: Any, **options: Any) -> Any:
        if not set(mode) & set("wax+"):
            return original(file, mode, *given, **options)
        _step("open", act)
        raw = Raw(file, mode.replace("b", "").replace("t", ""))
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, "utf-8", newline="\n")

    original = io.open
    io.open = builtins.open = opened


_WRITING = os.O_WRONLY | os.O_RDWR


def _step(call: str, act: Act) -> None:
    global count
    count += 1
    act(call)


def _counted(
    name: str, call: Callable[..., Any], act: Act, writes: Callable[..., object] = lambda *_: True
) -> Callable[..., Any]:
    def counted(*given: Any, **options: Any) -> Any:
        if writes(*given):
            _step(name, act)
        return call(*given, **options)

    return counted
