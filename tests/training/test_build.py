"""Settings mean the same network and the same random numbers everywhere."""

from itertools import product

import pytest
import torch
from tools import needs_kernel, populations_of, sizes_of, small_run, synapses_of

from sqsnn.data.dataset import Samples
from sqsnn.errors import ConfigError
from sqsnn.network import SpikingNetwork
from sqsnn.network.connection import Connection, LearnedDelay
from sqsnn.neurons.lif import LIF
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum import circuits
from sqsnn.quantum.noise import Noise
from sqsnn.settings.neurons import POPULATIONS
from sqsnn.settings.run import from_flat
from sqsnn.synapses import Convolution, Dense, Pool
from sqsnn.training import trainer
from sqsnn.training.build import (
    Purpose,
    build_network,
    count_trained,
    layer_circuits,
    require_circuit,
    seeded,
)

COMPARISONS = [kind for kind in POPULATIONS if kind != "sqs"]
DETERMINISTIC = ("lif", "qlif")


def first_numbers(seed: int, purpose: Purpose, epoch: int) -> tuple[float, ...]:
    return tuple(torch.rand(3, generator=seeded(seed, purpose, epoch=epoch)).tolist())


def test_every_seed_purpose_and_epoch_has_a_stream_of_its_own():
    streams = list(product((0, 1, 2**40), Purpose, (0, 1, 2)))
    drawn = {first_numbers(*stream) for stream in streams}
    assert len(drawn) == len(streams)
    assert first_numbers(*streams[0]) == first_numbers(*streams[0])


def test_streams_are_the_same_on_every_platform():
    assert seeded(0, Purpose.ORDER, epoch=1).initial_seed() == 1554199118406742183
    order = torch.randperm(5, generator=seeded(0, Purpose.ORDER, epoch=1))
    assert order.tolist() == [2, 3, 0, 4, 1]


@pytest.mark.parametrize("kind", POPULATIONS)
def test_settings_name_the_neurons_of_every_layer(kind):
    network = build_network(small_run(neurons=kind, hidden=(6, 4), dtype="float64"), 5, 3)
    assert sizes_of(network) == (5, 6, 4, 3)
    for population in populations_of(network):
        assert type(population) is POPULATIONS[kind]
        assert population.parameter_like.dtype == torch.float64
    spikes = torch.ones(2, 3, 5, 1).double()
    assert network(spikes, generator=torch.Generator()).layers[-1].spikes.shape == (2, 3, 3, 1)


@pytest.mark.parametrize("kind", ["sqs", "published_sqs"])
def test_a_seed_names_all_first_values(kind):
    first, same, other = (
        build_network(small_run(neurons=kind, seed=seed), 5, 3).state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[name], same[name]) for name in first)
    for part in ("pathways", "populations"):
        names = [name for name in first if name.startswith(part)]
        assert not all(torch.equal(first[name], other[name]) for name in names)


@pytest.mark.parametrize("rates", [{}, {"false_spike": 0.0}, {"missed_spike": 0.1}], ids=str)
def test_noise_reaches_every_layer_where_there_is_any(rates):
    expected = Noise(**rates) if any(rates.values()) else None
    for population in populations_of(build_network(small_run(**rates), 5, 2)):
        assert population.noise == expected


@needs_kernel
def test_the_method_of_the_synapses_reaches_the_first_layer():
    chosen = [build_network(small_run(synapses=name), 5, 2) for name in ("dense", "events")]
    assert [synapses_of(network)[0].method for network in chosen] == ["dense", "events"]


# What is refused


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"noise_from": "fake_boston"}, "rates of noise_from 'fake_boston' are not known yet"),
        (
            {"channels": 2, "memory_qubits": 2, "false_spike": 0.1},
            "memory_qubits is 4, .* at most 3",
        ),
    ],
    ids=str,
)
def test_neurons_that_cannot_be_trained_are_refused(chosen, message):
    with pytest.raises(ConfigError, match=message):
        build_network(small_run(**chosen), 5, 2)


