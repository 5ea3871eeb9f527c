"""Quantum neurons as a layer of any PyTorch model: currents in, spikes out."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sqsnn.checks import check_positive_int, check_shape
from sqsnn.neurons.driven import SQSState
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.placing import place
from sqsnn.quantum.circuit import Circuit
from sqsnn.uniforms import draw_uniforms


class SQS(nn.Module):
    """SQS neurons as a module for `torch.nn.Sequential`, which keeps its own random generator.

    Time comes first. Every call starts afresh, unless `stateful` is True. Training and evaluation
    mode do the same. The generator belongs to the module: copies and pickles of the module carry it
    with them and draw the same numbers on; `state_dict` holds the parameters, and
    of which circuit they are.

    Example:
        >>> layer = SQS(64, generator=0)  # nn.Sequential(nn.Linear(12, 64), layer, ...)
        >>> layer(torch.ones(10, 2, 64)).shape  # (T, B, F)
        torch.Size([10, 2, 64])

    Args:
        size: Neurons F, or the shape of their grid, which currents and spikes hold row by row.
        generator: Draws the initial values and then, call by call, the spikes; an integer is the
            seed of a generator on the device of the parameters. It stays on its device: where the
            module moves to another, its numbers are copied there.
        stateful: Go on in every call from the state of the last one, without its gradient, until
            `reset_state` is called.
        memory_qubits: Memory qubits M, in 0..6.
        circuit: A registered name, or a `Circuit`.
        **options: The other arguments of `SQSNeurons`, e.g. `channels=2`, `dtype`, `device`.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        *,
        generator: torch.Generator | int,
        stateful: bool = False,
        memory_qubits: int = 1,
        circuit: str | Circuit = "bidirectional",
        **options: Any,
    ) -> None:
        super().__init__()
        if not isinstance(generator, torch.Generator):
            check_positive_int("generator, unless a torch.Generator,", generator, low=0)
            generator = torch.Generator(place(options.get("device"))).manual_seed(int(generator))
        self.generator = generator
        self.stateful = stateful
        self.state: SQSState | None = None
        self.neurons = SQSNeurons(
            size, memory_qubits=memory_qubits, circuit=circuit, generator=generator, **options
        )

    def forward(
        self, currents: Float[Tensor, "T B F"] | Float[Tensor, "T B F N"]
    ) -> Float[Tensor, "T B F"] | Float[Tensor, "T B F N"]:
        """Run T steps and return the spikes, in the shape of the currents.

        Args:
            currents: Currents, `(T, B, F)` for neurons of one channel, `(T, B, F, N)` for N.
        """
        neurons = self.neurons
        channels = (neurons.channels,) if neurons.channels > 1 or currents.ndim == 4 else ()
        check_shape("currents", currents, ("T", "B", neurons.size, *channels))
        steps, batch = currents.shape[:2]
        record, state = neurons(
            currents if channels else currents.unsqueeze(-1),
            self._resumed(batch),
            uniforms=self._draw(steps, batch),
        )
        if self.stateful:
            self.state = _each(state, Tensor.detach)
        return record.spikes if channels else record.spikes.squeeze(-1)

    def reset_state(self) -> None:
        """Let the next call start afresh."""
        self.state = None

    def extra_repr(self) -> str:
        """Give what `print(model)` shows."""
        return "stateful=True" if self.stateful else ""

    def _draw(self, steps: int, batch: int) -> Float[Tensor, "T B F *numbers"]:
        """Draw the uniforms of a call where the generator is, and take them to the parameters."""
        shape, like = self.neurons.uniforms_shape, self.neurons.parameter_like
        source = self.generator
        drawn = draw_uniforms(steps, batch, math.prod(shape), source, like.dtype, source.device)
        return drawn.unflatten(-1, shape).to(like.device)

    def _resumed(self, batch: int) -> SQSState | None:
        """Take the state of the last call to the device and dtype that the parameters have now."""
        if self.state is None:
            return None
        kept = len(self.state.memory)
        if kept != batch:
            raise ValueError(
                f"currents has a batch of {batch}, but the state goes on from a batch of {kept}: "
                "call reset_state() first"
            )
        like = self.neurons.parameter_like
        types = {True: like.dtype.to_complex(), False: like.dtype}
        return _each(self.state, lambda part: part.to(like.device, types[part.is_complex()]))


def _each(state: SQSState, change: Callable[[Tensor], Tensor]) -> SQSState:
    """Change every tensor of a state."""
    memory, *drive = state
    return SQSState(change(memory), *(part if part is None else change(part) for part in drive))
