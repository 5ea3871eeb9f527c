"""Networks as NIR: the same spikes in snnTorch, and back here bit for bit; the rest is refused."""

import subprocess
import sys
from itertools import pairwise

import interop_networks as networks
import numpy as np
import pytest
import torch

import sqsnn
from sqsnn.network import Connection, LearnedDelay, SpikingNetwork
from sqsnn.synapses import Convolution, Dense, Identity, Pool

nir = pytest.importorskip("nir", reason="the extra nir is not installed")
from sqsnn.interop.nir import SQS, from_nir, to_nir  # noqa: E402

LIF_NETWORKS = [
    networks.dense,
    networks.recurrent,
    networks.convolutional,
    networks.of_one_dimension,
]
STEPS = 50


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(1)


@pytest.fixture
def through_file(tmp_path):
    """Write a graph to a file and read it again."""

    def pass_through(graph):
        nir.write(tmp_path / "network.nir", graph)
        return nir.read(tmp_path / "network.nir")

    return pass_through


def spikes_in_snntorch(graph, spikes, shape):
    """Run a graph in snnTorch, sample by sample, since it would flatten a batch with its grids."""
    import_nir = pytest.importorskip("snntorch.import_nir", reason="snnTorch is not installed")
    samples = []
    for sample in spikes[..., 0].unbind(1):
        with torch.random.fork_rng():  # layers of torch draw first values globally
            network = import_nir.import_from_nir(graph)
        state, steps = None, []
        for step in sample:
            fired, state = network(step.view(shape), state)
            steps.append(fired.detach())
        samples.append(torch.stack(steps))
    return torch.stack(samples, dim=1)


def graph_of(generator, *connections, neurons=networks.lif, inputs=4, **populations):
    """A network of populations and connections."""
    return SpikingNetwork(
        inputs=inputs,
        populations=populations,
        connections=list(connections),
        neurons=neurons,
        generator=generator,
    )


@pytest.mark.parametrize("make", LIF_NETWORKS)
def test_snntorch_reads_lif_and_fires_the_same_spikes(make, generator, through_file):
    network = make(generator)
    spikes = networks.spikes_for(network, STEPS, 3, generator)
    ours = network(spikes, generator=generator)["output"].spikes[..., 0]
    assert 0.02 < ours.mean() < 0.98
    theirs = spikes_in_snntorch(through_file(to_nir(network)), spikes, network.inputs)
    assert torch.equal(theirs, ours)


QUANTUM = {
    "defaults": {},
    "frozen memory": {"circuit": "integrate_and_fire", "memory_gates": "frozen"},
    "the paper": {"memory_qubits": 0, "circuit": "crx", "drive": sqsnn.Rectified()},
    "noise": {"drive": sqsnn.Leaky(reset_steps=2), "noise": sqsnn.Noise(false_spike=0.1)},
    "shared": {"circuit": "hardware_efficient", "surrogate": "sigmoid", "share": "population"},
}


def quantum(name):
    """Makes a network of quantum neurons with some options."""
    neurons = networks.jittered(sqsnn.SQSNeurons, **QUANTUM[name])
    return lambda generator: networks.late(generator, neurons)


def of_double_precision(generator):
    return networks.dense(generator, dtype=torch.float64)


ROUND_TRIPS = [*LIF_NETWORKS, networks.late, of_double_precision]


@pytest.mark.parametrize(
    "make", [*ROUND_TRIPS, *(pytest.param(quantum(name), id=name) for name in QUANTUM)]
)
def test_a_file_comes_back_with_the_same_spikes_bit_for_bit(make, generator, through_file):
    network = make(generator)
    dtype = network.population("output").parameter_like.dtype
    back = from_nir(through_file(to_nir(network)), generator=generator, dtype=dtype)
    assert (back.names, back.inputs) == (network.names, network.inputs)
    spikes = networks.spikes_for(network, 15, 3, generator)
    uniforms = network.draw_uniforms(15, 3, generator)
    ours, again = (each(spikes, uniforms=uniforms) for each in (network, back))
    for name in network.names:
        assert ours[name].spikes.any()
        assert torch.equal(again[name].spikes, ours[name].spikes)
        assert torch.equal(again[name].probability, ours[name].probability)


FROZEN = {"memory_gates": "frozen", "through_collapse": True}


