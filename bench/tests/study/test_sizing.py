"""Equal size: counted on networks that are really built, within 1 %, or refused."""

import pytest

from sqsnn.errors import ConfigError
from sqsnn.study.sizing import count, fit
from sqsnn.training.build import build_network
from sqsnn.training.config import ModelConfig, Recipe

MODELS = {
    "crx": ModelConfig(circuit="crx"),
    "bidirectional": ModelConfig(circuit="bidirectional", memory_qubits=2),
    "two channels": ModelConfig(circuit="bidirectional", channels=2),
    "integrate_and_fire": ModelConfig(circuit="integrate_and_fire"),
    "lif": ModelConfig(neurons="lif"),
    "stochastic_lif": ModelConfig(neurons="stochastic_lif"),
    "qlif": ModelConfig(neurons="qlif"),
    "published_sqs": ModelConfig(neurons="published_sqs"),
}


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_model_gets_the_size_within_one_per_cent(model, layers):
    size = fit(Recipe(model=model), 64, 10, 40_000, layers)
    assert len(size.hidden) == layers
    assert len(set(size.hidden)) == 1
    built = build_network(Recipe(model=model.model_copy(update={"hidden": size.hidden})), 64, 10)
    parameters = sum(weights.numel() for weights in built.parameters() if weights.requires_grad)
    assert parameters == size.parameters
    assert abs(parameters - 40_000) <= 400


@pytest.mark.parametrize("wanted", [82, 100, 160, 238, 239, 1000])
def test_the_nearest_width_is_chosen_or_named(wanted):
    recipe = Recipe(model=ModelConfig(neurons="lif"))
    counts = {
        width: count(Recipe(model=ModelConfig(neurons="lif", hidden=(width,))), 64, 10)
        for width in range(1, 20)
    }
    width, nearest = min(counts.items(), key=lambda item: abs(item[1] - wanted))
    if abs(nearest - wanted) <= 0.01 * wanted:
        assert fit(recipe, 64, 10, wanted) == ((width,), nearest)
    else:
        below = max([n for n in counts.values() if n < wanted], default=counts[1])
        above = min(n for n in counts.values() if n >= wanted)
        with pytest.raises(ConfigError) as refused:
            fit(recipe, 64, 10, wanted)
        assert f"have {below} (hidden" in str(refused.value)
        assert f"and {above} (hidden" in str(refused.value)


def test_fewer_parameters_than_one_neuron_has_are_refused():
    with pytest.raises(ConfigError, match=r"parameters is 20, but the nearest .*\(hidden 1\)"):
        fit(Recipe(), 64, 10, 20)
