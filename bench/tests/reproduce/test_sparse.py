"""The sparsity penalty: what it counts, and its gradient against finite differences."""

import pytest
import torch

from sqsnn import Backprop, Rectified, SpikingNetwork
from sqsnn.learning.rule import Rule
from sqsnn.neurons.population import Record
from sqsnn_bench.reproduce.sparse import SparseBackprop, sparsity


def record_of(probability: torch.Tensor) -> Record:
    return Record(torch.zeros_like(probability), probability, probability[..., 0], None)


def test_it_counts_how_many_fire_and_not_how_often():
    p = torch.zeros(2, 3, 4, 1)
    p[0, 1, 2] = 0.1  # one alone in the first step, two in the second
    p[1, 0, :2] = 0.7
    assert sparsity([record_of(p)]).item() == pytest.approx(3)
    assert sparsity([record_of(p / 2), record_of(p)]).item() == pytest.approx(6)
    assert sparsity([record_of(torch.zeros(2, 3, 4, 1))]).item() == 0


def test_its_gradient_is_that_of_finite_differences():
    # Without memory the law of a single layer is no random number.
    generator = torch.Generator().manual_seed(0)
    network = SpikingNetwork(
        [3, 2],
        memory_qubits=0,
        drive=Rectified(),
        encoding_slope="exact",
        generator=generator,
        dtype=torch.float64,
    )
    with torch.no_grad():  # away from the edge of the encoding
        for parameter in network.parameters():
            parameter.uniform_(0.1, 0.3, generator=generator)
    spikes = (torch.rand(4, 5, 3, 1, generator=generator) < 0.7).double()
    labels, rule = torch.tensor([0, 1, 0, 1, 0]), SparseBackprop(Backprop(), weight=0.5)
    assert isinstance(rule, Rule)

    def gradients(of: Rule) -> list[torch.Tensor]:
        network.zero_grad()
        of.step(network, spikes, labels, torch.Generator().manual_seed(1))
        return [torch.zeros_like(p) if p.grad is None else p.grad for p in network.parameters()]

    def value() -> float:
        with torch.no_grad():
            record = network(spikes, generator=torch.Generator().manual_seed(1))
        return 0.5 * sparsity(record.layers).item()

    pairs = zip(gradients(rule), gradients(rule.backprop), strict=True)
    found = [whole - loss for whole, loss in pairs]
    largest = 0.0
    for parameter, gradient in zip(network.parameters(), found, strict=True):
        for place in range(parameter.numel()):
            ends = []
            for way in (1e-5, -1e-5):
                with torch.no_grad():
                    parameter.flatten()[place] += way
                    ends.append(value())
                    parameter.flatten()[place] -= way
            wanted = (ends[0] - ends[1]) / 2e-5
            largest = max(largest, abs(wanted))
            assert gradient.flatten()[place].item() == pytest.approx(wanted, abs=1e-8)
    assert largest > 0.1
