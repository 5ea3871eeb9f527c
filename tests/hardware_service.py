"""A service of IBM's whose jobs are lines of a file, and outlive the process that sent them.

Its bits follow from the angles alone: they can be told from those of another job, and repeat.
"""

import json
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from hardware_stubs import ibm_device, logic, result_of, tag_options
from qiskit.primitives import BitArray, PrimitiveResult

from sqsnn.hardware import ibm
from sqsnn.hardware.circuits import parameter_names
from sqsnn.hardware.devices import find
from sqsnn.hardware.executor import Executor
from sqsnn.hardware.jobs import Journal

CIRCUIT, STEPS, SHOTS, ROWS, JOBS = logic(1), 2, 3, 6, 3


class FileJob:
    """A finished job."""

    def __init__(self, service: "FileService", line: dict[str, Any]) -> None:
        self._service, self._line = service, line
        self.tags: list[str] = line["tags"]

    def job_id(self) -> str:
        """Its number."""
        return self._line["number"]

    def status(self) -> str:
        """Always done."""
        return "DONE"

    def usage(self) -> float:
        """Seconds."""
        return 2.0

    def result(self) -> PrimitiveResult:
        """Bits that follow from the angles."""
        self._service.moment("waiting")
        shape = (self._line["rows"], self._line["shots"])
        registers = {}
        for name, size in self._line["registers"].items():
            rng = np.random.default_rng([self._line["seed"], size])
            bits = rng.integers(2**size, size=(*shape, 1), dtype=np.uint8)
            registers[name] = BitArray(bits, size)
        return result_of(registers, shape[0])


class FileService:
    """A sampler and an account.

    Args:
        path: File of the jobs.
        moment: Called with a word before and after what a kill may part.
    """

    def __init__(self, path: Path, moment: Callable[[str], None] = lambda word: None) -> None:
        self.path, self.moment = path, moment
        self.options = tag_options()

    def lines(self) -> list[dict[str, Any]]:
        """All jobs."""
        text = self.path.read_text("utf-8") if self.path.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    def run(self, blocks: Sequence[Any]) -> FileJob:
        """Take a job, which costs."""
        ((circuit, bound, shots),) = blocks
        (values,) = bound.values()
        line = {
            "number": f"job-{len(self.lines())}",
            "tags": list(self.options.environment.job_tags or ()),
            "rows": len(values),
            "shots": shots,
            "registers": {register.name: register.size for register in circuit.cregs},
            "seed": zlib.crc32(np.ascontiguousarray(values).tobytes()),
        }
        self.moment("sending")
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, json.dumps(line).encode() + b"\n")
        os.close(descriptor)
        self.moment("sent")
        return FileJob(self, line)

    def job(self, number: str) -> FileJob:
        """Find a job by its number."""
        for line in self.lines():
            if line["number"] == number:
                return FileJob(self, line)
        raise LookupError(f"no job {number}")

    def jobs(self, *, job_tags: Sequence[str], instance: str) -> Iterator[FileJob]:
        """Find jobs by their tags."""
        return (FileJob(self, each) for each in self.lines() if set(job_tags) <= set(each["tags"]))

    def instances(self) -> list[dict[str, str]]:
        """The only one."""
        return [{"crn": "crn:v1:only"}]


class Started(NamedTuple):
    """One start of the same three jobs, on a device and on a simulator; compiled once."""

    device: Executor
    simulator: Executor
    service: list[FileService]

    @classmethod
    def build(cls) -> "Started":
        """Compile."""
        service: list[FileService] = []
        each = [
            Executor(device, sampler=lambda seed: service[-1], max_rows=ROWS // JOBS)
            for device in (ibm_device(), find("aer"))
        ]
        for executor in each:
            executor.compiled(CIRCUIT, STEPS)
        ibm.account = lambda: service[-1]  # type: ignore[assignment]
        return cls(*each, service)

    def run(self, folder: Path, *, device: bool = True, moment: Any = None) -> np.ndarray:
        """Start, with the jobs of a folder and of the service beside it."""
        self.service[:] = [FileService(folder.with_suffix(".service"), moment or (lambda _: None))]
        executor = self.device if device else self.simulator
        executor.journal = journal = Journal(folder)
        values = np.random.default_rng(0).normal(size=(ROWS, self.columns))
        with journal.held():
            return executor.run(CIRCUIT, STEPS, values, SHOTS, torch.Generator().manual_seed(0))

    def paid(self, folder: Path) -> int:
        """Jobs that the service has taken for a folder."""
        return len(FileService(folder.with_suffix(".service")).lines())

    @property
    def columns(self) -> int:
        """Angles of a row."""
        return len(parameter_names(CIRCUIT, STEPS, per_occurrence=True))
