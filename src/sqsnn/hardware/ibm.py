"""IBM devices: the account, and nothing of it in files, messages or logs.

The account is the one saved by `QiskitRuntimeService.save_account`, or that of the environment
variable QISKIT_IBM_TOKEN. No token passes through sqsnn.
"""

import os
from typing import Any

from qiskit.exceptions import QiskitError
from qiskit.providers import BackendV2
from qiskit_ibm_runtime import QiskitRuntimeService
from requests.exceptions import RequestException

from sqsnn.errors import HardwareError

# What the service and the network raise; QiskitError is the root of all of IBM's own.
_REFUSED = (QiskitError, RequestException, ValueError)
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
    except _REFUSED as error:
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
    account = service()
    try:
        return account.job(number)
    except _REFUSED as error:
        raise HardwareError(f"IBM job {number!r} cannot be had ({told(error)})") from None


def told(error: Exception) -> str:
    """What an error says, in one line, without the account's token."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    token = os.environ.get("QISKIT_IBM_TOKEN")
    return text.replace(token, "***") if token else text