LIKELIHOOD = "learns from the likelihood of spikes"
CIRCUITS = "SQSNeurons.* score 'exact' works for every population"


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        *(
            ({"neurons": kind, "signal": signal}, f"'{signal}' {LIKELIHOOD}")
            for kind in DETERMINISTIC
            for signal in ("reinforce", "both")
        ),
        *(
            ({"neurons": kind, "score": score}, CIRCUITS)
            for kind in COMPARISONS
            for score in ("online", "measured")
        ),
        ({"score": "online", "false_spike": 0.1}, "'online'.*noise|noise.*'online'"),
        (
            {"score": "measured", "backend": "aer", "false_spike": 0.1},
            "noise rates go with the simulator only, but backend is 'aer'",
        ),
        (
            {"through_collapse": True},
            "through_collapse is True, but goes with rule 'backprop' only",
        ),
        ({"score": "measured", "surrogate": "sigmoid"}, "'sigmoid', which needs probabilities"),
        (
            {"signal": "reinforce", "surrogate": "sigmoid"},
            "'sigmoid', but signal 'reinforce' uses no surrogate",
        ),
    ],
    ids=str,
)
def test_a_rule_that_cannot_train_the_neurons_is_refused(chosen, message):
    with pytest.raises(ConfigError, match=message) as refused:
        build_network(small_run(rule="local", **chosen), 5, 2)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "chosen",
    [
        *({"neurons": kind} for kind in COMPARISONS),
        {"neurons": "lif", "signal": "none"},
        {"neurons": "stochastic_lif", "signal": "reinforce"},
        {"neurons": "published_sqs", "signal": "both"},
        {"score": "online"},
        {"score": "measured", "false_spike": 0.1},
        {"score": "measured", "signal": "reinforce"},
    ],
    ids=str,
)
def test_a_rule_that_can_train_the_neurons_is_accepted(chosen):
    build_network(small_run(rule="local", **chosen), 5, 2)


def test_cuda_is_refused_where_there_is_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="no CUDA device"):
        build_network(small_run(device="cuda"), 5, 2)


def test_circuits_are_those_of_the_settings():
    circuit = require_circuit(small_run(circuit="crx", channels=2, memory_qubits=3))
    assert circuit == circuits.get("crx", 2, 3)
    for kind in COMPARISONS:
        with pytest.raises(ConfigError, match=rf"\(neurons 'sqs'\), but neurons is '{kind}'"):
            require_circuit(small_run(neurons=kind))


# Memory gates that do not learn


@pytest.mark.parametrize("rule", [{}, {"rule": "local", "signal": "both"}], ids=str)
def test_frozen_memory_gates_stay_and_all_else_learns(rule):
    recipe = small_run(
        circuit="integrate_and_fire", memory_gates="frozen", hidden=(5,), epochs=1, **rule
    )
    generator = torch.Generator().manual_seed(0)
    samples = Samples(torch.rand(80, 6, generator=generator), torch.arange(80) % 3)
    progress = trainer.start(recipe, 6, 3, 80)
    network = progress.network

    def read() -> list[torch.Tensor]:
        neurons = [
            part
            for it in populations_of(network)
            for part in (it.angles.detach(), it.gains.detach())
        ]
        return [part.clone() for part in (*neurons, *network.pathways.state_dict().values())]

    before = read()
    list(trainer.epochs(progress, recipe, samples, None))
    moved = [(now != then).any(0) for now, then in zip(read(), before, strict=True)]
    # Angles: read, reset, RX(memory), RX(channel). Gains: of the channel, of the memory.
    for layer in range(2):
        assert moved[2 * layer].tolist() == [False, False, False, True]
        assert moved[2 * layer + 1].tolist() == [True, False]
    assert all(part.any() for part in moved[4:])
    trained = count_trained(
        build_network(small_run(hidden=(5,), circuit="integrate_and_fire"), 6, 3)
    )
    assert count_trained(network) == trained - 4 * (5 + 3)


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"rule": "local", "score": "exact"},
        {"rule": "local", "score": "measured"},
    ],
    ids=str,
)
def test_rules_train_a_noisy_network(rule):
    recipe = small_run(
        hidden=(6,),
        circuit="integrate_and_fire",
        depolarising_2q=0.02,
        idle_phase_damping=0.05,
        missed_spike=0.1,
        epochs=1,
        batch_size=20,
        learning_rate=0.05,
        **rule,
    )
    progress = trainer.start(recipe, 8, 2, 20)
    before = {name: p.detach().clone() for name, p in progress.network.named_parameters()}
    generator = torch.Generator().manual_seed(0)
    samples = Samples(torch.rand(20, 8, generator=generator), torch.arange(20) % 2)
    list(trainer.epochs(progress, recipe, samples, None))
    for name, now in progress.network.named_parameters():
        assert now.isfinite().all()
        assert not torch.equal(now, before[name]), name


# Layers and graphs

GRID = (1, 8, 8)


@pytest.mark.parametrize("chosen", [{}, {"neurons": "lif"}, {"output_memory_qubits": 1}], ids=str)
def test_layers_are_the_shorthand_of_networks(chosen):
    settings = small_run(hidden=(6, 4), **chosen)
    built = build_network(settings, 5, 3).state_dict()
    generator = seeded(settings.training.seed, Purpose.WEIGHTS)
    factories = settings.neurons.factories(3)
    network = SpikingNetwork([5, 6, 4, 3], neurons=factories, generator=generator)
    assert built.keys() == network.state_dict().keys()
    assert all(torch.equal(built[name], it) for name, it in network.state_dict().items())


