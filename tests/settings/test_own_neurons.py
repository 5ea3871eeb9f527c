"""Neurons of one's own: named by their place, their arguments read from their signature."""

import sys
from typing import Annotated, Literal, NamedTuple

import pytest
import torch
from pydantic import Field
from tools import small_run
from torch import Tensor

from sqsnn.errors import ConfigError
from sqsnn.neurons.lif import LIF
from sqsnn.neurons.stepped import SteppedPopulation, learned
from sqsnn.settings.command import list_settings, train_command
from sqsnn.settings.toml import from_toml, to_toml
from sqsnn.training.build import build_network

HERE = __name__


class Nothing(NamedTuple):
    """A state that holds nothing of use."""

    last: Tensor


class Coin(SteppedPopulation):
    """Fires with a probability of its own, whatever comes in."""

    def __init__(
        self,
        size,
        *,
        channels: int = 1,
        bias,  # no annotation, and no default
        gain: Annotated[float, Field(gt=0)] = 1.0,
        mode: Literal["a", "b"] = "a",
        callback: object = None,  # has no place in a file
        generator,
        dtype=torch.float32,
        device=None,
    ):
        super().__init__(size, channels)
        self.given = {"bias": bias, "gain": gain, "mode": mode}
        self.bias = learned(float(bias), self.size, channels, dtype, device)

    def rest(self, drive):
        return Nothing(torch.zeros_like(drive))

    def drive(self, currents):
        return currents + self.bias

    def fire(self, drive, state):
        return torch.sigmoid(drive), drive

    def settle(self, carried, spikes):
        return Nothing(spikes)


class Sharing(LIF):
    """A LIF under another name: it takes all arguments that LIF takes, `share` too."""


class OneChannel(Coin):
    """Takes no channels."""

    def __init__(self, size, *, generator, dtype=torch.float32, device=None):
        super().__init__(size, bias=0, generator=generator, dtype=dtype, device=device)


class Unread(LIF):
    """An annotation names what is not imported."""

    def __init__(self, size, *, tau: "Missing" = 1, generator):
        super().__init__(size, generator=generator)


def own(name, channels=1, share="map", **options):
    return small_run(
        neurons=f"{HERE}:{name}", channels=channels, share=share, neuron_options=options
    )


def built(settings):
    return build_network(settings, (1, 8, 8), 3).population("hidden")


def test_arguments_reach_the_neurons_with_the_types_of_the_signature():
    population = built(own("Coin", channels=2, bias="2", gain="0.5", mode="b"))
    assert type(population) is Coin
    assert population.channels == 2
    assert population.given == {"bias": 2, "gain": 0.5, "mode": "b"}


def test_what_is_left_out_is_left_to_the_constructor():
    assert built(own("Coin", bias=1)).given == {"bias": 1, "gain": 1.0, "mode": "a"}
    assert torch.equal(built(own("Sharing")).threshold, torch.ones(12, 1))


def test_sharing_is_an_argument_only_where_something_is_shared():
    assert built(own("Sharing", share="population", backend="torch")).groups == 1
    assert built(own("OneChannel")).groups == 12
    with pytest.raises(ConfigError, match=r"OneChannel' cannot be built: .*'share'"):
        built(own("OneChannel", share="population"))


@pytest.mark.parametrize(
    ("name", "chosen", "said"),
    [
        ("Coin", {}, "Coin' has the options: bias, gain, mode; but bias: Field required"),
        ("Coin", {"bias": 0, "gian": 2.0}, "gian: Extra inputs are not permitted, but is 2.0"),
        ("Coin", {"bias": 0, "gain": 0}, "gain: Input should be greater than 0, but is 0"),
        ("Coin", {"bias": 0, "mode": "c"}, "mode: Input should be 'a' or 'b', but is 'c'"),
        ("Coin", {"bias": 0, "callback": 1}, "callback: Extra inputs"),
        ("Coin", {"bias": 0, "size": 3}, "size: Extra inputs"),
        ("Coin", {"bias": float("nan")}, "bias: Input should be .*finite"),
        ("Sharing", {"beta": 2.0}, "beta is 2.0; it must be in"),
        ("OneChannel", {"channels": 2}, "OneChannel' cannot be built: .*'channels'"),
        ("Unread", {}, "Unread' has an annotation that cannot be read: name 'Missing'"),
        ("Nothing", {}, "has no subclass of sqsnn.Population 'Nothing'"),
        ("own", {}, "has no subclass of sqsnn.Population 'own'"),
        ("SteppedPopulation", {}, "SteppedPopulation' cannot be built: "),
        ("", {}, "has no subclass of sqsnn.Population ''"),
    ],
)
def test_what_is_wrong_is_refused_by_name(name, chosen, said):
    with pytest.raises(ConfigError, match=said) as refused:
        own(name, **chosen)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("module", ["", ".here", "no_such_module", "own neurons"])
def test_a_module_that_cannot_be_imported_is_refused_by_name(module):
    with pytest.raises(ConfigError, match=f"but module '{module}' cannot be imported: "):
        small_run(neurons=f"{module}:Coin")


def test_a_kind_without_a_module_is_unknown():
    with pytest.raises(ConfigError, match=r"'Coin'; it may be one of sqs, .*module:Class"):
        small_run(neurons="Coin")
    with pytest.raises(ConfigError, match=r"bias is 2\.0, but goes with"):
        small_run(neurons=f"{HERE}:Coin", bias=2.0)
    with pytest.raises(ConfigError, match="goes with neurons 'module:Class' only"):
        small_run(neurons="lif", neuron_options={"beta": 0.5})


def test_settings_come_back_from_a_file_and_need_the_module_then(monkeypatch):
    settings = own("Coin", channels=2, bias=0.25)
    text = to_toml(settings)
    assert from_toml(text, "here") == settings
    monkeypatch.setitem(sys.modules, HERE, None)
    with pytest.raises(ConfigError, match=f"^here: neurons is '{HERE}:Coin', but module"):
        from_toml(text, "here")


def test_the_command_names_neurons_and_their_options():
    settings = own("Coin", channels=2, bias=0.25)
    told = {setting.name: setting for setting in list_settings(settings)}
    assert told["neuron_options"].value == {"bias": 0.25}
    assert told["neurons"].default == "sqs"
    assert told["channels"].is_chosen
    command = train_command(settings)
    assert f"--neurons {HERE}:Coin --channels 2 --neuron-options.bias 0.25" in command
