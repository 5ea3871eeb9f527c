"""The settings of neurons are the arguments of their populations, declared there and only there."""

import inspect
import sys
import tomllib
from functools import partial

import pytest
import torch
from tools import small_run

from sqsnn import neurons as public
from sqsnn.errors import ConfigError
from sqsnn.neurons.drive import Leaky
from sqsnn.neurons.lif import LIF
from sqsnn.neurons.population import Population
from sqsnn.neurons.published_sqs import PublishedSQS
from sqsnn.neurons.qlif import QLIF
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.neurons.stochastic_lif import StochasticLIF
from sqsnn.quantum.circuits import Circuit
from sqsnn.quantum.noise import Noise
from sqsnn.settings import flat
from sqsnn.settings.command import list_settings, train_command
from sqsnn.settings.neurons import POPULATIONS, Neurons, NeuronSettings
from sqsnn.settings.run import Recipe, from_flat, validated
from sqsnn.settings.toml import from_toml, to_toml

SETTINGS = {flat.kind_of(cls): cls for cls in flat.members(Neurons)}
# What the network decides, or what no training can use.
DECIDED = {"size", "share", "generator", "dtype", "device", "noise_simulation"}
KINDS = list(POPULATIONS)


def built(settings: NeuronSettings) -> Population:
    """A population of two neurons."""
    hidden, _ = settings.factories(2)
    return hidden(2, generator=torch.Generator().manual_seed(0))


def test_every_population_has_a_kind():
    assert dict(POPULATIONS) == {
        "sqs": SQSNeurons,
        "lif": LIF,
        "stochastic_lif": StochasticLIF,
        "qlif": QLIF,
        "published_sqs": PublishedSQS,
    }
    assert SETTINGS.keys() == {*POPULATIONS, flat.OWN}
    concrete = (getattr(public, name) for name in public.__all__)
    assert set(POPULATIONS.values()) == {
        it for it in concrete if isinstance(it, type) and issubclass(it, Population)
    } - {Population, public.SteppedPopulation}


@pytest.mark.parametrize("kind", KINDS)
def test_settings_are_the_arguments_of_the_population(kind):
    parameters = inspect.signature(POPULATIONS[kind]).parameters
    fields = SETTINGS[kind].model_fields
    of_the_network = {"kind", "output_memory_qubits"}
    # `backend` is among the settings that of the hardware.
    arguments = {name: name.removeprefix("neurons_") for name in fields.keys() - of_the_network}
    assert set(arguments.values()) == parameters.keys() - DECIDED
    for name, argument in arguments.items():
        default = fields[name].get_default(call_default_factory=True)
        # In a file a table without entries stands for None.
        assert (None if default == {} else default) == parameters[argument].default
        assert (fields[name].description or "").endswith(".")


@pytest.mark.parametrize("kind", KINDS)
def test_default_settings_build_the_default_population(kind):
    population = built(SETTINGS[kind]())
    assert type(population) is POPULATIONS[kind]
    default = POPULATIONS[kind](2, generator=torch.Generator().manual_seed(0))
    assert all(map(torch.equal, population.parameters(), default.parameters()))


@pytest.mark.parametrize("name", ["circuit", "surrogate", "encoding_slope"])
def test_what_no_file_can_hold_is_no_setting(name):
    with pytest.raises(ConfigError, match=name):
        small_run(**{name: abs})


def test_settings_reach_the_neurons():
    quantum = built(
        small_run(
            channels=2,
            memory_qubits=3,
            circuit="hardware_efficient",
            circuit_options={"layers": 2},
            surrogate="sigmoid",
            encoding_slope="exact",
            drive="leaky",
            reset_steps=2,
            beta=0.75,
            through_collapse=True,
        ).neurons
    )
    assert (quantum.channels, quantum.memory_qubits) == (2, 3)
    assert (quantum.surrogate, quantum.encoding_slope) == ("sigmoid", "exact")
    assert (quantum.drive, quantum.through_collapse) == (Leaky(beta=0.75, reset_steps=2), True)
    direct = SQSNeurons(
        2,
        channels=2,
        memory_qubits=3,
        circuit="hardware_efficient",
        circuit_options={"layers": 2},
        generator=torch.Generator(),
    )
    assert quantum.circuit == direct.circuit
    options = {"beta": 0.5, "threshold": 0.75, "tau": 0.125, "channels": 2}
    noisy = built(small_run(neurons="stochastic_lif", surrogate="sigmoid", **options).neurons)
    assert (noisy.channels, noisy.surrogate, noisy.tau) == (2, "sigmoid", 0.125)
    assert (noisy.beta.unique().item(), noisy.threshold.unique().item()) == (0.5, 0.75)
    fair = built(small_run(neurons="lif", floor=-1.0, through_reset=True).neurons)
    assert (fair.floor, fair.own_spikes_are_data) == (-1.0, False)
    qubit = built(small_run(neurons="qlif", decay=0.25, encoding_slope="exact").neurons)
    assert (qubit.encoding_slope, qubit.decay.unique().item()) == ("exact", 0.25)
    published = built(small_run(neurons="published_sqs", surrogate="sigmoid").neurons)
    assert (published.surrogate, published.encoding_slope) == ("sigmoid", "exponential")


