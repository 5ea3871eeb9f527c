"""Draw the pictures of the page on concepts: python docs/pictures.py."""

from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure

import sqsnn
from sqsnn.reports.style import BLUE, FAINT, MUTED, VERMILION, styled

FOLDER = Path(__file__).parent / "images"
STEPS = 40


def a_neuron(**options: object) -> tuple[sqsnn.Population, torch.Generator]:
    """Make one neuron in double precision, and the generator that made it."""
    g = torch.Generator().manual_seed(3)
    return sqsnn.SQSNeurons(1, generator=g, dtype=torch.float64, **options), g  # pyright: ignore[reportArgumentType]


@styled
def drive() -> Figure:
    """Draw how currents charge the membrane, and how a spike resets it."""
    neuron, g = a_neuron(memory_qubits=0)
    currents = torch.zeros(STEPS, 1, 1, 1, dtype=torch.float64)
    currents[4:18], currents[24:36] = 0.12, 0.3
    with torch.no_grad():
        record, _ = neuron(currents, generator=g)
        potential = neuron.potentials(currents, record.spikes)
    steps = np.arange(STEPS)
    figure = Figure(figsize=(7, 3.4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2))
    above.step(steps, currents.flatten(), where="mid", color=MUTED)
    above.set(ylabel="current z", ylim=(-0.03, 0.4))
    below.axhline(0, color=FAINT, linewidth=0.8)
    below.plot(
        steps, potential.flatten(), color=BLUE, label="potential u = angle / π, where above 0"
    )
    fired = record.spikes.flatten().bool().numpy()
    below.plot(
        steps[fired],
        np.full(fired.sum(), 1.05),
        "|",
        color=VERMILION,
        markersize=12,
        label="spikes",
    )
    below.set(xlabel="time step", ylim=(-1.4, 1.2))
    below.legend(loc="lower right", ncols=2)
    return figure


@styled
def firing() -> Figure:
    """Draw the probability of a spike against the angle, without memory."""
    angle = np.linspace(0, np.pi, 200)
    figure = Figure(figsize=(7, 2.8), layout="constrained")
    axes = figure.add_subplot()
    for theta, color in ((0.1, BLUE), (0.8, VERMILION), (-0.8, MUTED)):
        axes.plot(
            angle / np.pi, np.sin((angle + theta) / 2) ** 2, color=color, label=f"θ = {theta}"
        )
    axes.set(xlabel="angle φ / π of the encoding", ylabel="probability of a spike", ylim=(0, 1.02))
    axes.legend(loc="lower right")
    return figure


def main() -> None:
    """Write all pictures as SVG files with stable contents."""
    neuron, g = a_neuron(memory_qubits=1, circuit="integrate_and_fire", drive=sqsnn.Rectified())
    with torch.no_grad():  # a clock: read the memory, set it back at a spike, turn it on
        neuron.get_parameter("angles").copy_(torch.tensor([[1.2, 3.0, 0.35, 0.0]]))
    currents = torch.zeros(24, 1, 1, 1, dtype=torch.float64)
    network = sqsnn.SpikingNetwork([64, 16, 10], generator=torch.Generator().manual_seed(0))
    circuit = sqsnn.circuits.get("bidirectional", 1, 1)
    matplotlib.rcParams["svg.hashsalt"] = "sqsnn"
    for name, figure in {
        "circuit": sqsnn.draw(circuit, sqsnn.Leaky()),
        "drive": drive(),
        "firing": firing(),
        "bloch": sqsnn.plots.bloch(neuron, currents, generator=g),
        "network": sqsnn.draw(network),
    }.items():
        figure.savefig(FOLDER / f"concept-{name}.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
