"""NeuroBench counts a network as it counts a twin of torch and snnTorch, to the last digit."""

import interop_networks as networks
import pytest
import torch
from torch import nn

import sqsnn
from sqsnn.network import INPUT, Connection, SpikingNetwork
from sqsnn.network.pathway import PathwayState
from sqsnn.runs.costs import count_costs
from sqsnn.synapses import Convolution, Dense, Pool

neurobench = pytest.importorskip("neurobench", reason="the extra neurobench is not installed")
import snntorch as snn  # noqa: E402
from neurobench.benchmarks import Benchmark  # noqa: E402
from neurobench.metrics.static import ConnectionSparsity, Footprint  # noqa: E402
from neurobench.metrics.workload import ActivationSparsity, SynapticOperations  # noqa: E402
from neurobench.models import SNNTorchModel, TorchModel  # noqa: E402
from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

from sqsnn.interop.neurobench import SQSNNModel  # noqa: E402

METRICS = [[Footprint, ConnectionSparsity], [ActivationSparsity, SynapticOperations]]
BATCH = 4
# Two constants of snnTorch's neurons that are no parameters: a factor (float32) and a code (int64).
CONSTANTS = 12


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(2)


def counted(model, values):
    """What NeuroBench says of a model and samples, `(B, T, P)`."""
    loader = DataLoader(TensorDataset(values, torch.zeros(len(values))), batch_size=BATCH)
    with torch.random.fork_rng():  # the loader draws globally
        results = Benchmark(model, loader, [], [], METRICS).run(quiet=True)
    return results | results.pop("SynapticOperations")


class Twin(nn.Module):
    """The network of `networks.dense` in Linear layers and Leaky neurons."""

    def __init__(self, network):
        super().__init__()
        self.steps = nn.ModuleList()
        for pathway, neurons in zip(network.pathways, network.populations.values(), strict=True):
            weight, bias = pathway.synapses.weight.detach()[0], neurons.bias.detach()[:, 0]
            layer = nn.Linear(weight.shape[1], weight.shape[0])
            layer.weight.data, layer.bias.data = weight, bias
            beta, threshold = (v.detach()[:, 0] for v in (neurons.beta, neurons.threshold))
            self.steps.extend([layer, snn.Leaky(beta, threshold, init_hidden=True)])

    def reset(self):
        for leaky in self.steps[1::2]:
            leaky.reset_mem()

    def forward(self, spikes):
        for step in self.steps:
            spikes = step(spikes)
        return spikes, None


@pytest.mark.parametrize("kind", ["spikes", "values", "values now and then"])
def test_every_figure_is_that_of_a_twin_in_snntorch(kind, generator):
    network = SpikingNetwork([12, 20, 5], neurons=networks.lif, generator=generator)
    with torch.no_grad():
        for pathway in network.pathways:
            weight = pathway.synapses.weight.mul_(2)
            weight[weight.abs() < 0.1] = 0
    values = (torch.rand(10, 30, 12, generator=generator) < 0.3).float()
    if kind != "spikes":
        share = 1.0 if kind == "values" else 0.02
        values[torch.rand(values.shape, generator=generator) < share] *= 0.5
    with torch.random.fork_rng():  # so do layers of torch
        twin = Twin(network)
    theirs = counted(SNNTorchModel(twin), values)
    ours = counted(SQSNNModel(network, generator=generator), values)
    assert 0 < ours["ConnectionSparsity"] < 1 and 0 < ours["ActivationSparsity"] < 1
    assert (ours["Effective_MACs"] > 0) == (kind != "spikes") and ours["Effective_ACs"] > 0
    assert ours.pop("Footprint") == theirs.pop("Footprint") - 2 * CONSTANTS
    assert ours == theirs


class Replayed(nn.Module):
    """Layers of torch that receive what flowed in a record, and neurons that fire its spikes."""

    def __init__(self, layers, populations):
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.fired = nn.ModuleList(nn.Identity() for _ in range(populations))
        self.records = []  # of each batch, what layers receive and what neurons fire

    def forward(self, values):
        flowing = self.records.pop(0)
        for module, steps in zip([*self.layers, *self.fired], flowing, strict=True):
            for step in steps:
                module(step)
        return values


def quantum(generator):
    """Quantum neurons on a grid behind a pooling, which hear themselves late and by a trace."""
    return SpikingNetwork(
        inputs=(2, 8, 8),
        populations={
            "grid": sqsnn.SQSNeurons((3, 3, 3), share="map", generator=generator),
            "output": 4,
        },
        connections=[
            Connection("input", "grid", (Pool(2), Convolution(3, 2))),
            Connection("grid", "output", Dense(sparsity=0.5), trace=0.5),
            Connection("output", "output", delay=2),
        ],
        generator=generator,
    )


