"""Products over events are those of dense matrices; the bits of a row depend on it alone."""

import pytest
import torch
from tools import needs_kernel, on_all_builds, seeded
from torch import Tensor
from torch.testing import assert_close

from sqsnn.native import events

pytestmark = needs_kernel

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


def sparse(rows: int, columns: int, density: float, dtype: torch.dtype = torch.float32) -> Tensor:
    """A matrix with a share of values that are not 0, of either sign."""
    values = torch.randn(rows, columns, generator=seeded(1), dtype=torch.float64)
    fires = torch.rand(rows, columns, generator=seeded(2)) < density
    return (values * fires).to(dtype)


def dense(rows: int, columns: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(rows, columns, generator=seeded(3), dtype=torch.float64).to(dtype)


def products(x: Tensor, weight: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """The currents and the gradient of the weights, x (rows, P), over the events of x."""
    found = events.find(x)
    currents, by_weight = torch.empty_like(gradient), torch.empty_like(weight)
    events.currents(found, weight, currents)
    events.weight_gradient(events.by_column(found, x.shape[1]), gradient, by_weight)
    return currents, by_weight


def check(x: Tensor, neurons: int) -> None:
    """Compare with dense products, relative to the sum of the magnitudes of all terms."""
    weight, gradient = dense(neurons, x.shape[1], x.dtype), dense(len(x), neurons, x.dtype)
    currents, by_weight = products(x, weight, gradient)
    terms = x.abs() @ weight.abs().T, gradient.abs().T @ x.abs()
    exact = (x.double() @ weight.double().T, gradient.double().T @ x.double())
    for made, wanted, size in zip((currents, by_weight), exact, terms, strict=True):
        assert ((made - wanted).abs() <= TOLERANCE[x.dtype] * size).all()


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("neurons", [1, 15, 16, 17, 64, 130, 300])
def test_products_are_those_of_dense_matrices(neurons, dtype):
    check(sparse(37, 53, 0.2, dtype), neurons)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("rows", "columns"), [(3000, 5), (5, 3000), (2049, 1025), (1, 1), (0, 4)])
def test_products_larger_than_a_task_or_a_block_are_whole(rows, columns, dtype):
    check(sparse(rows, columns, 0.05, dtype), 17)


@pytest.mark.parametrize("density", [0, 1])
def test_matrices_without_and_of_nothing_but_events_are_taken(density):
    check(sparse(20, 30, density), 33)


def test_events_are_listed_in_order_and_nan_is_one():
    x = torch.tensor([[0.0, 2.0, torch.nan], [0.0, 0.0, -0.0], [-1.0, 0.0, torch.inf]])
    found = events.find(x.T.contiguous().T)
    assert found.starts.tolist() == [0, 2, 2, 4]
    assert found.index.tolist() == [1, 2, 0, 2]
    assert_close(
        found.values,
        torch.tensor([2.0, torch.nan, -1.0, torch.inf]),
        equal_nan=True,
        rtol=0,
        atol=0,
    )
    turned = events.by_column(found, 3)
    assert turned.starts.tolist() == [0, 1, 2, 4]
    assert turned.index.tolist() == [2, 0, 0, 2]


def test_matrices_that_are_negated_in_name_alone_are_read_as_they_are():
    x = torch.complex(torch.zeros(4, 5), sparse(4, 5, 0.5)).conj().imag
    assert x.is_neg()
    assert torch.equal(events.find(x).values, x[x != 0])


def test_the_bits_of_a_row_depend_on_no_other_row():
    x, weight = sparse(2100, 150, 0.1), dense(140, 150)
    whole, _ = products(x, weight, dense(2100, 140))
    for part in (slice(0, 1), slice(7, 300), slice(1000, 2100)):
        made, _ = products(x[part], weight, dense(len(x[part]), 140))
        assert torch.equal(made, whole[part])


def test_sums_go_in_the_order_of_the_events():
    x = torch.tensor([[1e8, 1.0, 0.0, -1e8, 3.0]])
    currents, _ = products(x, torch.ones(20, 5), torch.zeros(1, 20))
    assert torch.equal(currents, torch.full((1, 20), 3.0))  # 1e8 + 1 is 1e8 in single precision
    _, by_weight = products(x.T.contiguous(), torch.zeros(20, 1), torch.ones(5, 20))
    assert torch.equal(by_weight, torch.full((20, 1), 3.0))


def test_threads_give_the_same_bits():
    x, weight, gradient = sparse(2500, 300, 0.1), dense(310, 300), dense(2500, 310)
    before, found = torch.get_num_threads(), []
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            found.append(products(x, weight, gradient))
    finally:
        torch.set_num_threads(before)
    for made in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(made, found[0], strict=True))


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_all_builds_give_the_same_bits(monkeypatch, dtype):
    x, weight, gradient = sparse(80, 90, 0.3, dtype), dense(101, 90, dtype), dense(80, 101, dtype)
    on_all_builds(monkeypatch, lambda: products(x, weight, gradient))
