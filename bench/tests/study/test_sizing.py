"""Equal size: counted on networks that are really built, within 1 %, or refused."""

import pytest

from sqsnn.errors import ConfigError
from sqsnn.training.build import build_network
from sqsnn_bench.study import library
from sqsnn_bench.study.sizing import fit

MODELS = {
    "crx": {"circuit": "crx"},
    "bidirectional": {"memory_qubits": 2},
    "two channels": {"channels": 2},
    "integrate_and_fire": {"circuit": "integrate_and_fire"},
    "lif": {"kind": "lif"},
    "stochastic_lif": {"kind": "stochastic_lif"},
    "qlif": {"kind": "qlif"},
    "published_sqs": {"kind": "published_sqs"},
}


def counting(neurons):
    """Settings with these neurons, and what counts the parameters of their networks."""
    settings = library.resolve("digits", {"neurons": neurons})
    return settings, lambda hidden: library.count(library.resized(settings, hidden), 64, 10)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("neurons", MODELS.values(), ids=MODELS)
def test_every_model_gets_the_size_within_one_per_cent(neurons, layers):
    settings, count = counting(neurons)
    size = fit(count, 40_000, layers)
    assert len(size.hidden) == layers
    assert len(set(size.hidden)) == 1
    built = build_network(library.resized(settings, size.hidden), 64, 10)
    parameters = sum(weights.numel() for weights in built.parameters() if weights.requires_grad)
    assert parameters == size.parameters
    assert abs(parameters - 40_000) <= 400


@pytest.mark.parametrize("wanted", [82, 100, 160, 238, 239, 1000])
def test_the_nearest_width_is_chosen_or_named(wanted):
    _, count = counting({"kind": "lif"})
    counts = {width: count((width,)) for width in range(1, 20)}
    width, nearest = min(counts.items(), key=lambda item: abs(item[1] - wanted))
    if abs(nearest - wanted) <= 0.01 * wanted:
        assert fit(count, wanted) == ((width,), nearest)
    else:
        below = max([n for n in counts.values() if n < wanted], default=counts[1])
        above = min(n for n in counts.values() if n >= wanted)
        with pytest.raises(ConfigError) as refused:
            fit(count, wanted)
        assert f"have {below} (hidden" in str(refused.value)
        assert f"and {above} (hidden" in str(refused.value)


def test_fewer_parameters_than_one_neuron_has_are_refused():
    with pytest.raises(ConfigError, match=r"parameters is 20, but the nearest .*\(hidden 1\)"):
        fit(counting({})[1], 20)
