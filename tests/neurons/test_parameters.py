"""Parameters that are no numbers, too large or in half precision are refused by their name."""

import math
from functools import partial

import pytest
import torch
from tools import seeded
from torch import nn

from sqsnn.learning.backprop import Backprop
from sqsnn.learning.bit_source import SimulatedBits
from sqsnn.learning.local import Local
from sqsnn.learning.online import Online
from sqsnn.network import SpikingNetwork
from sqsnn.neurons.lif import LIF
from sqsnn.neurons.published_sqs import PublishedSQS
from sqsnn.neurons.qlif import QLIF
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.neurons.stochastic_lif import StochasticLIF
from sqsnn.quantum.noise import Noise

KINDS = {
    "sqs": SQSNeurons,
    "sqs, torch": partial(SQSNeurons, backend="torch"),
    "gains": partial(SQSNeurons, circuit="integrate_and_fire"),
    "shared": partial(SQSNeurons, share="population"),
    "frozen": partial(SQSNeurons, memory_gates="frozen"),
    "noisy": partial(SQSNeurons, noise=Noise(false_spike=0.1)),
    "lif": LIF,
    "lif, torch": partial(LIF, backend="torch"),
    "stochastic lif": StochasticLIF,
    "qlif": QLIF,
    "constant qlif": partial(QLIF, learn=False),
    "published": PublishedSQS,
}
kinds = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS.keys())


def spoil(module: nn.Module, name: str, value: float) -> None:
    """Set the last number of a parameter or buffer, however deep it lies."""
    (module.state_dict()[name]).view(-1)[-1] = value


@kinds
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e7])
def test_each_is_refused_by_its_name(make, value):
    currents = torch.zeros(2, 3, 4, 1)
    for name, values in make(4, generator=seeded(0)).state_dict().items():
        if not values.numel() or not values.is_floating_point():
            continue
        neurons = make(4, generator=seeded(0))
        spoil(neurons, name, value)
        plain = name.removeprefix("parametrizations.").partition(".original")[0]
        with pytest.raises(ValueError, match=rf"^{plain}.*(must be finite|holds 1e\+07)"):
            neurons(currents, generator=seeded(1))


@pytest.mark.parametrize("rule", [Backprop(), Local(), Local(score=Online())])
def test_rules_name_the_population_or_the_currents_that_a_weight_makes(rule):
    spikes, targets = torch.ones(3, 2, 4, 1), torch.tensor([0, 1])
    for name, what in (
        ("populations.hidden.angles", "angles"),
        ("populations.output.beta", "beta"),
        ("pathways.0.synapses.weight", "currents"),
    ):
        network = SpikingNetwork([4, 5, 3], generator=seeded(0))
        spoil(network, name, math.nan)
        with pytest.raises(ValueError, match=f"{what}.* must be finite"):
            rule.step(network, spikes, targets, seeded(1))
    network = SpikingNetwork([4, 5, 3], generator=seeded(0))
    spoil(network, "populations.output.angles", math.nan)
    with pytest.raises(ValueError, match="population 'output': angles must be finite"):
        network(spikes, generator=seeded(1))


def test_operators_laws_and_replayed_circuits_check_them_too():
    neurons = SQSNeurons(2, dtype=torch.float64, generator=seeded(0))
    spoil(neurons, "angles", math.nan)
    currents = torch.zeros(1, 1, 2, 1, dtype=torch.float64)
    for run in (
        lambda: neurons.kraus_operators(currents[0]),
        lambda: neurons.sequence_probabilities(currents),
        lambda: SimulatedBits().sample(neurons, currents, [()], 1, seeded(1)),
    ):
        with pytest.raises(ValueError, match="angles must be finite"):
            run()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@kinds
def test_half_precision_is_refused(make, dtype):
    neurons = make(4, generator=seeded(0))
    uniforms = neurons.draw_uniforms(2, 3, seeded(1))
    currents = torch.zeros(2, 3, 4, 1)
    for given in ({"uniforms": uniforms.to(dtype)}, {"observed": currents.to(dtype)}):
        with pytest.raises(ValueError, match=f"has dtype {dtype}"):
            neurons(currents, **given)
    with pytest.raises(ValueError, match=f"currents has dtype {dtype}"):
        neurons(currents.to(dtype), uniforms=uniforms)
    neurons.to(dtype)
    with pytest.raises(ValueError, match=rf"parameters of \w+ have {dtype}.*\.float\(\)"):
        neurons(currents.to(dtype), uniforms=uniforms.to(dtype))
    with pytest.raises(ValueError, match=f"{dtype}.*|given were"):
        neurons(currents.to(dtype), generator=seeded(1))


def test_a_network_in_half_precision_says_what_to_do():
    network = SpikingNetwork([4, 5, 3], generator=seeded(0)).bfloat16()
    with pytest.raises(ValueError, match=r"convert the parameters of neurons by \.float\(\)"):
        network(torch.ones(3, 2, 4, 1, dtype=torch.bfloat16), generator=seeded(1))


def test_a_class_of_ones_own_may_have_large_parameters():
    class Slow(StochasticLIF):
        largest_parameter = 1e9

    neurons = Slow(1, backend="torch", generator=seeded(0))
    spoil(neurons, "bias", 1e8)
    record, _ = neurons(torch.zeros(1, 1, 1, 1), generator=seeded(1))
    assert record.spikes.item() == 1
