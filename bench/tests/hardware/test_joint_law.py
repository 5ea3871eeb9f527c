"""The joint law of a driven network on a device: what is compared, and that it can fail.

In the network tests a right device or simulator is called wrong at p < 1e-4, in each of 7
comparisons: at one seed in 1400. The seeds are fixed.
"""

import json

import numpy as np
import pytest
import torch
from hardware_stubs import logic, programs
from scipy.stats import kstest

from sqsnn import Leaky
from sqsnn.errors import ConfigError
from sqsnn.hardware import find
from sqsnn_bench import joint_law
from sqsnn_bench.joint_law import CASES, Case, Gathered, law_of, network_of, p_value, sample, seeded

WHOLE = Case("whole membrane, M = 1", Leaky())


def test_the_law_is_that_of_the_networks_own_likelihood():
    network = network_of(WHOLE, "crx")
    law = law_of(network)
    assert law.shape == (64, 64)
    assert law.sum() == pytest.approx(1, abs=1e-12)
    assert (law > 0).mean() > 0.9  # records spread
    spikes = sample().expand(-1, 50, -1, -1)
    with torch.no_grad():
        record = network(spikes, generator=seeded(0))
    weights = 2.0 ** torch.arange(5, -1, -1, dtype=torch.float64)
    trains = [(weights @ layer.spikes[:, :, 0, 0]).long().numpy() for layer in record.layers]
    expected = sum(layer.log_likelihood[..., 0].sum(0) for layer in record.layers)
    np.testing.assert_allclose(np.log(law[trains[0], trains[1]]), expected, atol=1e-10)


def test_p_values_of_right_draws_are_uniform_and_of_wrong_ones_tiny():
    law = law_of(network_of(WHOLE, "crx"))
    draws = np.random.default_rng(0).multinomial(20_000, law.ravel() / law.sum(), 300)
    found = [p_value(counts, law) for counts in draws]
    # Kolmogorov and Smirnov: right p values fail at one seed in 1000.
    assert kstest(found, "uniform").pvalue > 1e-3
    assert p_value(draws[0], law_of(network_of(CASES[4], "crx"))) < 1e-9


def test_equal_rows_are_shots_of_one_and_keep_their_places():
    circuit, steps = logic(1), 4
    values, expected = programs(1, steps, 9)
    order = np.random.default_rng(1).integers(0, 9, 200)
    executor = Gathered(find("aer"))
    spikes = executor.run(circuit, steps, values[order], 1, seeded(0))
    np.testing.assert_array_equal(spikes[:, 0], expected[order])
    assert executor.counts.shots < 2 * 200
    assert executor.counts.jobs < 9
    two = executor.run(circuit, steps, values[order[:5]], 2, seeded(0))
    np.testing.assert_array_equal(two[:, 1], expected[order[:5]])


def test_shots_of_gathered_rows_differ():
    # Of a half turn to the side every bit is a fair coin: 200 equal ones come once in 2**200.
    spikes = Gathered(find("aer")).run(
        logic(1), 1, np.tile([np.pi / 2, 0, 0], (200, 1)), 1, seeded(0)
    )
    assert 50 < spikes.sum() < 150


def test_a_device_that_is_paid_for_is_refused():
    with pytest.raises(ConfigError, match="'ibm:boston', whose jobs are paid for"):
        joint_law.compare("ibm:boston", ["crx"], 1000, 0, lambda line: None)


@pytest.fixture
def few(monkeypatch):
    """Three cases: conditions of a few steps, of all steps, and layers of different kinds."""
    names = {"K = 2", "whole membrane, M = 1", "whole membrane, M = 1, output M = 0"}
    monkeypatch.setattr(joint_law, "CASES", [case for case in CASES if case.name in names])
    assert len(joint_law.CASES) == len(names)


def test_the_command_compares_writes_and_prints(few, bench, here):
    done = bench("joint-law", "--circuit", "crx", "--shots", "2000")
    assert (done.code, done.err) == (0, "")
    path = "bench/results/hardware/joint-law-aer.json"
    assert done.out.splitlines()[-1] == path
    assert "3 laws agree with the exact ones" in done.out
    content = json.loads((here / path).read_text("utf-8"))
    assert (content["shots"], content["comparisons"], content["agrees"]) == (2000, 3, True)
    assert content["least_p"] == pytest.approx(content["error_rate"] / 3)
    for row in content["rows"]:
        assert row["p"] > 1e-4 and row["p_of_the_simulator"] > 1e-4
        assert row["p_without_own_spikes"] < 1e-9
    assert [row["conditions"] for row in content["rows"]] == [[18, 18], [62, 62], [62, 0]]
    assert [row["steps_per_circuit"] for row in content["rows"]] == [[6, 6], [6, 6], [6, 1]]


def test_what_a_device_refuses_is_noted(monkeypatch):
    monkeypatch.setattr(joint_law, "CASES", (CASES[2], CASES[5]))
    content = joint_law.compare("fake_lima", ["crx"], 1000, 0, lambda line: None)
    refused, ran = content["rows"]
    assert "fake_lima offers no if_else" in refused["refused"]
    assert ran["p"] > 1e-4
    assert (content["comparisons"], content["agrees"]) == (1, True)
    assert "| crx | K = 1 |  | refused |  |  |" in joint_law.table(content)


def test_a_law_that_is_wrong_is_said_to_be(few, monkeypatch):
    monkeypatch.setattr(
        joint_law.feedforward,
        "rotate",
        lambda circuit, bits, rotations: turn_all(circuit, rotations),
    )
    content = joint_law.compare("aer", ["crx"], 1000, 0, lambda line: None)
    assert not content["agrees"]
    assert "DO NOT AGREE" in joint_law.table(content)


def turn_all(circuit, rotations):
    """What a device without conditions would do: the angle of no spike, whatever was measured."""
    for qubit, angles in rotations:
        circuit.rx(angles[0], qubit)
        for angle in angles[1:]:  # so that no angle is left unused
            circuit.rx(angle, qubit)
            circuit.rx(-angle, qubit)