# The memory of the output layer


def layers(**chosen) -> list[SQSNeurons]:
    """One population of each of three layers."""
    factories = from_flat("digits", chosen).neurons.factories(3)
    return [factory(2, generator=torch.Generator().manual_seed(0)) for factory in factories]


@pytest.mark.parametrize(
    ("chosen", "qubits"),
    [
        ({}, [1, 1, 0]),
        ({"memory_qubits": 2}, [2, 2, 0]),
        ({"memory_qubits": 0}, [0, 0, 0]),
        ({"memory_qubits": 2, "output_memory_qubits": 1}, [2, 2, 1]),
        ({"memory_qubits": 0, "output_memory_qubits": 1}, [0, 0, 1]),
        ({"circuit": "integrate_and_fire", "memory_qubits": 2}, [2, 2, 1]),
        ({"circuit": "hardware_efficient"}, [1, 1, 0]),
    ],
    ids=str,
)
def test_outputs_have_memory_where_it_is_chosen_or_needed(chosen, qubits):
    assert [population.memory_qubits for population in layers(**chosen)] == qubits


@pytest.mark.parametrize("memory", [(1, 0), (0, 1), (2, 1)], ids=str)
def test_memory_gates_are_frozen_in_the_layers_that_have_memory(memory):
    hidden, outputs = memory
    built = layers(memory_gates="frozen", memory_qubits=hidden, output_memory_qubits=outputs)
    for population, qubits in zip(built, (hidden, hidden, outputs), strict=True):
        frozen = not isinstance(population.angles, torch.nn.Parameter)
        assert frozen == (qubits > 0)


def test_a_noise_without_rates_is_none():
    assert built(small_run(missed_spike=0.0).neurons).noise is None
    assert built(small_run(missed_spike=0.1).neurons).noise == Noise(missed_spike=0.1)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"memory_qubits": -1}, r"memory_qubits must be an integer in 0\.\.6, but is -1"),
        ({"channels": 9}, r"channels must be an integer in 1\.\.8, but is 9"),
        ({"channels": 5, "memory_qubits": 6}, r"channels \+ memory_qubits is 5 \+ 6; .* up to 10"),
        ({"circuit": "transmon"}, "circuit is 'transmon'; it may be one of crx, bidirectional"),
        (
            {"circuit_options": {"layers": 2}},
            "circuit 'bidirectional' has the options: coupling; but .*'layers'",
        ),
        ({"circuit": "integrate_and_fire", "memory_qubits": 0}, "'integrate_and_fire' integrates"),
        (
            {"circuit": "integrate_and_fire", "output_memory_qubits": 0},
            "output_memory_qubits is 0: memory_qubits is 0; circuit 'integrate_and_fire'",
        ),
        ({"output_memory_qubits": 7}, r"output_memory_qubits is 7: .* in 0\.\.6, but is 7"),
        ({"reset_steps": 5}, "reset_steps: .*less than or equal to 4, but is 5"),
        ({"floor": 0.5}, "floor: .*less than or equal to 0, but is 0.5"),
        ({"memory_gates": "frozen", "memory_qubits": 0}, "memory_gates is 'frozen', which needs"),
        ({"surrogate": "tanh"}, "surrogate: .*'straight_through' or 'sigmoid', but is 'tanh'"),
        ({"missed_spike": 1.5}, "missed_spike: .*less than or equal to 1, but is 1.5"),
        ({"missed_spike": True}, "missed_spike: .*number, but is True"),
        ({"idle_depolarising": -0.1}, "idle_depolarising: .*greater than or equal to 0"),
        ({"missed_spike": 0.1, "through_collapse": True}, "through_collapse is True, which works"),
        ({"neurons": "lif", "beta": 1.5}, r"beta is 1.5; it must be in \[0, 1\]"),
        (
            {"neurons": "lif", "floor": 0.5},
            "floor is 0.5; it must be finite and at most 0, or None",
        ),
        ({"neurons": "lif", "beta": "half"}, "beta: .*valid number.*, but is 'half'"),
        (
            {"neurons": "stochastic_lif", "tau": 0.0},
            "tau is 0.0; it must be finite and at least 1e-12",
        ),
        ({"neurons": "qlif", "threshold": 1.0}, r"threshold is 1.0; it must be in \(0, 1\)"),
        ({"neurons": "qlif", "learn": 7}, "learn: .*boolean"),
    ],
    ids=str,
)
def test_the_population_refuses_what_it_cannot_be(chosen, message):
    with pytest.raises(ConfigError, match=message) as refused:
        from_flat("digits", chosen)
    assert "\n" not in str(refused.value)