def test_quantum_neurons_count_as_a_twin_that_fires_their_spikes(generator):
    network = quantum(generator)
    values = (torch.rand(6, 10, 128, generator=generator) < 0.3).float()
    start = generator.get_state()
    ours = counted(SQSNNModel(network, generator=generator), values)
    convolution, second, own = (pathway.synapses for pathway in network.pathways)
    with torch.random.fork_rng():  # layers of torch draw globally
        layers = [
            nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(2, 3, 2, bias=False)),
            nn.Linear(27, 4, bias=False),
            nn.Linear(4, 4, bias=False),
        ]
    layers[0][1].weight.data = convolution.parts[1].weight.detach()[0]
    layers[1].weight.data = (second.weight[0] * second.mask).detach()
    layers[2].weight.data = own.weight.detach()[0]
    twin = Replayed(layers, len(network.names))
    generator.set_state(start)
    for batch in values.split(BATCH):
        spikes = batch.movedim(1, 0).unsqueeze(-1)
        record = network(spikes, generator=generator)
        fired = {name: record[name].spikes.detach() for name in network.names}
        flowing = {INPUT: spikes} | fired
        received = [p.arrive(flowing[p.source], PathwayState())[0] for p in network.pathways]
        received[0] = received[0].unflatten(2, (2, 8, 8))
        twin.records.append([steps[..., 0] for steps in (*received, *fired.values())])
    model = TorchModel(twin)
    model.add_activation_module(nn.Identity)
    theirs = counted(model, values)
    assert all(ours[name] > 0 for name in ("ConnectionSparsity", "ActivationSparsity"))
    assert ours["Effective_MACs"] > 0 and ours["Effective_ACs"] > 0
    bytes_of_parameters = sum(p.numel() * p.element_size() for p in network.parameters())
    assert ours.pop("Footprint") == bytes_of_parameters + second.mask.numel()
    del theirs["Footprint"]  # it has no circuits
    assert ours == theirs


def test_the_operations_are_those_of_our_own_costs_where_no_weight_is_zero(generator):
    network = networks.dense(generator)
    values = (torch.rand(BATCH, 20, 12, generator=generator) < 0.3).float()
    theirs = counted(SQSNNModel(network, generator=generator), values)
    spikes = values.movedim(1, 0).unsqueeze(-1)
    ours = count_costs(network, [(spikes, network(spikes, generator=generator), BATCH)])["total"]
    assert theirs["Effective_ACs"] == ours["synaptic_operations"]
    assert theirs["Dense"] == ours["dense_operations_every_step"]


def test_channels_are_layers_of_their_own(generator):
    network = SpikingNetwork([5, 3], channels=2, generator=generator)
    figures = counted(SQSNNModel(network, generator=generator), torch.ones(2, 7, 5))
    assert figures["Effective_ACs"] == figures["Dense"] == 7 * 5 * 3 * 2


def test_a_module_of_torch_counts_like_dense_synapses(generator):
    network = SpikingNetwork([12, 5], neurons=networks.lif, generator=generator)
    with torch.random.fork_rng():  # layers of torch draw globally
        module = nn.Linear(12, 5, bias=False)
    module.weight.data = network.pathways[0].synapses.weight.detach()[0]
    own = SpikingNetwork(
        inputs=12,
        populations={"output": network.population("output")},
        connections=[Connection("input", "output", module)],
        generator=generator,
    )
    values = (torch.rand(6, 10, 12, generator=generator) < 0.3).float()
    dense, counted_by_neurobench = (
        counted(SQSNNModel(each, generator=generator), values) for each in (network, own)
    )
    assert dense == counted_by_neurobench and dense["Effective_ACs"] > 0


def test_a_layer_of_torch_within_a_chain_is_refused(generator):
    with torch.random.fork_rng():  # layers of torch draw globally
        module = nn.Conv2d(1, 2, 2, bias=False)
    network = SpikingNetwork(
        inputs=(1, 4, 4),
        populations={"output": 3},
        connections=[Connection("input", "output", (module, Dense()))],
        generator=generator,
    )
    with pytest.raises(ValueError, match=r"input -> output: Conv2d.* would count it twice"):
        SQSNNModel(network, generator=generator)


def test_a_call_gives_the_spikes_of_the_output(generator):
    network = networks.dense(generator)
    values = (torch.rand(3, 20, 12, generator=generator) < 0.3).float()
    given = SQSNNModel(network, generator=generator)(values)
    record = network(values.movedim(1, 0).unsqueeze(-1), generator=generator)
    assert torch.equal(given, record["output"].spikes[..., 0].movedim(0, 1))


def test_new_weights_are_seen(generator):
    network = networks.dense(generator)
    model = SQSNNModel(network, generator=generator)
    with torch.no_grad():
        network.pathways[0].synapses.weight.zero_()
    assert ConnectionSparsity()(model) == round(240 / 340, 4)
    network.double()  # the weights move to other memory
    values = torch.ones(1, 2, 12, dtype=torch.float64)
    assert counted(model, values)["Effective_ACs"] == 0
