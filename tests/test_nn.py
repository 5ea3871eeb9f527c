"""SQS neurons as a PyTorch module: the same spikes, own randomness, own state, copies and moves."""

import copy
import io
import pickle

import pytest
import torch
from tools import seeded
from torch import nn

import sqsnn
from sqsnn.neurons.drive import Leaky, Rectified
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.nn import SQS
from sqsnn.quantum import circuits
from sqsnn.quantum.noise import Noise

pytestmark = pytest.mark.usefixtures("device")


def currents(*shape, seed=5, dtype=torch.float32):
    return torch.randn(shape, generator=seeded(seed), dtype=dtype)


def build(**options):
    return SQS(5, generator=7, **options)


OPTIONS = [
    {},
    {"channels": 2, "memory_qubits": 2},
    {"memory_qubits": 0, "drive": Rectified()},
    {"circuit": "crx", "dtype": torch.float64, "drive": Leaky(reset_steps=2)},
    {"circuit": circuits.get("integrate_and_fire", 1, 1)},
    {"noise": Noise(false_spike=0.1, depolarising_1q=0.01)},
]
IDS = ["-".join(options) or "defaults" for options in OPTIONS]


@pytest.mark.parametrize("options", OPTIONS, ids=IDS)
def test_the_module_is_the_population_on_the_same_numbers(options):
    generator = seeded(7)
    neurons = SQSNeurons(5, generator=generator, **options)
    module = build(**options)
    inputs = currents(6, 3, 5, neurons.channels, dtype=neurons.angles.dtype)
    for _ in range(2):  # the second call draws on
        record, _ = neurons(inputs, generator=generator)
        assert torch.equal(module(inputs), record.spikes)
    assert module.state is None


def test_the_channel_axis_of_one_channel_may_be_left_out():
    inputs = currents(6, 3, 5)
    spikes = build()(inputs)
    assert spikes.shape == (6, 3, 5)
    assert torch.equal(build()(inputs.unsqueeze(-1)), spikes.unsqueeze(-1))


def test_a_generator_that_is_given_is_the_one_that_draws():
    given = seeded(7)
    module = SQS(5, generator=given)
    assert module.generator is given
    assert torch.equal(module(currents(6, 3, 5)), build()(currents(6, 3, 5)))


def test_evaluation_does_what_training_does():
    inputs = currents(6, 3, 5)
    trained, evaluated = build().train(), build().eval()
    assert torch.equal(trained(inputs), evaluated(inputs))


def test_a_sequential_model_learns_to_tell_which_third_of_its_inputs_is_driven(device):
    below, above = (
        nn.utils.skip_init(nn.Linear, *sizes, device=device) for sizes in ((12, 64), (64, 3))
    )
    model = nn.Sequential(below, sqsnn.nn.SQS(64, generator=0), above)
    drawn = seeded()
    for parameter in (*below.parameters(), *above.parameters()):
        nn.init.uniform_(parameter, -0.2, 0.2, generator=drawn)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(40):
        labels = torch.randint(3, (32,), generator=drawn)
        inputs = 0.3 * torch.rand(8, 32, 12, generator=drawn)
        inputs += nn.functional.one_hot(labels, 3).repeat_interleave(4, dim=1)
        loss = nn.functional.cross_entropy(model(inputs).mean(dim=0), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 0.9  # log 3 = 1.1 is chance
    assert sum(losses[-5:]) / 5 < 0.3
    assert all(p.grad.abs().sum() > 0 for p in model.parameters() if p.numel())


# State


@pytest.mark.parametrize("options", OPTIONS, ids=IDS)
def test_a_stateful_module_in_two_halves_equals_one_pass(options):
    whole, halves = build(**options), build(stateful=True, **options)
    dtype, channels = whole.neurons.angles.dtype, whole.neurons.channels
    inputs = currents(9, 3, 5, channels, dtype=dtype)
    with torch.no_grad():
        expected = whole(inputs)
        assert torch.equal(torch.cat([halves(inputs[:4]), halves(inputs[4:])]), expected)
    halves.reset_state()
    assert halves.state is None


def test_no_gradient_runs_from_one_call_into_the_one_before():
    module = build(stateful=True)
    first, second = (currents(4, 2, 5, seed=seed).requires_grad_() for seed in (1, 2))
    module(first)
    module(second).sum().backward()
    assert first.grad is None
    assert second.grad.abs().sum() > 0


def test_another_batch_size_needs_another_start():
    module = build(stateful=True)
    module(currents(4, 2, 5))
    with pytest.raises(ValueError, match=r"batch of 3, but .* a batch of 2: call reset_state\(\)"):
        module(currents(4, 3, 5))
    module.reset_state()
    assert module(currents(4, 3, 5)).shape == (4, 3, 5)


# Copies and moves


def through_a_file(module):
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module)), through_a_file],
    ids=["deepcopy", "pickle", "file"],
)
def test_a_copy_goes_on_as_the_original_does(duplicate):
    module = build(stateful=True)
    module(currents(4, 2, 5))
    twin = duplicate(module)
    assert twin.generator is not module.generator
    for seed in range(2):
        inputs = currents(4, 2, 5, seed=seed)
        assert torch.equal(twin(inputs), module(inputs))


