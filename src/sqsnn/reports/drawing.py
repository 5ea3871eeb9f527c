"""One door to the drawings of what a user builds: circuits and networks."""

from matplotlib.figure import Figure

from sqsnn.network import SpikingNetwork
from sqsnn.neurons.drive import Drive
from sqsnn.quantum.circuit import Circuit
from sqsnn.reports import circuit_drawing, network_drawing


def draw(drawn: Circuit | SpikingNetwork, drive: Drive | None = None) -> Figure:
    """Draw a circuit, one time step, or a network with its populations and connections.

    Args:
        drawn: What to draw.
        drive: The drive in front of a circuit.

    Raises:
        TypeError: If it is neither, or a drive is given with a network.
    """
    if isinstance(drawn, SpikingNetwork):
        if drive is not None:
            raise TypeError("drive goes with a circuit; a network has the drives of its neurons")
        return network_drawing.draw_network(drawn)
    if not isinstance(drawn, Circuit):
        raise TypeError(f"draw takes a Circuit or a SpikingNetwork, not a {type(drawn).__name__}")
    return circuit_drawing.draw(drawn, drive)
