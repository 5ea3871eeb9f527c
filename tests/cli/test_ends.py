"""However a command ends, it says what is kept and how to go on, and never shows a traceback."""

import errno
import os
import pty
import shlex
import signal
import time
from pathlib import Path

import pytest
from zygote import Job, zygote

from sqsnn.cli import ends
from sqsnn.cli.main import main
from sqsnn.runs import tensors
from sqsnn.runs.folder import RunFolder

# Epochs of some tens of steps, so that signals hit between two.
TRAIN = "train digits --classes 0,1 --train-samples 100 --test-samples 10 --hidden 3 --steps 2"
TRAIN = [*TRAIN.split(), "--memory-qubits", "0"]
LONG = [*TRAIN, "--batch-size", "2", "--epochs", "100000", "--out", "run"]


@pytest.fixture(scope="module")
def warm():
    with zygote() as started:
        yield started


@pytest.fixture
def training(warm, tmp_path):
    """Start a long training, or another call; errors go to the file `err`."""

    def start(out="out", call=main, arguments=(LONG,)):
        return warm.start(Job(call, arguments, tmp_path, (tmp_path / out, tmp_path / "err")))

    return start


def wait_for_epochs(folder, count=1):
    deadline = time.monotonic() + 60
    metrics = RunFolder(folder).metrics
    while not metrics.is_file() or metrics.read_bytes().count(b"\n") < count:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def assert_says_how_to_go_on(said: str, folder: RunFolder) -> None:
    assert "Traceback" not in said and "Exception" not in said
    first, command = said.splitlines()
    assert f"{folder.kept()}. " in first
    assert shlex.split(command) == ["sqsnn", "train", "--resume", "run"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_training_with_how_to_go_on(warm, training, tmp_path, number):
    process = training()
    wait_for_epochs(tmp_path / "run", 2)
    os.kill(process, number)
    assert warm.wait(process) == ends.INTERRUPTED
    assert_says_how_to_go_on((tmp_path / "err").read_text(), RunFolder(tmp_path / "run"))


def test_a_second_signal_ends_a_training_that_hangs(warm, training, tmp_path):
    process = training(call=train_and_hang, arguments=())
    wait_for_epochs(tmp_path / "run", 2)
    for _ in range(2):
        os.kill(process, signal.SIGINT)
        time.sleep(0.1)
    assert warm.wait(process) == ends.INTERRUPTED
    assert_says_how_to_go_on((tmp_path / "err").read_text(), RunFolder(tmp_path / "run"))


def train_and_hang():
    """Train with a tracker that never lets go."""
    from sqsnn.cli.progress import Screen

    Screen.closed = lambda *_: time.sleep(60)  # pyright: ignore[reportAttributeAccessIssue]
    main(LONG)


def test_signals_that_are_ignored_stay_ignored(monkeypatch):
    before = {number: signal.getsignal(number) for number in ends.SIGNALS}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
        ends.stop_politely()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is not before[signal.SIGTERM]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_reader_that_has_enough_ends_a_training(warm, training, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    process = training(out="pipe")
    with (tmp_path / "pipe").open() as pipe:
        assert "Training on digits" in pipe.readline()
        wait_for_epochs(tmp_path / "run", 2)
    assert warm.wait(process) == ends.CLOSED
    said = (tmp_path / "err").read_text()
    assert said.startswith("the output cannot be written: its reader has closed it. Interrupted: ")
    assert_says_how_to_go_on(said, RunFolder(tmp_path / "run"))


def test_a_terminal_that_closes_ends_a_training(warm, training, tmp_path):
    terminal, theirs = pty.openpty()
    process = training(call=train_in_terminal, arguments=(os.ttyname(theirs),))
    wait_for_epochs(tmp_path / "run", 2)
    os.close(theirs)
    os.close(terminal)  # the system sends SIGHUP, and fails what writes there
    assert warm.wait(process) == ends.INTERRUPTED
    assert_says_how_to_go_on((tmp_path / "err").read_text(), RunFolder(tmp_path / "run"))


def train_in_terminal(terminal):
    """Train in a session of its own; the errors stay where they are."""
    os.setsid()
    for number in (0, 1):  # the first that a session opens becomes its terminal
        os.dup2(os.open(terminal, os.O_RDWR), number)
    main(LONG)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("words", [["datasets"], LONG])
def test_an_output_that_is_full_is_said(warm, training, tmp_path, words):
    assert warm.wait(training(Path("/dev/full"), arguments=(words,))) == ends.WRONG_USE
    said = (tmp_path / "err").read_text()
    assert said.startswith("the output cannot be written: No space left on device")
    assert "Traceback" not in said


@pytest.mark.parametrize("words", ["datasets", "--help"])
def test_a_closed_output_of_a_short_command_is_no_traceback(warm, training, tmp_path, words):
    os.mkfifo(tmp_path / "pipe")
    process = training("pipe", wait_and_call, ([words],))
    (tmp_path / "pipe").open().close()
    assert warm.wait(process) == ends.CLOSED
    assert "Traceback" not in (tmp_path / "err").read_text()


def wait_and_call(words):
    """Call when the reader has gone."""
    time.sleep(0.2)
    main(words)


# Disks that take no more


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_full_disk_ends_a_training_with_what_is_kept(sqsnn, here, monkeypatch, number):
    words = [*TRAIN, "--batch-size", 50, "--epochs", 3]
    write_atomically = tensors.write_atomically
    calls = []

    def fail(path, write):
        def full(part):
            raise OSError(number, os.strerror(number))

        calls.append(1)  # of an epoch with both files, and one with both or a single one
        write_atomically(path, full if len(calls) == 4 else write)

    with monkeypatch.context() as patch:
        patch.setattr(tensors, "write_atomically", fail)
        done = sqsnn(*words, "--out", "run")
    assert done.code == ends.WRONG_USE
    assert_says_how_to_go_on(done.err, RunFolder(here / "run"))
    assert f".safetensors cannot be written: {os.strerror(number)}. Interrupted: " in done.err
    assert sqsnn("train", "--resume", "run").code == 0
    assert sqsnn(*words, "--out", "other").code == 0
    for name in ("metrics.jsonl", "metrics.json", "best.safetensors", "checkpoint.safetensors"):
        assert (here / "run" / name).read_bytes() == (here / "other" / name).read_bytes()


def test_the_exit_codes_are_in_the_help(sqsnn):
    said = " ".join(sqsnn("--help").out.split())
    for code in (0, ends.WRONG_USE, ends.INTERRUPTED, ends.CLOSED):
        assert f" {code} " in said