@pytest.mark.parametrize(
    ("share", "conv_circuits", "hidden_circuits"),
    [("map", 3, 5), ("none", 3 * 36, 5), ("population", 1, 1)],
)
def test_hidden_neurons_share_circuits_and_outputs_do_not(share, conv_circuits, hidden_circuits):
    settings = small_run(conv="3c3-p2", hidden=(5,), share=share)
    network = build_network(settings, GRID, 2)
    assert {name: it.shape for name, it in network.populations.items()} == {
        "conv": (3, 6, 6),
        "hidden": (5,),
        "output": (2,),
    }
    each = {
        name: sum(p.numel() for p in it.parameters()) for name, it in network.populations.items()
    }
    alone = SQSNeurons(1, generator=torch.Generator(), drive=settings.neurons.drive)
    assert each["conv"] == conv_circuits * count_parameters(alone)
    assert each["hidden"] == hidden_circuits * count_parameters(alone)
    output = SQSNeurons(
        2, generator=torch.Generator(), drive=settings.neurons.drive, memory_qubits=0
    )
    assert each["output"] == count_parameters(output)
    # Kernels of 3 x 3, then 3 x 3 x 3 means that feed 5, then 5 that feed 2.
    assert sum(it.synapses.parameter_count() for it in network.pathways) == 27 + 27 * 5 + 10


def count_parameters(population):
    return sum(parameter.numel() for parameter in population.parameters())


def test_a_graph_of_settings_is_built_and_has_its_memory_in_hidden_populations():
    settings = small_run(
        hidden=(),
        populations={"a": (2, 4, 4), "b": 5, "c": "classes"},
        connections=[
            Connection("input", "a", Convolution(2, 5)),
            Connection("a", "b", (Pool(2), Dense(bias=True)), trace=0.5),
            Connection("b", "b", delay=2),
            Connection("b", "c", delay=LearnedDelay(longest=2)),
        ],
    )
    network = build_network(settings, GRID, 3)
    assert [it.circuit.memory_qubits for it in network.populations.values()] == [1, 1, 0]
    assert [circuit.memory_qubits for circuit in layer_circuits(settings)] == [1, 1, 0]
    record = network(torch.ones(4, 2, 64, 1), generator=torch.Generator().manual_seed(0))
    assert [it.spikes.shape[2] for it in record.layers] == [32, 5, 3]


@pytest.mark.parametrize(
    "chosen", [{"conv": "2c3", "hidden": ()}, {"hidden": (6,), "recurrent": True}]
)
def test_real_values_are_read_from_the_last_hidden_population(chosen):
    settings = from_flat("narma5", {**chosen, "grid": (1, 8)})
    network = build_network(settings, 8, 3)
    assert network.readout.weight.shape == (3, network.outputs, 1)
    assert "output" not in network.populations
    assert len(layer_circuits(settings)) == len(network.populations) == 1


@pytest.mark.parametrize(
    ("chosen", "shape", "message"),
    [
        ({"conv": "2c3"}, (64,), "how the 64 values of a sample lie is not known: say it by grid"),
        ({"conv": "2c3", "encoding": "population"}, GRID, "'population' gives several inputs per"),
        ({"grid": (1, 8, 9)}, GRID, r"grid is \(1, 8, 9\), which are 72 values, but .* has 64"),
        ({"conv": "2c9"}, GRID, "conv is '2c9': .* no place for its window"),
        ({"recurrent": True, "hidden": ()}, GRID, "recurrent needs a dense hidden layer"),
        (
            {"hidden": (), "populations": {"a": 5}, "connections": [Connection("input", "a")]},
            GRID,
            "'a', the last population and so the output, has 5 neurons, but there are 2 classes",
        ),
        (
            {
                "hidden": (),
                "populations": {"a": 5, "output": "classes"},
                "connections": [Connection("input", "output"), Connection("a", "a")],
            },
            GRID,
            "population 'a' does not reach the output",
        ),
    ],
)
def test_networks_that_do_not_fit_are_refused(chosen, shape, message):
    with pytest.raises(ConfigError, match=message):
        build_network(small_run(**chosen), shape, 2)


def test_weights_that_a_mask_cuts_do_not_count_as_parameters():
    def network(**options) -> SpikingNetwork:
        return SpikingNetwork(
            inputs=10,
            populations={"output": LIF(4, generator=torch.Generator().manual_seed(0))},
            connections=[Connection("input", "output", Dense(**options))],
            generator=torch.Generator().manual_seed(0),
        )

    membranes = 3 * 4  # beta, threshold and bias
    assert count_trained(network()) == 40 + membranes
    assert count_trained(network(sparsity=0.3, bias=True)) == 28 + 4 + membranes
