"""A network in words: what `print(network)` shows."""

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from sqsnn.network.connection import INPUT, Connection, LearnedDelay
from sqsnn.synapses import Chain, Module, options_of

if TYPE_CHECKING:
    from sqsnn.network.network import SpikingNetwork


def describe(network: "SpikingNetwork") -> str:
    """Describe populations and connections, one line each, and what runs step by step.

    Example:
        >>> import torch
        >>> from sqsnn import SpikingNetwork
        >>> generator = torch.Generator().manual_seed(0)
        >>> print(SpikingNetwork([4, 8, 3], recurrent=True, memory_qubits=0, generator=generator))
        SpikingNetwork(
          input: 4
          hidden: SQSNeurons(8, channels=1, memory_qubits=0, circuit='bidirectional')
            from input: Dense()
            from hidden: Dense(), delay 1
          output: SQSNeurons(3, channels=1, memory_qubits=0, circuit='bidirectional')
            from hidden: Dense()
          step by step: hidden
        )
    """
    lines = [f"{INPUT}: {shown_shape(network.inputs)}"]
    for name in network.names:
        population = network.population(name)
        # A population that shares parameters holds modules of torch's, which say nothing here.
        lines.append(f"{name}: {population.class_name}({population.extra_repr()})")
        for pathway in network.incoming(name).values():
            words = [shown_synapses(pathway.connection), *shown_transport(pathway.connection)]
            lines.append(f"  from {pathway.source}: {', '.join(words)}")
    if network.readout is not None:
        lines.append(f"readout: {network.readout!r}")
    cycles = [" and ".join(part.names) for part in network.components if part.is_cyclic]
    if cycles:
        lines.append(f"step by step: {', '.join(cycles)}")
    body = "\n".join(f"  {line}" for text in lines for line in text.split("\n"))
    return f"{type(network).__name__}(\n{body}\n)"


def shown_shape(shape: tuple[int, ...]) -> str:
    """Show a shape, such as 64 or 2 x 34 x 34."""
    return " x ".join(map(str, shape))


def shown_synapses(connection: Connection) -> str:
    """Show synapses with those options that differ from the defaults."""
    options = options_of(connection.synapses)
    parts = options.parts if isinstance(options, Chain) else (options,)
    return " then ".join(map(_shown_options, parts))


def shown_transport(connection: Connection) -> list[str]:
    """Show the delay and the trace of a connection, where it has them."""
    delay, words = connection.delay, []
    if isinstance(delay, LearnedDelay):
        words.append(f"delay learned in {delay.shortest}..{delay.longest}")
    elif delay:
        words.append(f"delay {delay}")
    return words if connection.trace is None else [*words, f"trace {connection.trace:g}"]


def _shown_options(options: Any) -> str:
    if isinstance(options, Module):
        return str(options.module)
    assert is_dataclass(options)
    chosen = [
        f"{field.name}={getattr(options, field.name)!r}"
        for field in fields(options)
        if field.repr and getattr(options, field.name) != field.default
    ]
    return f"{type(options).__name__}({', '.join(chosen)})"
