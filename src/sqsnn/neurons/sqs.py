"""The stochastic quantum spiking (SQS) neuron.

    phi_n = pi max(z_n, 0)                              encoding: RX(gain phi_n) on rotated qubits
    psi   = V(theta) (|u(phi)> (x) R(phi) m_{t-1})      N channel qubits, M memory qubits
    p(s)  = || <s| psi ||^2                             one measurement gives the N spikes
    m_t   = <s| psi / sqrt(p(s))                        the memory keeps its collapsed state

Source: Chen, Rajendran, Simeone, arXiv:2506.21324; circuits in `quantum/circuits.py`.
"""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from sqsnn.checks import check_same_device, check_shape
from sqsnn.neurons import surrogates
from sqsnn.neurons.population import Population, Record
from sqsnn.neurons.surrogates import EncodingSlope, SpikeSurrogate
from sqsnn.quantum import circuits, trajectory
from sqsnn.quantum import instrument as quantum
from sqsnn.quantum.circuits import Circuit


class SQSState(NamedTuple):
    """The memory qubits: `(B, H, 2**M)`, complex, laboratory frame."""

    memory: Tensor


class SQSNeurons(Population):
    """H quantum neurons with N channels and M memory qubits each.

    Args:
        size: H.
        channels: N in 1..4.
        memory_qubits: M in 0..6.
        circuit: A registered name ("crx", "bidirectional", "integrate_and_fire",
            "hardware_efficient" or your own) or a `Circuit`.
        circuit_options: What the named circuit takes besides, e.g. `{"layers": 2}`.
        surrogate: d(spike)/d(marginal probability) in the backward pass.
        encoding_slope: Slope of the encoding where a current is negative.
        through_collapse: Let own spikes pass a gradient to the memory that they collapse.
        compile: Run the time steps through torch.compile (real circuits; needs a C++ compiler).
        generator: Draws the initial values; None starts from a generator seeded with 0.
        dtype: torch.float32 or torch.float64.
        device: Where the parameters lie.

    Raises:
        ValueError: An argument is out of range; the message says what it may be.
    """

    def __init__(
        self,
        size: int,
        *,
        channels: int = 1,
        memory_qubits: int = 1,
        circuit: str | Circuit = "bidirectional",
        circuit_options: Mapping[str, object] | None = None,
        surrogate: SpikeSurrogate = "straight_through",
        encoding_slope: EncodingSlope = "exponential",
        through_collapse: bool = False,
        compile: bool = False,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__(size, channels)
        surrogates.check_choice("surrogate", surrogate, SpikeSurrogate)
        surrogates.check_choice("encoding_slope", encoding_slope, EncodingSlope)
        self.circuit = circuits.get(circuit, channels, memory_qubits, **dict(circuit_options or {}))
        self.memory_qubits = memory_qubits
        self.surrogate: SpikeSurrogate = surrogate
        self.encoding_slope: EncodingSlope = encoding_slope
        self.through_collapse = through_collapse
        self.compile_steps = compile
        generator = generator or torch.Generator().manual_seed(0)
        start = self.circuit.initial_parameters(size, generator)
        self.angles = nn.Parameter(start.to(device=device, dtype=dtype))  # (H, parameters)
        gains = [r.gain for r in self.circuit.encoding if r.trainable]
        self.gains = nn.Parameter(
            torch.tensor(gains, device=device, dtype=dtype).repeat(size, 1)
        )  # (H, trainable gains)

    @property
    def parameter_like(self) -> Tensor:
        """A tensor of the population's device and dtype."""
        return self.angles

    def evolve(
        self,
        currents: Float[Tensor, "T B H N"],
        state: SQSState | None,
        uniforms: Float[Tensor, "T B H"] | None,
        observed: Float[Tensor, "T B H N"] | None,
        keep_memory: bool,
    ) -> tuple[Record, SQSState]:
        """T steps of the instrument; see `Population.forward`."""
        instrument = quantum.prepare(self.circuit, self.angles)
        surrogate = partial(surrogates.spike, surrogate=self.surrogate)
        result = trajectory.run(
            instrument,
            self._enter(instrument, state, currents),
            self.encoding_angles(currents),
            uniforms=uniforms,
            observed=observed,
            through_collapse=surrogate if self.through_collapse else None,
            keep_history=keep_memory,
            compile=self.compile_steps,
        )
        record = Record(
            surrogate(result.bits, result.marginals),
            result.marginals,
            result.log_likelihood,
            None if result.history is None else quantum.to_laboratory(instrument, result.history),
        )
        return record, SQSState(quantum.to_laboratory(instrument, result.memory))

    def encoding_angles(self, currents: Float[Tensor, "*batch H N"]) -> list[Tensor]:
        """The angle of each rotation of the encoding in radians, `(*batch, H)` each."""
        phi = surrogates.encoding_angle(currents, self.encoding_slope).unbind(-1)
        gains = iter(self.gains.unbind(-1))
        angles = []
        for rotation in self.circuit.encoding:
            gain = next(gains) if rotation.trainable else rotation.gain
            fixed_one = not rotation.trainable and rotation.gain == 1.0
            angles.append(phi[rotation.channel] if fixed_one else phi[rotation.channel] * gain)
        return angles

    def kraus_operators(
        self, currents: Float[Tensor, "B H N"]
    ) -> Complex[Tensor, "B H outcomes dim dim"]:
        """K_s(phi) of every outcome, `(B, H, 2**N, 2**M, 2**M)`, laboratory frame."""
        check_shape("currents", currents, ("batch", self.size, self.channels))
        instrument = quantum.prepare(self.circuit, self.angles)
        return quantum.kraus_operators(
            instrument, torch.stack(self.encoding_angles(currents), dim=-1)
        )

    def sequence_probabilities(
        self, currents: Float[Tensor, "T B H N"]
    ) -> Float[Tensor, "B H sequences"]:
        """The exact law of all 2**(N T) spike sequences, step 1 the most significant digit."""
        check_shape("currents", currents, ("steps", "batch", self.size, self.channels))
        instrument = quantum.prepare(self.circuit, self.angles)
        return quantum.sequence_probabilities(
            instrument, torch.stack(self.encoding_angles(currents), dim=-1)
        )

    def extra_repr(self) -> str:
        """What `print(network)` shows."""
        return (
            f"{self.size}, channels={self.channels}, memory_qubits={self.memory_qubits}, "
            f"circuit={self.circuit.name!r}"
        )

    def _enter(
        self, instrument: quantum.Instrument, state: SQSState | None, currents: Tensor
    ) -> Tensor:
        if state is None:
            return quantum.ground_state(instrument, currents.shape[1])
        dim = 2**self.memory_qubits
        check_shape("state.memory", state.memory, (currents.shape[1], self.size, dim))
        check_same_device(currents=currents, **{"state.memory": state.memory})
        return quantum.from_laboratory(instrument, state.memory)
