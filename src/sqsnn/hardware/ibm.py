"""IBM devices, through the user's account, of which nothing enters files, messages or logs.

The account is the one saved by `QiskitRuntimeService.save_account`, or that of the environment
variable QISKIT_IBM_TOKEN. No token passes through sqsnn.
"""

import os
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, Literal

from qiskit import QuantumCircuit
from qiskit.exceptions import QiskitError
from qiskit.providers import BackendV2
from qiskit_ibm_runtime import Batch, QiskitRuntimeService, Session
from requests.exceptions import RequestException

from sqsnn.errors import HardwareError

# What the service and the network raise; QiskitError is the root of all of IBM's own.
_REFUSED = (QiskitError, RequestException, ValueError)

# A job's limits: shots, instructions on any one qubit, and two-qubit gates, over all rows of angles
# (https://quantum.cloud.ibm.com/docs/guides/job-limits).
MAX_EXECUTIONS = 10_000_000
MAX_INSTRUCTIONS = 26_800_000
MAX_PAIR_GATES = 5_000_000

_HOW = (
    "save an account once with qiskit_ibm_runtime.QiskitRuntimeService.save_account(token=...), "
    "or set QISKIT_IBM_TOKEN"
)


def service() -> QiskitRuntimeService:
    """Open the service of the user's account."""
    try:
        return QiskitRuntimeService()
    except (*_REFUSED, AttributeError) as error:  # the last from a malformed saved account
        raise HardwareError(f"no IBM account could be used ({one_line(error)}); {_HOW}") from None


def backend(name: str) -> BackendV2:
    """Find a device of the account."""
    account = service()
    try:
        return account.backend(name)
    except _REFUSED as error:
        raise HardwareError(f"IBM device {name!r} cannot be had ({one_line(error)})") from None


def job(number: str) -> Any:
    """Find a job that was submitted earlier."""
    account = _service_for_jobs()
    try:
        return account.job(number)
    except _REFUSED as error:
        raise HardwareError(f"IBM job {number!r} cannot be had ({one_line(error)})") from None


def open_mode(
    backend: Any, mode: Literal["job", "batch", "session"]
) -> AbstractContextManager[Any]:
    """Open a batch or a session for the jobs of an IBM device; it closes at the end.

    "batch" keeps jobs together; "session" reserves the device, which is billed until the session
    closes; "job" sends jobs one by one and opens nothing.
    """
    if mode == "job":
        return nullcontext()
    try:
        return Batch(backend) if mode == "batch" else Session(backend)
    except _REFUSED as error:
        raise HardwareError(f"no {mode} could be opened ({one_line(error)})") from None


def rows_per_job(circuit: QuantumCircuit, shots: int) -> int:
    """Compute how many rows of angles a job of this circuit may have."""
    on = Counter(qubit for instruction in circuit.data for qubit in instruction.qubits)
    rows = min(
        MAX_EXECUTIONS // shots,
        MAX_INSTRUCTIONS // max(on.values()),
        MAX_PAIR_GATES // max(1, circuit.num_nonlocal_gates()),
    )
    if rows < 1:
        raise HardwareError(
            f"{shots} shots of this circuit exceed the limits of a job: {MAX_EXECUTIONS} shots, "
            f"{MAX_INSTRUCTIONS} instructions on a qubit, {MAX_PAIR_GATES} two-qubit gates"
        )
    return rows


def billed(job: Any) -> float:
    """Read the seconds that a job has used; the service may report 0 at first."""
    try:
        return float(job.usage() or 0.0)
    except _REFUSED:
        return 0.0


@cache
def _service_for_jobs() -> QiskitRuntimeService:
    return service()


def one_line(error: Exception) -> str:
    """Write an error in one line, without the account's token."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    for token in _tokens():
        text = text.replace(token, "***")
    return text


def _tokens() -> list[str]:
    """List the tokens of all accounts in question."""
    try:
        saved = QiskitRuntimeService.saved_accounts().values()
    except (*_REFUSED, OSError, AttributeError):
        saved = ()
    tokens = [account.get("token") for account in saved]
    return [token for token in (*tokens, os.environ.get("QISKIT_IBM_TOKEN")) if token]