# Circuits of one's own


def flip(channels: int, memory_qubits: int, angle: float = 1.0) -> Circuit:
    """Turn every channel."""
    return Circuit.build(channels, memory_qubits, [("RX", (n,), angle) for n in range(channels)])


MADE = flip(1, 2)


@pytest.mark.parametrize(
    ("given", "memory", "outputs"), [(MADE, 2, 2), (flip, 2, 0), (partial(flip, angle=0.5), 1, 0)]
)
def test_python_may_give_a_circuit_or_a_function_that_makes_it(given, memory, outputs):
    table = {"kind": "sqs", "circuit": given, "memory_qubits": memory}
    recipe = Recipe.model_validate({"neurons": table})
    populations = [
        factory(2, generator=torch.Generator().manual_seed(0))
        for factory in recipe.neurons.factories(2)
    ]
    assert [population.memory_qubits for population in populations] == [memory, outputs]
    assert [len(population.circuit.gates) for population in populations] == [1, 1]
    assert recipe == Recipe.model_validate({"neurons": table})


def test_a_circuit_for_other_qubits_is_refused():
    with pytest.raises(ConfigError, match="memory_qubits=2, but the neurons have 1 and 1"):
        validated(Recipe, {"neurons": {"kind": "sqs", "circuit": MADE}})
    table = {"kind": "sqs", "circuit": MADE, "memory_qubits": 2, "output_memory_qubits": 0}
    with pytest.raises(ConfigError, match=r"output_memory_qubits is 0: .* neurons have 1 and 0"):
        validated(Recipe, {"neurons": table})


@pytest.mark.parametrize("given", [MADE, flip], ids=["circuit", "function"])
def test_a_run_takes_no_circuit_that_its_file_cannot_hold(given):
    with pytest.raises(ConfigError, match=r"circuit is an object, .* name it as 'module:function'"):
        small_run(circuit=given, memory_qubits=2)


SOURCE = """
from sqsnn.quantum.circuits import Circuit, Normal
def kick(channels, memory_qubits, angle=0.5):
    placed = [("RX", (0,), Normal(1.0)), ("RZ", (0,), angle)]
    return Circuit.build(channels, memory_qubits, placed)
"""


def test_a_run_keeps_the_name_and_the_gates_of_a_circuit_in_a_module(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "kicks.py").write_text(SOURCE)
    settings = small_run(circuit="kicks:kick", circuit_options={"angle": 0.25})
    text = to_toml(settings)
    content = tomllib.loads(text)
    assert content["neurons"]["circuit"] == "kicks:kick"
    assert content["circuit_gates"] == ["RX(phi_0) 0; RX(theta_0) 0; RZ(0.25) 0"] * 2
    assert from_toml(text, "here") == settings
    assert "--circuit kicks:kick" in train_command(settings)
    assert "circuit_gates" not in {setting.name for setting in list_settings(settings)}
    assert "circuit_gates" not in tomllib.loads(to_toml(small_run()))
    # The function changes.
    module = sys.modules["kicks"]
    monkeypatch.setattr(module, "kick", lambda n, m, angle=0.5: Circuit.build(n, m, []))
    with pytest.raises(ConfigError, match=r"^here: circuit 'kicks:kick' has other gates now .*RZ"):
        from_toml(text, "here")
    # It is gone, as in another folder.
    monkeypatch.delitem(sys.modules, "kicks")
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(tmp_path)])
    with pytest.raises(ConfigError, match=r"^here: .*module 'kicks' cannot be imported: No modu"):
        from_toml(text, "here")
