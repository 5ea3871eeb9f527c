"""Workers of a Dask cluster, which may share neither folder nor data with the process that decides.

A trial goes to a worker as text, and its record and run folder come back with the future. Dask
itself runs a task again whose worker died, and does not say so; here every start is written down
with the scheduler before it trains, and a second start of the same task gives up at once. So the
process that decides learns of every loss, and it alone starts a trial again.
"""

import json
import logging
import threading
from collections.abc import Mapping
from concurrent.futures import CancelledError, Future
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from distributed import Client, KilledWorker, get_client, get_worker

from sqsnn import __version__
from sqsnn.errors import ConfigError, SqsnnError
from sqsnn.storage import write_atomically
from sqsnn_bench.study import library, trials
from sqsnn_bench.study.journal import name_of
from sqsnn_bench.study.records import Key, Record
from sqsnn_bench.study.trials import Job, run_folder
from sqsnn_bench.study.workers import Lost, VanishedError, Work

CONNECT = 20  # seconds to wait for a scheduler
_STARTS = "sqsnn-bench starts"  # where the scheduler keeps who started what
# A run sets torch's threads, which a whole process has in common.
_one_at_a_time = threading.Lock()

Order = Mapping[str, Any]


class Cluster:
    """The workers of a Dask cluster, as many as there are at any moment."""

    def __init__(self, address: str) -> None:
        """Connect to a scheduler.

        Args:
            address: Where it listens, such as tcp://10.0.0.1:8786.

        Raises:
            ConfigError: If none answers there.
        """
        # What goes wrong is said once, by this class.
        for name in [name for name in logging.root.manager.loggerDict if _is_of_dask(name)]:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._address = address
        said = ""
        try:
            self._client = Client(address, timeout=CONNECT, set_as_default=False)
        except (OSError, ValueError) as error:
            said = str(error) or type(error).__name__
        if said:
            raise ConfigError(
                f"--cluster must be the address of a Dask scheduler, such as tcp://10.0.0.1:8786, "
                f"but at {address} none answers ({said})"
            )
        # The retries of Dask are for tasks that raise an error: the same trial raises it again.
        self._executor = self._client.get_executor(pure=False, retries=0)

    def size(self) -> int:
        """Worker processes that the scheduler has now."""
        workers = self._client.scheduler_info()["workers"]
        if self._client.status != "running":
            raise self._vanished()
        return len(workers)

    def submit(self, work: Work, job: Job) -> Future[Any]:
        """Send a trial to the cluster."""
        name = f"{name_of(job.key)}-{uuid4().hex}"
        return self._executor.submit(serve, _order(name, job), key=name)

    def outcome(self, future: Future[Any], job: Job) -> Record | Lost:
        """The record of a trial, whose run folder is written here."""
        try:
            answer = future.result()
        except CancelledError:
            raise self._vanished() from None
        except KilledWorker as error:
            return Lost(f"its workers were killed before it started ({error})")
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"the workers of {self._address} cannot run this study ({error}): install the same "
                "sqsnn-bench there"
            ) from error
        if "started" in answer:
            return Lost(f"its worker {', '.join(answer['started'])} was killed")
        folder = run_folder(job.out, job.key)
        # The result last: a folder that has it counts as finished.
        for name in sorted(answer["files"], key=library.RESULT.__eq__):
            _write(folder, name, answer["files"][name])
        return json.loads(answer["record"])

    def close(self) -> None:
        """Leave the cluster; what is at work there is dropped, its workers stay."""
        self._client.close()

    def _vanished(self) -> VanishedError:
        return VanishedError(
            f"the scheduler at {self._address} has vanished, or dropped this study"
        )


def _is_of_dask(logger: str) -> bool:
    return logger.partition(".")[0] == "distributed"


def _order(name: str, job: Job) -> Order:
    return {
        "name": name,
        "sqsnn": __version__,
        "key": list(job.key),
        "settings": library.to_text(job.settings),
        "known": json.dumps(job.known),
    }


def _write(folder: Path, name: str, content: bytes) -> None:
    if Path(name).name != name:
        raise ConfigError(f"a worker sent a file {name!r}, which is no file of a run")
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / name, lambda path: path.write_bytes(content))


def serve(order: Order) -> dict[str, Any]:
    """Run a trial on a worker.

    Args:
        order: The trial.

    Returns:
        Its record as JSON and the files of its run by name; or "started", the workers that had
        started it before.

    Raises:
        ConfigError: If the worker has another version of sqsnn, or other data.
        SqsnnError: What the trial raised.
    """
    worker = get_worker()
    where = f"worker {worker.name} at {worker.address}"
    if order["sqsnn"] != __version__:
        raise ConfigError(
            f"{where} has sqsnn {__version__}, but this study is run by {order['sqsnn']}: install "
            "the same version everywhere"
        )
    if earlier := _starts(order["name"]):
        return {"started": earlier}
    with _one_at_a_time:
        own = f"{worker.address} #{uuid4().hex[:8]}"
        get_client().set_metadata([_STARTS, order["name"], own], True)
        # Read after writing: of two that start at once at least one sees the other.
        if earlier := [other for other in _starts(order["name"]) if other != own]:
            return {"started": earlier}
        with TemporaryDirectory(dir=worker.local_directory) as folder:
            settings = library.from_text(order["settings"])
            job = Job(Key(*order["key"]), Path(folder), settings, json.loads(order["known"]))
            try:
                record = trials.work(job)
            except SqsnnError as error:
                raise type(error)(f"{where}: {error}") from error
            run = run_folder(job.out, job.key)
            files = {path.name: path.read_bytes() for path in run.glob("*")}
    return {"record": json.dumps(record, allow_nan=False), "files": files}


def _starts(name: str) -> list[str]:
    """The workers that have started a trial."""
    starts: Any = get_client().get_metadata([_STARTS, name], default={})
    return sorted(starts)
