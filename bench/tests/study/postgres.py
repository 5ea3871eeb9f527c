"""A PostgreSQL server in a temporary folder, reached by a socket alone; it asks for a password."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

USER, PASSWORD = "lab", "S3cret/of:the@lab {x}"
ENCODED = "S3cret%2Fof%3Athe%40lab%20%7Bx%7D"


class Server:
    """A server that can be started, killed and started again."""

    def __init__(self, programs: Path, folder: Path, user: str | None) -> None:
        self._programs, self._data = programs, folder / "data"
        self.folder, self._user = folder, user
        self._process: subprocess.Popen[bytes] | None = None
        secret = folder / "password"
        secret.write_text(PASSWORD)
        self._give(secret)
        self._call("initdb", "-D", self._data, "-U", USER, "--auth=scram-sha-256", "--no-sync",
                   f"--pwfile={secret}", "--encoding=UTF8", "--locale=C")  # fmt: skip
        secret.unlink()

    @property
    def url(self) -> str:
        """Where commands meet, with the password."""
        return f"postgresql://{USER}:{ENCODED}@/postgres?host={self.folder}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={self.folder}",
                   "-c", "fsync=off", "-c", "max_connections=20"]  # fmt: skip
        self._process = subprocess.Popen(
            [self._programs / "postgres", "-D", self._data, *options], **self._how()
        )
        deadline = time.monotonic() + 30
        ready = [self._programs / "pg_isready", "-q", "-h", self.folder]
        while subprocess.run(ready, check=False).returncode:
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it at once, as a crash of its machine would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(timeout=30)
            self._process = None

    def dump(self) -> str:
        """All that it holds, as SQL."""
        environment = os.environ | {"PGPASSWORD": PASSWORD}
        done = subprocess.run(
            [self._programs / "pg_dump", "-h", self.folder, "-U", USER, "postgres"],
            env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout

    def _call(self, program: str, *arguments: object) -> None:
        subprocess.run([self._programs / program, *map(str, arguments)], check=True, **self._how())

    def _how(self) -> dict[str, Any]:
        how: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        if self._user is not None:
            how |= {"user": self._user, "group": pwd.getpwnam(self._user).pw_gid}
            how |= {"extra_groups": [], "cwd": self.folder}
        return how

    def _give(self, path: Path) -> None:
        if self._user is not None:
            shutil.chown(path, self._user)


@contextmanager
def server() -> Iterator[Server]:
    """A server, stopped; skips the test where PostgreSQL is not installed."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    user = _user()
    # The path of a socket may have no more than 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    if user is not None:
        shutil.chown(folder, user)
    made = None
    try:
        made = Server(programs, folder, user)
        yield made
    finally:
        if made is not None:
            made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path | None:
    """The folder of initdb, postgres and the rest."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if on_path is not None:
        found.append(Path(on_path).resolve())
    return found[-1].parent if found else None


def _user() -> str | None:
    """Whom the server runs as, where this is root, whom it refuses."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
