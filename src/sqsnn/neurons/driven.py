"""A population behind a drive: it keeps the membrane, and learns beta, theta and c."""

import hashlib
import json
from abc import abstractmethod
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.neurons import surrogates
from sqsnn.neurons.drive import (
    Drive,
    Leaky,
    LeakyController,
    Learned,
    Membrane,
    at_rest,
    first_values,
    integrate,
    settle,
)
from sqsnn.neurons.population import LARGEST_PARAMETER, Population
from sqsnn.neurons.surrogates import EncodingSlope
from sqsnn.quantum.circuit import Circuit
from sqsnn.quantum.circuit_text import gate_list
from sqsnn.quantum.control import Controller, Fixed, Turns


class SQSState(NamedTuple):
    """The memory qubits between two steps, and the drive where it is leaky.

    The memory is complex, in the laboratory frame, up to a global phase.
    """

    memory: Tensor  # (B, H, 2**M), or density matrices (B, H, 2**M, 2**M)
    membrane: Tensor | None = None  # u, or v with a reset of K steps, (B, H, N)
    spikes: Tensor | None = None  # the last spikes, the newest first, (B, H, N, K), or K = 1


class DrivenPopulation(Population):
    """The base class of neurons whose currents become angles by way of a drive."""

    encoding_slope: EncodingSlope
    circuit: Circuit
    largest_parameter = LARGEST_PARAMETER

    @property
    def law(self) -> dict[str, str]:
        """What the parameters turn: angles of another circuit, or of another drive, mean nothing.

        The circuit goes by its gates, whatever it is called.
        """
        gates = hashlib.sha256(gate_list(self.circuit).encode()).hexdigest()[:16]
        drive = self.drive.kind
        if isinstance(self.drive, Leaky):
            drive += f", floor {self.drive.floor}, reset_steps {self.drive.reset_steps}"
        return {"circuit": self.circuit.name, "gates": gates, "drive": drive}

    def get_extra_state(self) -> Tensor:
        """Give the law for `state_dict`, as the bytes of its JSON."""
        return torch.tensor(list(json.dumps(self.law).encode()), dtype=torch.uint8, device="cpu")

    def set_extra_state(self, state: Any) -> None:
        """Refuse a state of another law.

        Raises:
            ValueError: If the circuit or the drive is another; names both.
        """
        try:
            then = json.loads(bytes(state.tolist()))
            name = then.pop("circuit")
        except (AttributeError, TypeError, ValueError, KeyError):
            raise ValueError("the state does not say of which circuit its weights are") from None
        now = self.law
        if then != {part: now[part] for part in ("gates", "drive")}:
            raise ValueError(
                f"the state holds weights of circuit {name} (gates {then.get('gates')}) with the "
                f"drive {then.get('drive')}, but this population has circuit {now['circuit']} "
                f"(gates {now['gates']}) with the drive {now['drive']}"
            )

    @abstractmethod
    def turns(self, potential: Float[Tensor, "*batch H N"]) -> Turns:
        """Encode what the drive gives: u, or z without a membrane."""

    def add_drive(
        self, drive: Drive, dtype: torch.dtype, device: torch.device | str | None
    ) -> None:
        """Take a drive, and make its parameters: `(H, N)` each, or reset `(H, N, K)`."""
        self.drive = drive
        if isinstance(drive, Leaky):
            learned = first_values(drive, self.groups, self.channels, dtype, device)
            self.beta, self.reset, self.bias = learned
            self.share_parameters("beta", "reset", "bias")
            self.membrane_operations = 1 + drive.remembered_spikes

    @property
    def learned_drive(self) -> Learned:
        """The parameters of a leaky drive, beta clamped to [0, 1]."""
        return Learned(surrogates.held(self.beta, 0.0, 1.0), self.reset, self.bias)

    def potentials(
        self, currents: Float[Tensor, "T B H N"], spikes: Float[Tensor, "T B H N"]
    ) -> Float[Tensor, "T B H N"]:
        """Compute what is encoded at every step from rest, the own spikes given: u, or z.

        Given the spikes, all angles are known before the first step, and the circuits are static.
        """
        if not isinstance(self.drive, Leaky):
            return currents
        # Held once per pass: what leads beta outward is a matter of the sum over the steps.
        learned, exact = self.learned_drive, self.encoding_slope == "exact"
        membrane, rows = at_rest(self.drive, currents[0]), []
        for current, own in zip(currents, spikes, strict=True):
            potential, membrane = integrate(self.drive, learned, current, membrane, exact=exact)
            membrane = settle(membrane, own)
            rows.append(potential)
        return torch.stack(rows)

    def integrate(
        self, currents: Float[Tensor, "*batch H N"], before: Membrane
    ) -> tuple[Tensor, Membrane]:
        """Compute the potential u of a step of a leaky drive, and the membrane after it."""
        exact = self.encoding_slope == "exact"
        return integrate(self._leaky_drive(), self.learned_drive, currents, before, exact=exact)

    def start_of_drive(
        self, currents: Float[Tensor, "B H N"], state: SQSState | None
    ) -> Membrane | None:
        """Take the drive's part out of a state, or make it at rest; None without a membrane.

        Raises:
            ValueError: If the state does not fit the drive.
        """
        if not isinstance(self.drive, Leaky):
            if state is not None and state.membrane is not None:
                raise ValueError(
                    f"state.membrane is a tensor, but drive is {self.drive!r}, which has none"
                )
            return None
        start = at_rest(self.drive, currents)
        if state is None:
            return start
        if state.membrane is None or state.spikes is None:
            raise ValueError(f"state.membrane is None, but drive is {self.drive!r}, which has one")
        for part, wanted in start._asdict().items():
            self.check_state_part(part, getattr(state, part), wanted.shape, wanted.dtype)
        return Membrane(state.membrane, state.spikes)

    def controller(
        self,
        currents: Float[Tensor, "T B H N"],
        state: SQSState | None = None,
        observed: Tensor | None = None,
    ) -> Controller:
        """Make what chooses the angles of a pass.

        Args:
            currents: Currents of T steps.
            state: Where a leaky drive goes on; None starts at rest.
            observed: Spikes that are given: they are data, and nothing runs through them.

        Raises:
            ValueError: If the state does not fit the drive.
        """
        start = self.start_of_drive(currents[0], state)
        if start is None or not isinstance(self.drive, Leaky):
            return Fixed(*self.turns(currents))
        is_data = observed is not None or not self.drive.through_reset
        surrogate = partial(surrogates.own_spike, surrogate=self.surrogate)
        return LeakyController(
            self.drive,
            self.learned_drive,
            currents,
            start,
            self.encoding_slope == "exact",
            self.turns,
            None if is_data else surrogate,
        )

    def _leaky_drive(self) -> Leaky:
        if not isinstance(self.drive, Leaky):
            raise TypeError(f"drive is {self.drive!r}, which has no membrane")
        return self.drive