def test_state_dict_holds_parameters_and_their_circuit_alone():
    module, other = build(stateful=True), SQS(5, generator=8)
    module(currents(4, 2, 5))
    saved = module.state_dict()
    # Gains of a circuit that has none are no parameters.
    elements = {name for name, values in saved.items() if values.numel()}
    circuit = {"neurons._extra_state"}
    assert elements == circuit | {name for name, _ in module.named_parameters()}
    other.load_state_dict(saved)
    other.generator.set_state(module.generator.get_state())
    module.reset_state()
    assert torch.equal(other(currents(4, 2, 5)), module(currents(4, 2, 5)))


@pytest.mark.not_elsewhere("parameters of the simulated device keep their precision in a graph")
@pytest.mark.parametrize("options", [o for o in OPTIONS if "dtype" not in o])
def test_another_precision_takes_the_state_along(options):
    module = build(stateful=True, **options)
    channels = module.neurons.channels
    module(currents(4, 2, 5, channels))
    module.double()
    spikes = module(currents(4, 2, 5, channels, dtype=torch.float64))
    assert spikes.dtype == torch.float64
    module.float()
    assert module(currents(4, 2, 5, channels)).dtype == torch.float32


@pytest.mark.cuda
def test_a_move_to_another_device_draws_the_same_numbers():
    here, there = build(stateful=True), build(stateful=True)
    inputs = currents(4, 2, 5)
    assert torch.equal(there(inputs), here(inputs))
    there.to("cuda")
    spikes = there(inputs.cuda())
    assert spikes.device.type == "cuda"
    # A probability that rounds otherwise there may change a spike: one in a million draws.
    assert torch.equal(spikes.cpu(), here(inputs))
    own = SQS(5, generator=0, device="cuda")
    assert own.generator.device.type == "cuda"
    assert copy.deepcopy(own)(inputs.cuda()).equal(own(inputs.cuda()))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SQS(5, generator="x"), TypeError, "generator, .* must be an integer .* is 'x'"),
        (lambda: SQS(5, generator=-1), ValueError, "generator, .* at least 0, but is -1"),
        (lambda: SQS(5, generator=0, colour=1), TypeError, "colour"),
        (lambda: build()(currents(4, 2, 6)), ValueError, r"\(T, B, 5\), but has \(4, 2, 6\)"),
        (
            lambda: build(channels=2)(currents(4, 2, 5)),
            ValueError,
            r"currents must have shape \(T, B, 5, 2\), but has \(4, 2, 5\)",
        ),
        (lambda: build()(currents(2, 5)), ValueError, r"\(T, B, 5\), but has \(2, 5\)"),
        (lambda: build()(currents(0, 2, 5)), ValueError, "steps must be .* at least 1, but is 0"),
        (lambda: build()(currents(4, 2, 5).double()), ValueError, "currents has dtype"),
    ],
)
def test_what_does_not_fit_is_refused(own_checks, make, error, message):
    with pytest.raises(error, match=message):
        make()