@pytest.mark.parametrize(
    ("kind", "options"), [(sqsnn.LIF, {"through_reset": True}), (sqsnn.SQSNeurons, FROZEN)]
)
def test_neurons_learn_on_as_they_did(kind, options, generator, through_file):
    grid = kind((3, 4), share="map", generator=generator, **options)
    network = graph_of(
        generator,
        Connection("input", "grid", Identity()),
        Connection("grid", "output"),
        inputs=(3, 4),
        grid=grid,
        output=2,
    )
    again = from_nir(through_file(to_nir(network)), generator=generator).population("grid")

    def learning(population):
        parameters = {n: (p.shape, p.requires_grad) for n, p in population.named_parameters()}
        flags = population.own_spikes_are_data, getattr(population, "through_collapse", None)
        return parameters, flags, population.share

    assert learning(again) == learning(grid)


def test_populations_draw_their_random_numbers_in_the_same_order(generator, through_file):
    network = graph_of(
        generator,
        *(Connection("input", name) for name in ("b", "c", "a")),
        *(Connection(name, "output") for name in ("c", "a", "b")),
        neurons=sqsnn.SQSNeurons,
        **dict.fromkeys(("c", "a", "b", "output"), 5),
    )
    again = from_nir(through_file(to_nir(network)), generator=generator)
    assert again.names == network.names
    spikes = networks.spikes_for(network, 10, 4, generator)
    first, second = (
        each(spikes, generator=torch.Generator().manual_seed(3)) for each in (network, again)
    )
    assert torch.equal(first["output"].probability, second["output"].probability)


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_membranes_that_forget_at_once_or_never_survive(beta, generator, through_file):
    network = SpikingNetwork(
        [3, 4],
        neurons=lambda size, **options: sqsnn.LIF(size, beta=beta, **options),
        generator=generator,
    )
    again = from_nir(through_file(to_nir(network)), generator=generator).population("output")
    assert torch.equal(again.beta, torch.full((4, 1), beta))


@pytest.mark.filterwarnings("ignore:nirtorch.extract_nir_graph")
@pytest.mark.parametrize("is_recurrent", [False, True])
def test_what_snntorch_writes_fires_the_same_spikes_here(is_recurrent, generator, through_file):
    snn = pytest.importorskip("snntorch", reason="snnTorch is not installed")
    from snntorch.export_nir import export_to_nir

    with torch.random.fork_rng():
        torch.manual_seed(0)
        values = {"beta": torch.rand(20), "threshold": 0.2 + torch.rand(20), "init_hidden": True}
        neurons = snn.RLeaky(**values, linear_features=20) if is_recurrent else snn.Leaky(**values)
        theirs = torch.nn.Sequential(torch.nn.Linear(12, 20), neurons)
    graph = through_file(export_to_nir(theirs, torch.zeros(12)))
    neurons.reset_mem()
    network = from_nir(graph, generator=generator, reset="subtract")
    spikes = networks.spikes_for(network, STEPS, 4, generator)
    ours = network(spikes, generator=generator).layers[-1].spikes[..., 0]
    wanted = torch.stack([theirs(step) for step in spikes[..., 0]])
    assert wanted.mean() > 0.02 and torch.equal(ours, wanted)
    with pytest.raises(ValueError, match=r"is a LIF, which sets its membrane to v_reset.*reset="):
        from_nir(graph, generator=generator)


def test_quantum_neurons_are_taken_for_nothing_else(generator, through_file, tmp_path):
    graph = through_file(to_nir(SpikingNetwork([3, 4], generator=generator)))
    assert isinstance(graph.nodes["output"], SQS)
    with pytest.raises(ValueError, match="SQS"):
        spikes_in_snntorch(graph, torch.zeros(1, 1, 3, 1), (3,))
    command = [sys.executable, "-c", f"import nir; nir.read({str(tmp_path / 'network.nir')!r})"]
    elsewhere = subprocess.run(command, capture_output=True, text=True, check=False)
    assert elsewhere.returncode and "str2NIRNode" in elsewhere.stderr


def with_option(**options):
    return lambda size, **start: sqsnn.LIF(size, **options, **start)


