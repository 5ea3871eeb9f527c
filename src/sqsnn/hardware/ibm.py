"""IBM devices: the account, and nothing of it in files, messages or logs.

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
    """The service of the user's own account.

    Raises:
        HardwareError: There is no account, or the service cannot be reached with it.
    """
    try:
        return QiskitRuntimeService()
    except (*_REFUSED, AttributeError) as error:  # the last from a malformed saved account
        raise HardwareError(f"no IBM account could be used ({told(error)}); {_HOW}") from None


def backend(name: str) -> BackendV2:
    """A device of the account.

    Raises:
        HardwareError: There is no account, or it has no such device.
    """
    account = service()
    try:
        return account.backend(name)
    except _REFUSED as error:
        raise HardwareError(f"IBM device {name!r} cannot be had ({told(error)})") from None


def job(number: str) -> Any:
    """A job that was submitted earlier.

    Raises:
        HardwareError: There is no account, or it has no such job.
    """
    account = _service_for_jobs()
    try:
        return account.job(number)
    except _REFUSED as error:
        raise HardwareError(f"IBM job {number!r} cannot be had ({told(error)})") from None


def open_mode(
    backend: Any, mode: Literal["job", "batch", "session"]
) -> AbstractContextManager[Any]:
    """How jobs are sent to an IBM device: a batch or a session, closed at the end, or one by one.

    Args:
        backend: The device.
        mode: "batch" keeps jobs together, "session" the device to itself, which is billed until it
            is closed.

    Raises:
        HardwareError: The service refuses it.
    """
    if mode == "job":
        return nullcontext()
    try:
        return Batch(backend) if mode == "batch" else Session(backend)
    except _REFUSED as error:
        raise HardwareError(f"no {mode} could be opened ({told(error)})") from None


def rows_per_job(circuit: QuantumCircuit, shots: int) -> int:
    """How many rows of angles a job may have.

    Args:
        circuit: As it is sent.
        shots: Of every row.

    Raises:
        HardwareError: Not even one.
    """
    on = Counter(qubit for instruction in circuit.data for qubit in instruction.qubits)
    rows = min(
        MAX_EXECUTIONS // shots,
        MAX_INSTRUCTIONS // max(on.values()),
        MAX_PAIR_GATES // max(1, circuit.num_nonlocal_gates()),
    )
    if rows < 1:
        raise HardwareError(
            f"{shots} shots of this circuit are more than a job takes: {MAX_EXECUTIONS} shots, "
            f"{MAX_INSTRUCTIONS} instructions on a qubit, {MAX_PAIR_GATES} two-qubit gates"
        )
    return rows


def billed(job: Any) -> float:
    """Seconds that a job has used, as far as the service knows: at first it may not, and says 0."""
    try:
        return float(job.usage() or 0.0)
    except _REFUSED:
        return 0.0


@cache
def _service_for_jobs() -> QiskitRuntimeService:
    return service()


def told(error: Exception) -> str:
    """What an error says, in one line, without the account's token."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    for token in _tokens():
        text = text.replace(token, "***")
    return text


def _tokens() -> list[str]:
    """The tokens of all accounts that could be meant."""
    try:
        saved = QiskitRuntimeService.saved_accounts().values()
    except (*_REFUSED, OSError, AttributeError):
        saved = ()
    tokens = [account.get("token") for account in saved]
    return [token for token in (*tokens, os.environ.get("QISKIT_IBM_TOKEN")) if token]
