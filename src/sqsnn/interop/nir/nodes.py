"""The node of quantum neurons in a NIR graph, which no other package can take for an LIF.

Importing this module teaches `nir.read` the type "SQS"; where sqsnn is not imported, `nir.read`
stops at it. No package has a neuron for it, so that each refuses the node by its class.
"""

import json
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np
import torch
from nir import ir
from pydantic import TypeAdapter
from torch.nn.utils import parametrize

from sqsnn.neurons.drive import Drive
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum.circuit_text import gate_list, read_gate_list
from sqsnn.quantum.noise import Noise

_PARAMETERS = ("angles", "gains", "beta", "reset", "bias")
_PLAIN = ("channels", "memory_qubits", "share", "through_collapse", "noise_simulation")
_CHOICES = ("surrogate", "encoding_slope")
_DRIVE: TypeAdapter[Any] = TypeAdapter(Drive)
_NOISE: TypeAdapter[Any] = TypeAdapter(Noise | None)


@dataclass(eq=False)
class SQS(nir.NIRNode):
    """A population of stochastic quantum spiking neurons, `sqsnn.SQSNeurons`.

    Attributes:
        shape: The grid of the neurons, or their number.
        circuit: All gates of a time step, as `circuit_text.gate_list` writes them.
        name: The name of the circuit.
        settings: The other arguments of `SQSNeurons`, as JSON.
        parameters: Angles, gains and what the drive has learned, one row per neuron.
    """

    shape: np.ndarray
    circuit: str
    name: str
    settings: str
    parameters: dict[str, np.ndarray]

    def __post_init__(self) -> None:
        self.input_type = {"input": np.array(self.shape)}
        self.output_type = {"output": np.array(self.shape)}


def register() -> None:
    """Teach `nir.read` the type "SQS"; once more changes nothing."""
    known: list[str] = vars(ir)["__all_ir"]
    if SQS.__name__ not in known:
        known.append(SQS.__name__)
    setattr(ir, SQS.__name__, SQS)


def write_sqs(neurons: SQSNeurons) -> SQS:
    """Write quantum neurons as a node.

    Raises:
        ValueError: If a surrogate or slope is a function, which no file can hold.
    """
    settings: dict[str, Any] = {name: getattr(neurons, name) for name in (*_PLAIN, *_CHOICES)}
    for name in _CHOICES:
        if callable(settings[name]):
            raise ValueError(f"{name} is a function, which NIR cannot hold; give one of the names")
    parameters = {name: getattr(neurons, name) for name in _PARAMETERS if hasattr(neurons, name)}
    settings["drive"] = _DRIVE.dump_python(neurons.drive, mode="json")
    settings["noise"] = _NOISE.dump_python(neurons.noise, mode="json")
    settings["memory_gates"] = "trained"
    if not all(parameter.requires_grad for parameter in neurons.parameters()):
        settings["memory_gates"] = "frozen"
    return SQS(
        np.array(neurons.shape),
        gate_list(neurons.circuit),
        neurons.circuit.name,
        json.dumps(settings),
        # HDF5 has no compressed arrays without elements.
        {name: _array(tensor) for name, tensor in parameters.items() if tensor.numel()},
    )


def read_sqs(node: SQS, *, generator: torch.Generator, dtype: torch.dtype) -> SQSNeurons:
    """Make quantum neurons of a node."""
    settings = json.loads(node.settings)
    drive = _DRIVE.validate_python(settings.pop("drive"))
    noise = _NOISE.validate_python(settings.pop("noise"))
    sizes = settings["channels"], settings["memory_qubits"]
    neurons = SQSNeurons(
        tuple(map(int, node.shape)),
        circuit=read_gate_list(node.circuit, *sizes, node.name),
        drive=drive,
        noise=noise,
        generator=generator,
        dtype=dtype,
        **settings,
    )
    for name, values in node.parameters.items():
        assign(neurons, name, torch.from_numpy(np.asarray(values)))
    return neurons


def assign(module: torch.nn.Module, name: str, values: torch.Tensor) -> None:
    """Set a parameter that may be shared or frozen in part."""
    with torch.no_grad():
        current = getattr(module, name)
        values = values.to(current)
        if values.shape != current.shape:
            raise ValueError(
                f"{name} has shape {tuple(values.shape)}; it must be {tuple(current.shape)}"
            )
        if parametrize.is_parametrized(module, name):
            setattr(module, name, values)
        else:
            current.copy_(values)


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()


register()
