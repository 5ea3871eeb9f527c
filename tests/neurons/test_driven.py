"""Weights say of which circuit and drive they are, and go into no other."""

from dataclasses import replace

import pytest
import torch
from tools import seeded

import sqsnn
from sqsnn.neurons.drive import Leaky, Rectified, Saturating
from sqsnn.neurons.sqs import SQSNeurons

OTHERS = {
    "circuit": (
        {"circuit": "integrate_and_fire"},
        "of circuit integrate_and_fire .*has circuit crx",
    ),
    "drive": ({"drive": Rectified()}, "the drive rectified, but .*drive saturating"),
    "floor": ({"drive": Leaky(floor=-2.0)}, "the drive leaky, floor -2.0.*drive saturating"),
    "cut": ({"channels": 2, "entangled": False}, "of circuit crx .*has circuit crx"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_weights_of_another_law_are_refused_by_name(name):
    options, why = OTHERS[name]
    shared = {"circuit": "crx", "drive": Saturating(), "channels": options.get("channels", 1)}
    other = SQSNeurons(3, generator=seeded(0), **{**shared, **options})
    neurons = SQSNeurons(3, generator=seeded(1), **shared)
    network = torch.nn.ModuleDict({"hidden": neurons})
    state = {f"hidden.{name}": value for name, value in other.state_dict().items()}
    with pytest.raises(ValueError, match=f"the state holds weights .*{why}"):
        network.load_state_dict(state, strict=False)
    with pytest.raises(ValueError, match="does not say of which circuit"):
        neurons.load_state_dict({**neurons.state_dict(), "_extra_state": torch.zeros(3)})
    with pytest.raises(RuntimeError, match=r"Missing key.* \"_extra_state\""):
        neurons.load_state_dict(dict(neurons.named_parameters()), strict=True)


def test_a_circuit_goes_by_its_gates_not_by_its_name():
    circuit = sqsnn.circuits.get("crx", 1, 1)
    named = SQSNeurons(3, circuit=replace(circuit, name="mine"), generator=seeded(0))
    plain = SQSNeurons(3, circuit=circuit, generator=seeded(1))
    plain.load_state_dict(named.state_dict())
    assert torch.equal(plain.angles, named.angles)
