"""Shared parameters: one trained row per group, read as one row per neuron, gradients summed."""

import copy
import pickle
from functools import partial

import pytest
import torch
from tools import seeded

import sqsnn
from sqsnn.learning.scores import Exact, Measured
from sqsnn.network import Connection
from sqsnn.neurons.drive import Leaky
from sqsnn.neurons.lif import LIF
from sqsnn.neurons.published_sqs import PublishedSQS
from sqsnn.neurons.qlif import QLIF
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.neurons.stochastic_lif import StochasticLIF
from sqsnn.training.build import count_trained

pytestmark = pytest.mark.usefixtures("device")

GRID = (3, 2, 2)
SIZE, GROUPS = 12, {"map": 3, "population": 1}
LEARNED = ("angles", "gains", "beta", "reset", "bias")
OTHERS = (LIF, StochasticLIF, QLIF, PublishedSQS)


def made(share: str = "map", kind=SQSNeurons, **options):
    return kind(GRID, share=share, generator=seeded(), dtype=torch.float64, **options)


def original(neurons, name: str) -> torch.Tensor:
    """What is trained in place of a shared parameter."""
    return neurons.get_parameter(f"parametrizations.{name}.original")


def twin_of(neurons, **options):
    """Neurons that share nothing, with equal values."""
    twin = SQSNeurons(SIZE, generator=seeded(), dtype=torch.float64, **options)
    with torch.no_grad():
        for name in LEARNED:
            getattr(twin, name).copy_(getattr(neurons, name))
    return twin


@pytest.mark.parametrize("share", ["map", "population"])
@pytest.mark.parametrize("kind", [SQSNeurons, *OTHERS])
def test_one_row_per_group_is_trained_and_every_neuron_reads_that_of_its_group(kind, share):
    neurons, alone = made(share, kind), made("none", kind)
    assert (neurons.shape, neurons.size) == (GRID, SIZE) == (alone.shape, alone.size)
    for name, plain in alone.named_parameters():
        whole, trained = getattr(neurons, name), original(neurons, name)
        assert whole.shape == plain.shape
        assert trained.shape == (GROUPS[share], *plain.shape[1:])
        of_group = whole.detach().unflatten(0, (GROUPS[share], -1))
        assert torch.equal(of_group, trained.detach()[:, None].expand_as(of_group))
    assert {p.shape[0] for p in neurons.parameters()} == {GROUPS[share]}


def test_groups_start_apart():
    angles = original(made(circuit="crx"), "angles")
    assert not torch.equal(angles[0], angles[1])
    # Drawn per group: the first draw of a generator, as for so many neurons alone.
    few = SQSNeurons(3, circuit="crx", generator=seeded(), dtype=torch.float64)
    assert torch.equal(angles, few.angles)


@pytest.mark.parametrize(
    ("rule", "options"),
    [
        (sqsnn.Backprop, {"channels": 2, "surrogate": "sigmoid"}),
        (sqsnn.Backprop, {"backend": "torch", "circuit": "integrate_and_fire"}),
        (partial(sqsnn.Local, score=Exact()), {"circuit": "integrate_and_fire"}),
        (partial(sqsnn.Local, score=sqsnn.Online()), {"channels": 2, "surrogate": "sigmoid"}),
        (partial(sqsnn.Local, score=sqsnn.Online()), {"circuit": "integrate_and_fire"}),
        (partial(sqsnn.Local, score=Measured(window=2)), {"circuit": "integrate_and_fire"}),
        (partial(sqsnn.Local, score=Measured(derivative="spsa")), {"drive": Leaky(reset_steps=2)}),
    ],
)
@pytest.mark.parametrize("share", ["map", "population"])
def test_the_gradient_is_the_sum_over_the_neurons_of_a_group(rule, options, share):
    shared = made(share, **options)
    with torch.no_grad():  # away from the start, where some gradients are 0
        for parameter in shared.parameters():
            parameter.add_(0.4 * torch.randn(parameter.shape, generator=seeded(3)))
    twin = twin_of(shared, **options)
    weights = []
    for hidden in (shared, twin):
        network = sqsnn.SpikingNetwork(
            inputs=5,
            populations={"hidden": hidden, "output": 3},
            connections=[Connection("input", "hidden"), Connection("hidden", "output")],
            generator=seeded(4),
            dtype=torch.float64,
            **options,
        )
        spikes = (torch.rand(4, 6, 5, 1, generator=seeded(5)) < 0.6).double()
        rule().step(network, spikes, torch.arange(6) % 3, generator=seeded(6))
        weights.append([p.grad for n, p in network.named_parameters() if n.endswith("weight")])
    for one, other in zip(*weights, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    learned = [name for name in LEARNED if getattr(twin, name).numel()]
    for name in learned:
        each = getattr(twin, name).grad
        summed = each.unflatten(0, (GROUPS[share], -1)).sum(1)
        torch.testing.assert_close(original(shared, name).grad, summed, rtol=1e-12, atol=1e-12)
    assert min(original(shared, name).grad.norm() for name in ("angles", "beta", "bias")) > 1e-3


def test_memory_gates_are_frozen_and_shared_at_once():
    neurons = made(circuit="crx", memory_gates="frozen")
    assert neurons.angles.shape == (SIZE, 3)
    trained = {n: p.shape for n, p in neurons.named_parameters() if p.requires_grad}
    # RX on the channel alone; the two gates on the memory stay.
    assert trained["parametrizations.angles.original0"] == (3, 1)
    fixed = neurons.get_parameter("parametrizations.angles.original1")
    assert not fixed.requires_grad and fixed.shape == (3, 2)
    before = neurons.angles.detach().clone()
    with torch.no_grad():
        neurons.get_parameter("parametrizations.angles.original0").add_(1.0)
    moved = (neurons.angles - before).unique(dim=0)
    torch.testing.assert_close(moved, torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64))


