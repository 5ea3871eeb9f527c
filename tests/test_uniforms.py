"""Uniform numbers are those of torch.rand, in pieces and for several layers alike."""

import pytest
import torch

from sqsnn import uniforms
from sqsnn.native import library

DTYPES = torch.float32, torch.float64


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", [1, 7, 700])
def test_numbers_are_those_of_torch_and_the_generator_moves_on_alike(batch, dtype):
    ours, theirs = seeded(), seeded()
    for generator in (ours, theirs):
        torch.randn(5, generator=generator)  # leaves half a pair of normal numbers behind
    drawn = uniforms.draw_layers(3, batch, [2, 5], ours, dtype, "cpu")
    for step in range(3):
        for layer in drawn:
            expected = torch.rand(layer.shape[1:], generator=theirs, dtype=dtype)
            assert torch.equal(layer[step], expected)
    assert torch.equal(torch.randn(3, generator=ours), torch.randn(3, generator=theirs))
    assert torch.equal(torch.rand(9, generator=ours), torch.rand(9, generator=theirs))


@pytest.mark.parametrize("dtype", DTYPES)
def test_steps_in_pieces_are_the_steps_in_one_piece(dtype):
    generator = seeded()
    pieces = [uniforms.draw_uniforms(n, 40, 9, generator, dtype, "cpu") for n in (1, 4)]
    whole = uniforms.draw_uniforms(5, 40, 9, seeded(), dtype, "cpu")
    assert torch.equal(torch.cat(pieces), whole)


@pytest.mark.skipif(library.obstacle() is not None, reason=str(library.obstacle()))
def test_the_kernel_draws():
    assert uniforms.kernel_draws_like_torch()


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
