"""Real quantum stacks: circuits, devices and the jobs that run on them (extra `hardware`).

device = hardware.find("fake_boston")
bits = hardware.DeviceBits(hardware.Executor(device, pack=16))
record = sqsnn.learning.run_network(network, spikes, bits, generator)

Without the extra the room and its names can still be imported; using one raises an error that says
what to install.
"""

import sys
from importlib.util import find_spec
from typing import Any, NoReturn

import lazy_loader

from sqsnn.errors import HardwareError

_WANTED = ("qiskit", "qiskit_aer", "qiskit_ibm_runtime", "qiskit_qasm3_import")
_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def _installed(name: str) -> bool:
    return sys.modules.get(name, True) is not None and find_spec(name) is not None


_missing = [name for name in _WANTED if not _installed(name)]


class _MissingError(HardwareError, AttributeError):
    """Also an AttributeError, so that `hasattr` and `inspect` find nothing instead of failing."""


class _NotInstalled:
    """Stands for a name of this room where the extra is not installed."""

    def __call__(self, *args: object, **kwargs: object) -> NoReturn:
        self.__getattr__("")

    def __getattr__(self, name: str) -> NoReturn:
        raise _MissingError(
            f"quantum backends need {', '.join(_missing)}, which cannot be imported here: "
            "pip install 'sqsnn[hardware]'"
        )


def require() -> None:
    """Refuse to go on where the extra is not installed.

    Raises:
        HardwareError: If a package is missing; it says what to install.
    """
    if _missing:
        _NotInstalled()()


def __getattr__(name: str) -> Any:
    return _NotInstalled() if _missing and name in __all__ else _load(name)
