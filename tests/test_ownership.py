"""A folder has one owner, whose lock dies with it."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sqsnn import ownership
from sqsnn.errors import ConfigError, WriteError
from sqsnn.ownership import owned
from sqsnn.storage import write_atomically

HOLD = """
import sys
from pathlib import Path
from sqsnn.ownership import owned
with owned(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that owns the folder `run`."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_a_second_process_is_told_who_holds_the_folder(holder, tmp_path):
    said = rf"run is in use by process {holder.pid} on {os.uname().nodename} since \d{{4}}-\d\d-"
    for _ in range(2):  # asking takes nothing from the owner
        with pytest.raises(ConfigError, match=said), owned(tmp_path / "run"):
            pass
    assert str(holder.pid) in (tmp_path / "run" / ".lock").read_text()


def test_an_owner_that_has_not_signed_yet_is_waited_for(holder, tmp_path):
    lock = tmp_path / "run" / ".lock"
    signed = lock.read_text()
    lock.write_text("")
    threading.Timer(0.1, lock.write_text, [signed]).start()
    with pytest.raises(ConfigError, match=f"process {holder.pid} on"), owned(tmp_path / "run"):
        pass


def test_the_lock_dies_with_its_process(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "run" / ".lock").stat().st_size > 0  # which says nothing by being there
    with owned(tmp_path / "run"):
        assert f"process {os.getpid()} on" in (tmp_path / "run" / ".lock").read_text()


def test_another_thread_is_another_owner(tmp_path):
    refused = []

    def take():
        try:
            with owned(tmp_path / "run"):
                pass
        except ConfigError as error:
            refused.append(str(error))

    with owned(tmp_path / "run"):
        thread = threading.Thread(target=take)
        thread.start()
        thread.join()
    assert re.search(f"in use by process {os.getpid()} on", refused[0])


def test_an_owner_may_own_a_folder_twice(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with owned(Path("run")):
        with owned(tmp_path / "run"):
            (tmp_path / "run" / "file").touch()
        assert "process" in (tmp_path / "run" / ".lock").read_text()  # still signed
    assert (tmp_path / "run" / ".lock").read_bytes() == b""


@pytest.mark.parametrize("existed", [True, False])
def test_an_owner_leaves_no_folder_behind_that_it_made_for_nothing(tmp_path, existed):
    if existed:
        (tmp_path / "run").mkdir()
    with pytest.raises(KeyError), owned(tmp_path / "run"):
        raise KeyError
    assert [path.name for path in tmp_path.rglob("*")] == ["run"] * existed


def test_what_killed_writes_left_is_removed_and_nothing_else(tmp_path):
    left = []

    def die(part):
        part.write_text("half")
        left.append(part.name)
        os.rename(part, tmp_path / "aside")  # so that the clean-up of a living process misses it

    with pytest.raises(WriteError):
        write_atomically(tmp_path / "metrics.json", die)
    os.rename(tmp_path / "aside", tmp_path / left[0])
    for name in (".mine.part", "mine.part", ".profile"):
        (tmp_path / name).touch()
    assert ownership.contents(tmp_path) == {".mine.part", "mine.part", ".profile"}
    with owned(tmp_path):
        assert ownership.contents(tmp_path) == {".mine.part", "mine.part", ".profile"}
        assert len(os.listdir(tmp_path)) == 4


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(WriteError, match=r"file/run/\.lock cannot be written: Not a directory"),
        owned(tmp_path / "file" / "run"),
    ):
        pass


def test_a_file_system_without_locks_is_refused(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    said = "run lies on a file system without locks: choose another folder"
    with pytest.raises(WriteError, match=said), owned(tmp_path / "run"):
        pass
