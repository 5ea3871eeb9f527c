"""IBM devices, through the user's account, of which nothing enters files, messages or logs.

The account is the one saved by `IBMQuantumComputeService.save_account`, or that of the environment
variable QISKIT_IBM_TOKEN. No token passes through sqsnn. All that depends on the client of IBM
stands here.
"""

import math
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, Literal

from qiskit import QuantumCircuit
from qiskit.circuit import Gate
from qiskit.providers import BackendV2
from qiskit_ibm_runtime import Batch, IBMQuantumComputeService, Session
from qiskit_ibm_runtime.executor_sampler import Sampler

from sqsnn.errors import HardwareError
from sqsnn.hardware import feedforward
from sqsnn.hardware.calling import calling, require_token

# A job's limits: shots, instructions on any one qubit, and two-qubit gates, over all rows of angles
# (https://quantum.cloud.ibm.com/docs/guides/job-limits).
MAX_EXECUTIONS = 10_000_000
MAX_INSTRUCTIONS = 26_800_000
MAX_PAIR_GATES = 5_000_000

# States of a job that will never have bits.
_LOST = ("ERROR", "CANCELLED")

_HOW = (
    "save an account once with "
    "qiskit_ibm_runtime.IBMQuantumComputeService.save_account(token=...), or set QISKIT_IBM_TOKEN"
)


def service() -> IBMQuantumComputeService:
    """Open the service of the user's account."""
    require_token()
    with calling(f"no IBM account could be used: {_HOW}"):
        return IBMQuantumComputeService()


@cache
def account() -> IBMQuantumComputeService:
    """Open the service once, for jobs that were sent earlier."""
    return service()


def backend(name: str) -> BackendV2:
    """Find a device of the account."""
    opened = service()
    with calling(f"IBM device {name!r} cannot be had"):
        return opened.backend(name)


def sampler(backend: Any, mode: Any = None) -> Any:
    """Make the sampler of a device, within a session or a batch if `mode` is one."""
    with calling("no sampler of the device could be made"):
        return Sampler(mode=backend if mode is None else mode)


def send(sampler: Any, block: Any, tag: str | None) -> Any:
    """Send a job, with a tag by which `tagged` finds it; None for a job that keeps no note."""
    if tag is not None:
        sampler.options.environment.job_tags = [tag]
    return sampler.run([block])


def number(sent: Any, device: str) -> str:
    """Read the service's number of a job."""
    with calling(f"{device} took a job and does not tell its number"):
        given = sent.job_id()
    if not isinstance(given, str) or not re.fullmatch(r"[\w.-]{1,100}", given, re.ASCII):
        raise HardwareError(f"{device} took a job and gave it no number")
    return given


def job(number: str, tag: str) -> Any:
    """Find a job that was sent earlier, and refuse another one."""
    opened = account()
    with calling(f"IBM job {number!r} cannot be had"):
        found = opened.job(number)
        given, tags = found.job_id(), list(found.tags or ())
    if given != number or tag not in tags:
        raise HardwareError(
            f"asked for IBM job {number!r}, the service gave another job, which does not carry its "
            f"number and its tag {tag}"
        )
    return found


def tagged(tag: str) -> list[str]:
    """Find the numbers of all jobs that carry a tag, in all instances of the account."""
    opened, found = account(), dict[str, list[str]]()
    with calling(f"the jobs of tag {tag} could not be asked for, and none is sent before"):
        for instance in [each["crn"] for each in opened.instances()] or [None]:
            for each in opened.jobs(job_tags=[tag], instance=instance):
                found[number(each, "the service")] = list(each.tags or ())
    if not all(tag in tags for tags in found.values()):
        raise HardwareError(f"asked for the jobs of tag {tag}, the service gave others")
    return list(found)


def is_lost(sent: Any) -> bool:
    """Whether a job will never have bits; False while the service does not answer."""
    with suppress(HardwareError), calling("the state of a job is unknown"):
        return str(sent.status()) in _LOST
    return False


@contextmanager
def open_mode(backend: Any, mode: Literal["job", "batch", "session"]) -> Iterator[Any]:
    """Open a batch or a session for the jobs of an IBM device; it closes at the end.

    "batch" keeps jobs together; "session" reserves the device, which is billed until the session
    closes; "job" sends jobs one by one and opens nothing. One that cannot be closed is a warning:
    the bits are there.
    """
    if mode == "job":
        yield None
        return
    with calling(f"no {mode} could be opened"):
        opened = Batch(backend) if mode == "batch" else Session(backend)
        opened.__enter__()
    try:
        yield opened
    finally:
        billed = ", and is billed until it ends by itself" if mode == "session" else ""
        try:
            with calling(f"the {mode} could not be closed{billed}"):
                opened.__exit__(None, None, None)
        except HardwareError as error:
            warnings.warn(str(error), stacklevel=2)


def rows_per_job(circuit: QuantumCircuit, shots: int) -> int:
    """Compute how many rows of angles a job of this circuit may have."""
    every = list(feedforward.written_out(circuit))  # branches that are not taken are kept, too
    on = Counter(qubit for instruction in every for qubit in instruction.qubits)
    pairs = sum(isinstance(each.operation, Gate) and len(each.qubits) > 1 for each in every)
    rows = min(
        MAX_EXECUTIONS // shots,
        MAX_INSTRUCTIONS // max(on.values()),
        MAX_PAIR_GATES // max(1, pairs),
    )
    if rows < 1:
        raise HardwareError(
            f"{shots} shots of this circuit exceed the limits of a job: {MAX_EXECUTIONS} shots, "
            f"{MAX_INSTRUCTIONS} instructions on a qubit, {MAX_PAIR_GATES} two-qubit gates"
        )
    return rows


def billed(job: Any) -> float:
    """Read the seconds that a job has used; 0 where the service does not tell, as it may at first.

    The bits are there, and no answer to this question stops a run.
    """
    with suppress(HardwareError), calling("the billed time is unknown"):
        seconds = float(job.usage() or 0.0)
        return seconds if math.isfinite(seconds) and seconds > 0 else 0.0
    return 0.0
