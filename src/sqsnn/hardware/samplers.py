"""Samplers that run a compiled circuit: Aer, alone or with a snapshot's noise, Braket's, or IBM's.

All have Qiskit's SamplerV2 form. Aer simulates only the part of a snapshot that the circuit stands
on: by state vectors of up to a dozen qubits, else by matrix product states, which stay small since
neurons side by side are never entangled with each other.
"""

from collections.abc import Callable
from typing import Any

from qiskit.primitives import BaseSamplerV2
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel
from qiskit_aer.primitives import SamplerV2 as AerSampler

from sqsnn.hardware import braket
from sqsnn.hardware.compile import Compiled
from sqsnn.hardware.devices import Device
from sqsnn.hardware.feedforward import is_conditional

LARGEST_STATE = 12

# seed -> sampler; a device draws its outcomes itself and ignores the seed.
Sampler = BaseSamplerV2
SamplerFactory = Callable[[int], Sampler]


def sampler_for(
    device: Device, compiled: Compiled, *, noisy: bool = True, threads: int = 1, mode: Any = None
) -> SamplerFactory:
    """Make the samplers that run a compiled circuit; `mode` is a session or batch of IBM."""
    if device.kind == "ibm":
        from sqsnn.hardware import ibm

        sampler = ibm.sampler(device.backend, mode)
        return lambda seed: sampler
    if device.name == braket.NAME:
        return braket.LocalSampler
    width = compiled.circuit.num_qubits
    noise = NoiseModel.from_backend(compiled.backend) if noisy and device.has_chip else None
    # Angles are bound inside Aer, which is several times faster than a circuit for every row; but
    # where there are conditions Aer 0.18 then stops with "Invalid jump destination".
    simulator = AerSimulator(
        method="statevector" if width <= LARGEST_STATE else "matrix_product_state",
        noise_model=noise,
        runtime_parameter_bind_enable=not is_conditional(compiled.circuit),
        max_parallel_experiments=threads,
        max_parallel_threads=threads,
    )
    return lambda seed: AerSampler.from_backend(simulator, seed=seed)