INTO = Connection("input", "output")
REFUSED = {
    "a floor": lambda g: graph_of(g, INTO, output=3, neurons=with_option(floor=-1.0)),
    "2 channels": lambda g: graph_of(g, INTO, output=3, neurons=with_option(channels=2)),
    "threshold of -1": lambda g: graph_of(g, INTO, output=3, neurons=with_option(threshold=-1.0)),
    "StochasticLIF": lambda g: graph_of(g, INTO, output=3, neurons=sqsnn.StochasticLIF),
    "learned delays": lambda g: graph_of(
        g, Connection("input", "output", delay=LearnedDelay()), output=3
    ),
    "leads to a grid": lambda g: graph_of(g, INTO, output=networks.lif((2, 3), "map", generator=g)),
    "differ within a map": lambda g: graph_of(
        g,
        Connection("input", "output", Identity()),
        inputs=(2, 3),
        output=networks.lif((2, 3), generator=g),
    ),
    "Pool is one-dimensional": lambda g: graph_of(
        g,
        Connection("input", "output", Pool(2)),
        inputs=(2, 6),
        output=networks.lif((2, 3), "map", generator=g),
    ),
    "first, output form a cycle": lambda g: graph_of(
        g,
        Connection("input", "first"),
        Connection("first", "output"),
        Connection("output", "first", delay=1),
        first=3,
        output=3,
    ),
    "ModuleSynapses have no node": lambda g: graph_of(
        g, Connection("input", "output", torch.nn.Linear(4, 3)), output=3
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_nir_cannot_say_is_refused_by_name(reason, generator):
    with torch.random.fork_rng():
        network = REFUSED[reason](generator)
    with pytest.raises((ValueError, TypeError), match=reason):
        to_nir(network)


def test_a_readout_is_not_lost_in_silence(generator):
    network = networks.dense(generator)
    network.readout = torch.nn.Identity()
    with pytest.raises(ValueError, match="has a readout"):
        to_nir(network)


def replaced(generator, node, *after):
    """The graph of two inputs and two neurons, with other nodes between them."""
    graph = to_nir(SpikingNetwork([2, 2], neurons=networks.lif, generator=generator))
    between = graph.nodes["input.output.dense"]
    kept = [edge for edge in graph.edges if "input.output.dense" not in edge]
    chain = [node or between, *after]
    names = ["input", *(f"new_{number}" for number, _ in enumerate(chain)), "output.scale"]
    nodes = dict(graph.nodes) | dict(zip(names[1:-1], chain, strict=True))
    del nodes["input.output.dense"]
    return nir.NIRGraph(nodes, [*kept, *pairwise(names)])


TWO = np.ones(2)
FOREIGN = {
    "is a IF, which sqsnn does not have": lambda: nir.IF(r=TWO, v_threshold=TWO),
    "is a CubaLIF": lambda: nir.CubaLIF(
        tau_syn=TWO, tau_mem=TWO, r=TWO, v_leak=TWO, v_threshold=TWO
    ),
    "is a Scale, for which sqsnn has no synapses": lambda: nir.Scale(TWO),
    r"delays by 0.5 steps": lambda: nir.Delay(0.5e-4 * TWO),
    "is a LI that is no trace": lambda: nir.LI(tau=TWO, r=TWO, v_leak=TWO),
}


@pytest.mark.parametrize("reason", FOREIGN)
def test_what_sqsnn_does_not_have_is_refused_by_name(reason, generator):
    with pytest.raises(ValueError, match=reason):
        from_nir(replaced(generator, FOREIGN[reason]()), generator=generator)


def test_another_length_of_a_step_is_noticed(generator):
    graph = to_nir(networks.dense(generator), dt=1e-3)
    with pytest.raises(ValueError, match=r"node 'hidden': tau_mem / dt is 10.*dt given, 0\.0001"):
        from_nir(graph, generator=generator)
    assert from_nir(graph, dt=1e-3, generator=generator).names == ("hidden", "output")


def test_convolutions_that_sqsnn_does_not_have_are_refused(generator):
    graph = to_nir(networks.convolutional(generator))
    convolution = graph.nodes["input.first.convolution"]
    convolution.groups = 2
    with pytest.raises(ValueError, match="has a groups of 2; sqsnn takes 1 alone"):
        from_nir(graph, generator=generator)
    convolution.groups, convolution.stride = 1, (1, 2)
    with pytest.raises(ValueError, match="one for all sides"):
        from_nir(graph, generator=generator)


def test_masked_weights_stay_cut(generator, through_file):
    network = graph_of(generator, Connection("input", "output", Dense(sparsity=0.5)), output=3)
    weight = through_file(to_nir(network)).nodes["input.output.dense"].weight
    assert (np.count_nonzero(weight, axis=1) == 2).all()


def test_padded_and_strided_convolutions_keep_their_shape(generator, through_file):
    options = Convolution(4, 3, stride=2, padding=1)
    network = graph_of(
        generator,
        Connection("input", "output", options),
        inputs=(2, 9, 9),
        output=networks.lif((4, 5, 5), "map", generator=generator),
    )
    back = from_nir(through_file(to_nir(network)), generator=generator)
    assert back.pathways[0].synapses.target == (4, 5, 5)
