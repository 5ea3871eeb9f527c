"""Uniform numbers are those of torch.rand, in pieces and for several layers alike."""

import pytest
import torch
from tools import seeded

from sqsnn import uniforms
from sqsnn.native import library

pytestmark = pytest.mark.usefixtures("device")

DTYPES = torch.float32, torch.float64


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", [1, 7, 700])
def test_numbers_are_those_of_torch_and_the_generator_moves_on_alike(batch, dtype, device):
    ours, theirs = seeded(), seeded()
    for generator in (ours, theirs):
        torch.randn(5, generator=generator)  # leaves half a pair of normal numbers behind
    drawn = uniforms.draw_layers(3, batch, [2, 5], ours, dtype, device)
    for step in range(3):
        for layer in drawn:
            expected = torch.rand(layer.shape[1:], generator=theirs, dtype=dtype)
            assert torch.equal(layer[step], expected)
    assert torch.equal(torch.randn(3, generator=ours), torch.randn(3, generator=theirs))
    assert torch.equal(torch.rand(9, generator=ours), torch.rand(9, generator=theirs))


@pytest.mark.parametrize("dtype", DTYPES)
def test_steps_in_pieces_are_the_steps_in_one_piece(dtype, device):
    generator = seeded()
    pieces = [uniforms.draw_uniforms(n, 40, 9, generator, dtype, device) for n in (1, 4)]
    whole = uniforms.draw_uniforms(5, 40, 9, seeded(), dtype, device)
    assert torch.equal(torch.cat(pieces), whole)


@pytest.mark.cpu_only("the compiled kernel draws on the CPU")
@pytest.mark.skipif(library.obstacle() is not None, reason=str(library.obstacle()))
def test_the_kernel_draws():
    assert uniforms.kernel_draws_like_torch()


@pytest.mark.cpu_only("the compiled kernel draws on the CPU")
def test_where_torch_draws_other_numbers_torch_draws(monkeypatch):
    def other(layers, generator):
        for layer in layers:
            layer.zero_()

    monkeypatch.setattr(uniforms, "_fill", other)
    uniforms.kernel_draws_like_torch.cache_clear()
    try:
        drawn = uniforms.draw_uniforms(1, 2, 3, seeded(), torch.float32, "cpu")
    finally:
        uniforms.kernel_draws_like_torch.cache_clear()
    assert torch.equal(drawn[0], torch.rand(2, 3, generator=seeded()))


def test_uniforms_come_from_the_generator_alone(device):
    before = torch.get_rng_state()
    uniforms.draw_uniforms(2, 3, 4, seeded(), torch.float32, device)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"steps": 0}, ValueError, "steps must be an integer of at least 1"),
        ({"neurons": 0}, ValueError, "neurons must be"),
        ({"batch": -1}, ValueError, "batch must be"),
        ({"generator": 7}, TypeError, "generator must be a torch.Generator, but is 7"),
        ({"dtype": torch.int64}, ValueError, "dtype must be torch.float32 or torch.float64"),
        ({"device": "meta"}, ValueError, "generator must be on the device .* meta, but is on "),
    ],
)
def test_uniforms_refuse(own_checks, device, change, error, message):
    arguments = {
        "steps": 2,
        "batch": 3,
        "neurons": 4,
        "generator": seeded(),
        "dtype": torch.float32,
        "device": device,
    }
    with pytest.raises(error, match=message):
        uniforms.draw_uniforms(**arguments | change)
