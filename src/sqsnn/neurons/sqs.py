"""The stochastic quantum spiking (SQS) neuron.

    phi_n = pi clip(u_n, 0, 1)                          of a leaky drive u, `drive.py`
    RX(gain phi_n)                                      encoding, on rotated qubits
    psi   = V(theta) (|u(phi)> (x) R(phi) m_{t-1})      N channel qubits, M memory qubits
    p(s)  = || <s| psi ||^2                             one measurement gives the N spikes
    m_t   = <s| psi / sqrt(p(s))                        the memory keeps its collapsed state

Source: Chen, Rajendran, Simeone, arXiv:2506.21324; circuits in `quantum/circuits.py`.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor, nn

from sqsnn.checks import check_choice
from sqsnn.neurons import fusing, surrogates
from sqsnn.neurons.drive import Drive, Leaky, check_drive
from sqsnn.neurons.driven import DrivenPopulation, SQSState
from sqsnn.neurons.frozen import freeze_columns
from sqsnn.neurons.population import Backend, Record
from sqsnn.neurons.sharing import Share
from sqsnn.neurons.surrogates import EncodingSlope, SpikeSurrogate
from sqsnn.placing import columns, in_full_precision, place
from sqsnn.quantum import circuits, density, sampled_noise, trajectory
from sqsnn.quantum import instrument as quantum
from sqsnn.quantum.circuits import Circuit, CircuitFactory
from sqsnn.quantum.control import Controller, Turns
from sqsnn.quantum.instrument import Instrument
from sqsnn.quantum.noise import Noise
from sqsnn.quantum.trajectory import Trajectory

NoiseSimulation = Literal["density_matrix", "trajectories"]
MemoryGates = Literal["trained", "frozen"]

LEAKY = Leaky()


class SQSNeurons(DrivenPopulation):
    """H quantum neurons with N channels and M memory qubits each.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> neurons = SQSNeurons(3, generator=generator)
        >>> currents = torch.full((10, 1, 3, 1), 0.5)  # (T, B, H, N)
        >>> record, state = neurons(currents, generator=generator)
        >>> record.spikes.shape
        torch.Size([10, 1, 3, 1])

    Args:
        size: Neurons H, or the shape of their grid, such as (maps, height, width).
        channels: Channels N, the spikes per neuron and step; for circuits in 1..8, with N + M up to
            10. The cost of a step grows as 4**(N + M); the compiled kernel takes N up to 4 and
            N + M up to 8.
        memory_qubits: Memory qubits M, in 0..6.
        circuit: "crx", "bidirectional", "integrate_and_fire", "hardware_efficient", "clock",
            "universal", one of your own, or "module:function"; in Python also such a function, or a
            `Circuit`.
        circuit_options: Options of a named circuit, e.g. `{"layers": 2}`.
        drive: How currents become angles: `Leaky()`, a membrane in front of the circuit;
            `Saturating()`, no further than a full flip; or `Rectified()`, the paper's.
        entangled: Let gates couple the channels of a circuit. If not, channel n keeps the gates on
            itself and on memory qubits n, n + N and so on: N independent circuits, of which those
            beyond the memory qubits have no memory.
        share: Which neurons learn one set of parameters, the circuit's angles and gains and the
            drive's: "none", each has its own; "map", those of one map of a grid; or "population",
            all of them.
        memory_gates: "frozen" excludes from training the angles of gates that act on a memory qubit
            and the gains of currents that turn one.
        surrogate: d(spike)/d(marginal probability) in the backward pass: "straight_through" (1),
            "sigmoid" (p (1 - p)), or in Python a function of p.
        encoding_slope: Slope of the encoding outside its range: "exponential" (it falls off, and is
            0.3 on the floor of a leaky drive), "exact" (0), or in Python a function of u.
        through_collapse: Let own spikes pass a gradient to the memory that they collapse. It
            depends on the phases of the branches: a convention, taken in the real frame for real
            circuits and in the laboratory frame for complex ones.
        noise: Rates of imperfect gates, idling and readout; None for a perfect device.
        noise_simulation: "density_matrix" gives exact probabilities, likelihoods and gradients, for
            N + M up to 4. "trajectories" samples the noise for any N and M, without gradients (run
            it under torch.no_grad()): `record.probability` is then given this sample's noise and
            not only its past spikes, and `record.log_likelihood` is NaN.
        backend: "fused" runs the time steps through the compiled kernel, "torch" through torch;
            "auto" takes the kernel where it can.
        generator: Draws the initial values.
        dtype: torch.float32 or torch.float64.
        device: Where the parameters lie.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        *,
        channels: int = 1,
        memory_qubits: int = 1,
        circuit: str | Circuit | CircuitFactory = "bidirectional",
        circuit_options: Mapping[str, object] | None = None,
        drive: Drive = LEAKY,
        entangled: bool = True,
        share: Share = "none",
        memory_gates: MemoryGates = "trained",
        surrogate: SpikeSurrogate = "straight_through",
        encoding_slope: EncodingSlope = "exponential",
        through_collapse: bool = False,
        noise: Noise | None = None,
        noise_simulation: NoiseSimulation = "density_matrix",
        backend: Backend = "auto",
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__(size, channels, share)
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(f"dtype is {dtype}; it may be torch.float32 or torch.float64")
        check_choice("surrogate", surrogate, SpikeSurrogate)
        check_choice("encoding_slope", encoding_slope, EncodingSlope)
        check_choice("noise_simulation", noise_simulation, NoiseSimulation)
        check_choice("memory_gates", memory_gates, MemoryGates)
        check_drive(drive)
        if memory_gates == "frozen" and memory_qubits == 0:
            raise ValueError("memory_gates is 'frozen', which needs memory_qubits of at least 1")
        start = dict(circuit_options or {})
        if isinstance(drive, Leaky) and circuit == "bidirectional":
            start = {"coupling": 0.0, **start}  # the membrane remembers before the memory does
        # A word on the command line is text, and all text is true.
        if not isinstance(entangled, bool):
            raise ValueError(f"entangled is {entangled!r}; it may be true or false")
        whole = circuits.get(circuit, channels, memory_qubits, **start)
        self.circuit = whole if entangled else whole.cut()
        self.memory_qubits = memory_qubits
        self.surrogate: SpikeSurrogate = surrogate
        self.encoding_slope: EncodingSlope = encoding_slope
        self.through_collapse = through_collapse
        self.own_spikes_are_data = not (through_collapse or drive.passes_gradients)
        self.keeps_memory = memory_qubits > 0 or drive.remembered_spikes > 0
        self.noise = noise
        self.noise_simulation: NoiseSimulation = noise_simulation
        if noise is not None:
            self._check_noise(noise)
        angles = self.circuit.initial_parameters(self.groups, generator)
        angles = angles.to(device=place(device), dtype=dtype)
        self.angles = nn.Parameter(angles)  # (H, parameters)
        gains = [r.gain for r in self.circuit.encoding if r.trainable]
        self.gains = nn.Parameter(
            torch.tensor(gains, device=device, dtype=dtype).repeat(self.groups, 1)
        )  # (H, trainable gains)
        self.add_drive(drive, dtype, device)
        if memory_gates == "frozen":
            self._freeze_memory_gates()
        self.share_parameters("angles", "gains")
        self.choose_backend(backend)

    def obstacle_to_kernel(self) -> str | None:
        """Say why the compiled kernel cannot run these neurons; None where it can."""
        return fusing.obstacle(self)

    @property
    def parameter_like(self) -> Tensor:
        """A tensor with the population's device and dtype."""
        angles = self._parameters.get("angles")
        if angles is None:  # there are none, or they are made of other parameters
            angles = self._buffers.get("angles")
        return next(self.parameters()) if angles is None else angles

    @property
    def uniforms_shape(self) -> tuple[int, ...]:
        """`(H,)`; `(H, numbers)` for noise trajectories, which also draw noise and readout."""
        if self.noise is None or self.noise_simulation == "density_matrix":
            return (self.size,)
        return self.size, sampled_noise.uniforms_per_step(self.circuit, self.noise)

    def evolve(
        self,
        currents: Float[Tensor, "T B H N"],
        state: SQSState | None,
        uniforms: Float[Tensor, "T B H *numbers"] | None,
        observed: Float[Tensor, "T B H N"] | None,
        keep_memory: bool,
    ) -> tuple[Record, SQSState]:
        """Run T steps of the instrument; see `Population.evolve`."""
        if self.runs_fused:
            return fusing.evolve(self, currents, state, uniforms, observed, keep_memory)
        run = self._run if self.noise is None else partial(self._run_noisy, self.noise)
        drawn = {"uniforms": uniforms, "observed": observed, "keep_history": keep_memory}
        result = run(self.controller(currents, state, observed), currents.shape[1], state, **drawn)
        spikes = surrogates.spike(result.bits, result.marginals, self.surrogate)
        record = Record(spikes, result.marginals, result.log_likelihood, result.history)
        return record, SQSState(result.memory, *(result.control or ()))

    def encoding_angle(self, potential: Tensor, gain: Tensor | float = 1.0) -> Tensor:
        """Compute gain phi of each channel in radians from u (z without membrane)."""
        return surrogates.encoding_angle(
            potential, self.encoding_slope, saturate=self.drive.saturates, gain=gain
        )

    def encoding_angles(self, potential: Float[Tensor, "*batch H N"]) -> list[Tensor]:
        """Compute the angle of each rotation of the encoding in radians, `(*batch, H)` each."""
        gains = iter(self.gains.unbind(-1))
        factors = [next(gains) if r.trainable else r.gain for r in self.circuit.encoding]
        plain = [not isinstance(gain, Tensor) and gain == 1 for gain in factors]
        phi = self._by_channel(self.encoding_angle(potential)) if any(plain) else ()
        parts = () if all(plain) else self._by_channel(potential)
        return [
            phi[r.channel] if is_one else self.encoding_angle(parts[r.channel], gain)
            for r, gain, is_one in zip(self.circuit.encoding, factors, plain, strict=True)
        ]

    def _by_channel(self, values: Float[Tensor, "*batch H N"]) -> Sequence[Tensor]:
        # Squeeze one channel: the gradient of unbind is a stack, which copies.
        return values.unbind(-1) if self.channels > 1 else (values.squeeze(-1),)

    def driven(self, potential: Float[Tensor, "*batch H N"]) -> Bool[Tensor, "*batch H rotations"]:
        """Tell whether each rotation of the encoding is placed: no gate where u (or z) <= 0."""
        return columns(potential, tuple(r.channel for r in self.circuit.encoding)) > 0

    def turns(self, potential: Tensor) -> Turns:
        """Give the encoding of a step; only noise asks where there is a gate."""
        driven = None if self.noise is None else self.driven(potential)
        return Turns(self.encoding_angles(potential), driven)

    @in_full_precision
    def kraus_operators(
        self, currents: Float[Tensor, "B H N"], state: SQSState | None = None
    ) -> Complex[Tensor, "B H outcomes dim dim"]:
        """Compute K_s(phi) of every outcome, `(B, H, 2**N, 2**M, 2**M)`, laboratory frame.

        A leaky drive continues from a state; None starts at rest.
        """
        self.check_parameters()
        self.check_currents(currents, "batch")
        if self.noise is not None:
            raise ValueError(
                "a neuron with noise has no single Kraus operator per outcome; take "
                "kraus_operators of one with noise=None"
            )
        control = self.controller(currents[None], state)
        turns, _ = control.turns(0, control.start)
        angles = torch.stack(list(turns.angles), dim=-1)
        return quantum.kraus_operators(self._instrument(), angles)

    @in_full_precision
    def sequence_probabilities(
        self, currents: Float[Tensor, "T B H N"]
    ) -> Float[Tensor, "B H sequences"]:
        """Compute the exact law of all 2**(N T) spike sequences, step 1 as most significant digit.

        With noise it is that of the recorded spikes, by density matrices in both simulations.
        """
        self.check_parameters()
        self.check_currents(currents, "steps", "batch")
        control, (steps, batch) = self.controller(currents), currents.shape[:2]
        if self.noise is None:
            return quantum.sequence_probabilities(self._instrument(), control, steps, batch)
        noisy = density.prepare(self.circuit, self.angles, self.noise)
        return density.sequence_probabilities(noisy, control, steps, batch)

    def extra_repr(self) -> str:
        """Give what `print(network)` shows."""
        return (
            f"{self.shown_size()}, channels={self.channels}, memory_qubits={self.memory_qubits}, "
            f"circuit={self.circuit.name!r}"
            + ("" if self.noise is None else f", noise_simulation={self.noise_simulation!r}")
        )

    def check_given(self, state: SQSState, batch: int) -> None:
        """Refuse a state whose memory these neurons cannot have reached; see `Population`."""
        if self.noise is not None:
            return
        shape, dtype = (batch, self.size, 2**self.memory_qubits), self.angles.dtype.to_complex()
        self.check_state_part("memory", state.memory, shape, dtype)
        quantum.check_memory(self.circuit, state.memory)

    def _instrument(self) -> Instrument:
        """Build V(theta) once per group of neurons that share it."""
        each = self.size // self.groups
        return quantum.repeated(quantum.prepare(self.circuit, self.angles[::each]), each)

    def _run(
        self, control: Controller, batch: int, state: SQSState | None, **spikes: Any
    ) -> Trajectory:
        """Run T noiseless steps; memory states in the laboratory frame."""
        instrument = self._instrument()
        if state is None:
            memory = quantum.ground_state(instrument, batch)
        else:
            memory = quantum.from_laboratory(instrument, state.memory)
        surrogate = partial(surrogates.spike, surrogate=self.surrogate)
        result = trajectory.run(
            instrument,
            memory,
            control,
            # Observed spikes are data: nothing runs through them.
            through_collapse=(
                surrogate if self.through_collapse and spikes["observed"] is None else None
            ),
            **spikes,
        )
        history = result.history
        return result._replace(
            memory=quantum.to_laboratory(instrument, result.memory),
            history=None if history is None else quantum.to_laboratory(instrument, history),
        )

    def _run_noisy(
        self,
        noise: Noise,
        control: Controller,
        batch: int,
        state: SQSState | None,
        **spikes: Any,
    ) -> Trajectory:
        """Run T noisy steps on density matrices, or on pure states with sampled noise."""
        by_density = self.noise_simulation == "density_matrix"
        shape = (batch, self.size, *(2**self.memory_qubits,) * (2 if by_density else 1))
        dtype = self.angles.dtype.to_complex()
        if state is None:
            memory = torch.zeros(shape, dtype=dtype, device=self.angles.device)
            memory[(..., *(0 for _ in shape[2:]))] = 1  # |0><0| or |0>
        else:
            self.check_state_part("memory", state.memory, shape, dtype)
            memory = state.memory
        if by_density:
            noisy = density.prepare(self.circuit, self.angles, noise)
            return density.run(noisy, memory, control, **spikes)
        if spikes.pop("observed") is not None:
            raise ValueError(
                "observed spikes cannot be scored with noise_simulation='trajectories': the "
                "likelihood given one sample of the noise is not the likelihood; use "
                "noise_simulation='density_matrix'"
            )
        sampled = sampled_noise.prepare(self.circuit, self.angles, noise)
        return sampled_noise.run(sampled, memory, control, **spikes)

    def _freeze_memory_gates(self) -> None:
        circuit, first = self.circuit, self.channels
        on_memory = {gate.parameter for gate in circuit.gates if max(gate.qubits) >= first}
        freeze_columns(self, "angles", [k in on_memory for k in range(circuit.parameters)])
        trainable = [rotation for rotation in circuit.encoding if rotation.trainable]
        freeze_columns(self, "gains", [r.qubit >= first for r in trainable])

    def _check_noise(self, noise: Noise) -> None:
        if not isinstance(noise, Noise):
            raise TypeError(f"noise must be a Noise or None, but is {noise!r}")
        if self.through_collapse:
            raise ValueError("through_collapse is True, which works without noise only")
        if self.noise_simulation == "density_matrix":
            density.check_density_qubits(self.circuit)