def test_a_network_counts_what_is_trained():
    network = sqsnn.SpikingNetwork(
        inputs=4,
        populations={"hidden": GRID, "output": 2},
        connections=[Connection("input", "hidden"), Connection("hidden", "output")],
        neurons=[partial(SQSNeurons, share="map"), SQSNeurons],
        generator=seeded(),
    )
    per_neuron = 4 + 3  # angles of `bidirectional`, and beta, theta and c
    assert count_trained(network) == 4 * SIZE + SIZE * 2 + per_neuron * (3 + 2)


@pytest.mark.parametrize("options", [{}, {"memory_gates": "frozen"}])
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, copy.copy, lambda neurons: pickle.loads(pickle.dumps(neurons))]
)
def test_copies_are_whole(copied, options):
    neurons = made(circuit="integrate_and_fire", **options)
    other = copied(neurons)
    kept = neurons.state_dict()
    for part in (neurons, other):
        assert list(part.state_dict()) == list(kept)
        assert all(torch.equal(part.state_dict()[name], kept[name]) for name in kept)
    flags = [[p.requires_grad for p in part.parameters()] for part in (neurons, other)]
    assert flags[0] == flags[1]
    currents = torch.rand(3, 2, SIZE, 1, generator=seeded(1), dtype=torch.float64)
    one, two = (each(currents, generator=seeded(2))[0] for each in (neurons, other))
    assert torch.equal(one.probability, two.probability)


def test_state_dict_and_dtype_follow_the_groups():
    neurons, other = made(circuit="crx"), made(circuit="crx")
    with torch.no_grad():
        original(neurons, "angles").add_(1.0)
    other.load_state_dict(neurons.state_dict())
    assert torch.equal(other.angles, neurons.angles)
    assert neurons.to(torch.float32).angles.dtype == torch.float32 == neurons.parameter_like.dtype


def test_equal_rows_can_be_assigned_and_others_are_refused():
    neurons = made("population", circuit="crx")
    neurons.angles = torch.ones(SIZE, 3, dtype=torch.float64)
    assert torch.equal(original(neurons, "angles").detach(), torch.ones(1, 3).double())
    with pytest.raises(ValueError, match="rows of 12 neurons that share one differ"):
        neurons.angles = torch.arange(SIZE * 3.0, dtype=torch.float64).reshape(SIZE, 3)


@pytest.mark.cpu_only("it is about the compiled kernel")
@pytest.mark.parametrize("kind", [SQSNeurons, LIF, StochasticLIF])
def test_the_kernel_takes_shared_neurons(kind):
    neurons = made(kind=kind)
    assert neurons.runs_fused
    currents = torch.rand(4, 3, SIZE, 1, generator=seeded(1), dtype=torch.float64)
    fused, _ = neurons(currents, generator=seeded(2))
    neurons.choose_backend("torch")
    unfused, _ = neurons(currents, generator=seeded(2))
    torch.testing.assert_close(fused.probability, unfused.probability, rtol=1e-12, atol=1e-12)


def test_shares_and_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"share is 'map', but .* shape \(4,\), which has no maps"):
        LIF(4, share="map", generator=seeded())
    with pytest.raises(Exception, match="share"):
        LIF((2, 2), share="maps", generator=seeded())
    with pytest.raises(ValueError, match=r"size\[1\] must be an integer of at least 1, but is 0"):
        LIF((2, 0), generator=seeded())
    with pytest.raises(ValueError, match="size is empty"):
        LIF((), generator=seeded())


@pytest.mark.parametrize("kind", [SQSNeurons, *OTHERS])
def test_neurons_that_share_are_shown_under_their_own_name_in_one_line(kind):
    shown = repr(made(kind=kind))
    assert shown.startswith(f"{kind.__name__}({GRID}, share='map'")
    assert "\n" not in shown
    alone = repr(kind(SIZE, generator=seeded(), dtype=torch.float64))
    assert shown == alone.replace(f"({SIZE}", f"({GRID}, share='map'")


def test_errors_name_neurons_that_share_by_their_own_class():
    currents = torch.zeros(1, 1, SIZE, 1, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"^keep_memory is True, but QLIF has no memory qubits"):
        made(kind=QLIF)(currents, generator=seeded(), keep_memory=True)


@pytest.mark.parametrize("share", ["none", "population"])
def test_what_has_no_elements_is_in_no_graph(share):
    neurons = SQSNeurons((2, 3), share=share, generator=seeded())
    assert neurons.gains.shape == (6, 0)
    copy.deepcopy(neurons.double())  # torch copies leaves alone
    neurons.requires_grad_(False)
    record, _ = neurons(
        torch.ones(3, 1, 6, 1, dtype=torch.float64), observed=torch.zeros(3, 1, 6, 1).double()
    )
    assert not record.probability.requires_grad
