"""The drawing of a circuit shows every gate, where it belongs."""

import pytest

from sqsnn.neurons.drive import Leaky, Rectified, Saturating
from sqsnn.quantum import circuits
from sqsnn.quantum.circuits import Circuit, Encoded, Normal
from sqsnn.reports import circuit_drawing

EVERY_GATE = Circuit.build(
    2,
    2,
    [
        ("H", (0,), None),
        *((name, (1,), Normal()) for name in ("RX", "RY", "RZ")),
        *((name, (3, 0), Normal()) for name in ("CRX", "CRY", "CRZ", "RXX", "RYY", "RZZ")),
        ("RX", (2,), -0.5),
        *((name, (1, 2), None) for name in ("CX", "CZ")),
    ],
    encoding=[Encoded(0, 0), Encoded(1, 1, 0.5), Encoded(2, 0, 1.0, trainable=True)],
)


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def drawn(figure):
    """Sort the artists of a circuit by the identifier of what they belong to."""
    (axes,) = figure.axes
    found = {}
    for artist in axes.get_children():
        if artist.get_gid():
            found.setdefault(artist.get_gid(), []).append(artist)
    return found


@pytest.mark.parametrize(
    "circuit",
    [
        *(
            circuits.get(name, channels, memory)
            for name in circuits.names()
            for channels, memory in ((1, 1), (3, 2))
        ),
        circuits.get("crx", 1, 0),
        circuits.get("hardware_efficient", 2, 2, layers=6),
        EVERY_GATE,
    ],
    ids=lambda circuit: f"{circuit.name}-{circuit.channels}-{circuit.memory_qubits}",
)
def test_circuit_draws_every_gate_encoding_measurement_and_reset(circuit):
    figure = circuit_drawing.draw(circuit)
    encoded = [n for n, e in enumerate(circuit.encoding) if e.trainable or e.gain != 0]
    assert set(drawn(figure)) == {
        *(f"gate {number}" for number in range(len(circuit.gates))),
        *(f"encoding {number}" for number in encoded),
        *(
            f"{end} {channel}"
            for end in ("measurement", "reset")
            for channel in range(circuit.channels)
        ),
    }
    shown = texts(figure)
    for number, gate in enumerate(circuit.gates):
        if gate.parameter is not None:
            boxes = 2 if gate.name in ("RXX", "RYY", "RZZ") else 1
            assert shown.count(rf"$\theta_{{{gate.parameter}}}$") == boxes, (number, gate)


@pytest.mark.parametrize(
    ("drive", "parts"),
    [
        (Leaky(floor=-0.5), (r"\beta u + z + c - \vartheta s,\ -0.5", "clip}(u, 0, 1)")),
        (Leaky(reset_steps=3), (r"\beta v + z + c,\ -1", r"k \leq 3", "clip}(u, 0, 1)")),
        (Leaky(reset_steps=0), ("$u = v$",)),
        (Saturating(), ("saturating drive", "clip}(z, 0, 1)")),
    ],
    ids=str,
)
@pytest.mark.parametrize("memory_qubits", [0, 2])
def test_a_drive_stands_before_the_encoding(drive, parts, memory_qubits):
    circuit = circuits.get("crx", 1, memory_qubits)
    figure = circuit_drawing.draw(circuit, drive)
    figure.draw_without_rendering()  # gives the text its frame
    (text,) = drawn(figure)["drive"]
    assert all(part in text.get_text() for part in parts)
    box = text.get_bbox_patch().get_window_extent()
    assert figure.bbox.contains(box.x0, box.y0) and figure.bbox.contains(box.x1, box.y1)
    for gid, artists in drawn(figure).items():
        if gid != "drive":
            assert all(artist.get_window_extent().y1 < box.y0 for artist in artists), gid


def test_the_papers_drive_goes_without_saying():
    circuit = circuits.get("crx", 1, 1)
    plain, rectified = (
        circuit_drawing.draw(circuit),
        circuit_drawing.draw(circuit, Rectified()),
    )
    assert texts(plain) == texts(rectified)
    assert "drive" not in drawn(rectified)


def test_no_two_gates_of_a_circuit_overlap():
    figure = circuit_drawing.draw(circuits.get("hardware_efficient", 3, 3, layers=3))
    boxes = {
        gid: [artist.get_window_extent() for artist in artists]
        for gid, artists in drawn(figure).items()
    }
    for gid, extents in boxes.items():
        for other, others in boxes.items():
            if gid < other:
                assert not any(a.overlaps(b) for a in extents for b in others), (gid, other)


def test_gates_on_different_wires_share_a_column():
    placements = [("RX", (qubit,), Normal()) for qubit in range(4)]
    artists = drawn(circuit_drawing.draw(Circuit.build(2, 2, placements)))
    columns = {artists[f"gate {number}"][0].get_x() for number in range(4)}
    assert len(columns) == 1


def test_a_link_keeps_other_gates_off_the_wires_that_it_crosses():
    placements = [("CZ", (0, 2), None), ("RX", (1,), Normal())]
    artists = drawn(circuit_drawing.draw(Circuit.build(2, 1, placements)))
    link, box = artists["gate 0"][0], artists["gate 1"][0]
    assert box.get_x() > link.get_xdata()[0] + 0.1


def test_circuit_labels_name_angles_gains_and_states():
    shown = texts(circuit_drawing.draw(EVERY_GATE))
    for label in (r"$\varphi_{0}$", r"$0.5\,\varphi_{1}$", r"$g_{0}\,\varphi_{0}$", "$s_{1}$"):
        assert label in shown
    assert shown.count("$-0.5$") == 1, "an angle that is fixed"
    assert shown.count(r"$|m\rangle$") == 1, "the memory has one joint state"
    assert "X" not in shown, "the target of a CX is the circled plus, not a box"
    assert "2 channels, 2 memory qubits, 9 angles, 1 gain; one time step" in shown
