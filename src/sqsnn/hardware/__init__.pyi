from . import ibm as ibm
from .bit_source import DeviceBits as DeviceBits
from .braket import to_braket as to_braket
from .calibration import effective_noise as effective_noise
from .circuits import from_qasm3 as from_qasm3
from .circuits import neuron_circuit as neuron_circuit
from .circuits import to_qasm3 as to_qasm3
from .compile import Compiled as Compiled
from .devices import Device as Device
from .devices import find as find
from .executor import Counts as Counts
from .executor import Executor as Executor
from .jobs import Journal as Journal
from .mitigation import calibrate as calibrate

def require() -> None: ...

__all__ = [
    "Compiled",
    "Counts",
    "Device",
    "DeviceBits",
    "Executor",
    "Journal",
    "calibrate",
    "effective_noise",
    "find",
    "from_qasm3",
    "ibm",
    "neuron_circuit",
    "to_braket",
    "to_qasm3",
]
