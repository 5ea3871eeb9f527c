"""Real quantum stacks: circuits, devices and the jobs that run on them (extra `hardware`).

device = hardware.find("fake_brisbane")
bits = hardware.DeviceBits(hardware.Executor(device, pack=16))
run = hardware.run_network(network, spikes, bits, generator)
"""

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from sqsnn.errors import HardwareError
from sqsnn.lazy import lazy_names

_MODULES = {
    "Compiled": "sqsnn.hardware.compile",
    "Counts": "sqsnn.hardware.executor",
    "Device": "sqsnn.hardware.devices",
    "DeviceBits": "sqsnn.hardware.bit_source",
    "Executor": "sqsnn.hardware.executor",
    "Journal": "sqsnn.hardware.jobs",
    "calibrate": "sqsnn.hardware.mitigation",
    "find": "sqsnn.hardware.devices",
    "from_qasm3": "sqsnn.hardware.circuits",
    "neuron_circuit": "sqsnn.hardware.circuits",
    "run_network": "sqsnn.hardware.network",
    "to_qasm3": "sqsnn.hardware.circuits",
}
_WANTED = ("qiskit", "qiskit_aer", "qiskit_ibm_runtime", "qiskit_qasm3_import")


def _installed(name: str) -> bool:
    return sys.modules.get(name, True) is not None and find_spec(name) is not None


_missing = [name for name in _WANTED if not _installed(name)]
if _missing:
    raise HardwareError(
        f"quantum backends need {', '.join(_missing)}, which cannot be imported here: "
        "pip install 'sqsnn[hardware]'"
    )

if TYPE_CHECKING:
    from sqsnn.hardware.bit_source import DeviceBits as DeviceBits
    from sqsnn.hardware.circuits import from_qasm3 as from_qasm3
    from sqsnn.hardware.circuits import neuron_circuit as neuron_circuit
    from sqsnn.hardware.circuits import to_qasm3 as to_qasm3
    from sqsnn.hardware.compile import Compiled as Compiled
    from sqsnn.hardware.devices import Device as Device
    from sqsnn.hardware.devices import find as find
    from sqsnn.hardware.executor import Counts as Counts
    from sqsnn.hardware.executor import Executor as Executor
    from sqsnn.hardware.jobs import Journal as Journal
    from sqsnn.hardware.mitigation import calibrate as calibrate
    from sqsnn.hardware.network import run_network as run_network
else:
    __all__ = [*_MODULES]
    __getattr__, __dir__ = lazy_names(__name__, _MODULES)
