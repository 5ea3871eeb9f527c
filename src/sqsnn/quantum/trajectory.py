"""Many steps of the instrument as one differentiable operation: angles and uniforms to spikes.

All random numbers (or the observed spikes) come in from outside, so that a trajectory is a
deterministic function. Two ways compute the same law:

* `unrolled`: small real circuits, amplitude by amplitude with the adjoint written by hand;
* `dense`: every circuit, batched matrix products differentiated by autograd.

The choice follows from the circuit (and from `through_collapse`, which only `dense` knows). Spikes
carry no gradient here; the caller puts a surrogate on them (`neurons/surrogates.py`).

The angles of the encoding come from a controller (`control.py`).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.checks import differentiable_once
from sqsnn.placing import full_precision, possible_draws
from sqsnn.quantum import instrument as quantum
from sqsnn.quantum import unrolled
from sqsnn.quantum.control import Controller, Fixed, Turns, at
from sqsnn.quantum.instrument import Instrument

# Surrogate spikes (bits, marginals) -> spikes with a gradient, for `through_collapse`.
Surrogate = Callable[[Tensor, Tensor], Tensor]


class Trajectory(NamedTuple):
    """The results of T steps."""

    bits: Tensor  # measured (with noise: recorded) spikes, (T, B, H, N), no gradient
    marginals: Tensor  # firing probability of each channel given the past, (T, B, H, N)
    log_likelihood: Tensor  # log p(s_t | s_<t) of the outcome, joint over channels, (T, B, H)
    memory: Tensor  # in the initial frame, (B, H, 2**M), or density matrices (B, H, 2**M, 2**M)
    history: Tensor | None  # the memory after every step, time first; None unless kept
    control: Any = None  # the controller's state


Step = Callable[[int, Tensor, Turns], tuple[Tensor, Tensor, Tensor, Tensor]]


def repeat(
    step: Step, control: Controller, memory: Tensor, steps: int, keep_history: bool
) -> Trajectory:
    """Repeat (t, memory, turns) -> (bits, marginals, log-likelihood, memory); stack the results."""
    rows, state = [], control.start
    for t in range(steps):
        turns, state = control.turns(t, state)
        row = step(t, memory, turns)
        bits, marginals, _, memory = row
        state = control.settle(state, bits, marginals)
        rows.append(row if keep_history else row[:-1])
    bits, marginals, log_likelihood, *history = (torch.stack(x) for x in zip(*rows, strict=True))
    kept = history[0] if history else None
    return Trajectory(bits, marginals, log_likelihood, memory, kept, state)


def run(
    instrument: Instrument,
    memory: Tensor,
    control: Controller,
    *,
    uniforms: Float[Tensor, "steps batch neurons"] | None = None,
    observed: Float[Tensor, "steps batch neurons channels"] | None = None,
    through_collapse: Surrogate | None = None,
    keep_history: bool = False,
) -> Trajectory:
    """Run T steps; `uniforms` draw the outcomes, or the `observed` ones are data.

    The memory is in the working frame.
    """
    steps = count_steps(uniforms, observed)
    layout = None if through_collapse else unrolled.layout(instrument.circuit)
    if layout is None:
        outcomes = None if observed is None else quantum.outcome_index(observed)

        def dense(t: int, memory: Tensor, turns: Turns) -> tuple[Tensor, Tensor, Tensor, Tensor]:
            drawn = at(uniforms, t), at(outcomes, t)
            angles = torch.stack(list(turns.angles), dim=-1)  # (B, H, E)
            return dense_step(instrument, memory, angles, *drawn, through_collapse)

        return repeat(dense, control, memory, steps, keep_history)
    if uniforms is not None:
        uniforms = possible_draws(uniforms)
    plan = _Plan(layout, keep_history)
    tail = () if instrument.tail is None else (instrument.tail,)
    if isinstance(control, Fixed):
        source = uniforms, observed
        results = _Unrolled.apply(plan, source, memory, instrument.body, *control.angles, *tail)
        bits, marginals, log_likelihood, final, *history = results
        return Trajectory(bits, marginals, log_likelihood, final, *(history or [None]))
    alone = plan._replace(keep_history=False)

    def one(t: int, memory: Tensor, turns: Turns) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        source = tuple(None if numbers is None else numbers[t : t + 1] for numbers in given)
        angles = [angle[None] for angle in turns.angles]
        *row, memory = _Unrolled.apply(alone, source, memory, instrument.body, *angles, *tail)
        bits, marginals, log_likelihood = (part[0] for part in row)
        return bits, marginals, log_likelihood, memory

    given = uniforms, observed
    return repeat(one, control, memory, steps, keep_history)


def count_steps(uniforms: Tensor | None, observed: Tensor | None) -> int:
    """The number of steps of the uniforms or of the observed spikes, one of which is given."""
    if (uniforms is None) == (observed is None):
        given = "neither" if uniforms is None else "both"
        raise ValueError(f"give exactly one of uniforms and observed, not {given}")
    return sum(len(source) for source in (uniforms, observed) if source is not None)


class _Plan(NamedTuple):
    layout: unrolled.Layout
    keep_history: bool


class _Unrolled(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        plan: _Plan,
        source: tuple[Tensor | None, Tensor | None],
        memory: Tensor,
        body: Tensor,
        *rest: Tensor,
    ) -> tuple[Tensor, ...]:
        layout, (uniforms, observed) = plan.layout, source
        rotations = layout.channels + len(layout.turned)
        angles, tail = rest[:rotations], rest[rotations:]
        matrices = _elements(body), _elements(tail[0]) if tail else None
        state = [amplitude.contiguous() for amplitude in memory.unbind(-1)]
        shape = (*angles[0].shape, layout.channels)
        measured = unrolled.Measured(*map(body.new_empty, (shape, shape, shape[:-1])))
        history = memory.new_empty(len(angles[0]) * plan.keep_history, *memory.shape)
        saved: list[unrolled.Saved] = []
        for t in range(len(angles[0])):
            turned = [angle[t] for angle in angles]
            out = unrolled.Measured(*(result[t] for result in measured))
            step = unrolled.forward(
                layout, *matrices, state, turned, at(uniforms, t), at(observed, t), out
            )
            state = step.after
            if plan.keep_history:
                _fill(history[t], state)
            if any(ctx.needs_input_grad):
                saved.append(step)
        ctx.layout, ctx.saved, ctx.matrices = layout, saved, matrices
        ctx.save_for_backward(measured.bits, body, *tail)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(measured.bits)
        final = _fill(torch.empty_like(memory), state)
        return *measured, final, *([history] if plan.keep_history else [])

    @staticmethod
    @differentiable_once
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        layout, (body_elements, tail_elements) = ctx.layout, ctx.matrices
        bits, body, *tail = ctx.saved_tensors
        _, marginals, log_likelihood, final, *history = gradients
        like = bits[0, ..., 0]
        if final is None:
            final = like.new_zeros(*like.shape, layout.dim)
        state = [amplitude.contiguous() for amplitude in final.unbind(-1)]
        rotations = layout.channels + len(layout.turned)
        adjoints = unrolled.Adjoints(
            [torch.empty_like(bits[..., 0]) for _ in range(rotations)],
            [torch.zeros_like(like) for _ in layout.body_planes],
            [torch.zeros_like(like) for _ in layout.tail_planes],
        )
        for t in reversed(range(len(ctx.saved))):
            if history and history[0] is not None:
                state = [a + b for a, b in zip(state, history[0][t].unbind(-1), strict=True)]
            out = adjoints._replace(angles=[angle[t] for angle in adjoints.angles])
            state = unrolled.backward(
                layout,
                body_elements,
                tail_elements,
                ctx.saved[t],
                bits[t],
                state,
                at(marginals, t),
                at(log_likelihood, t),
                out,
            )
        return (
            None,
            None,
            torch.stack(state, dim=-1) if ctx.needs_input_grad[2] else None,
            _in_planes(adjoints.body_planes, layout.body_planes, body),
            *adjoints.angles,
            *(_in_planes(adjoints.tail_planes, layout.tail_planes, matrix) for matrix in tail),
        )


def _elements(matrix: Tensor) -> list[list[Tensor]]:
    """The elements of `(neurons, D, D)`, each a contiguous `(neurons,)`."""
    return [list(row.unbind(0)) for row in matrix.permute(1, 2, 0).contiguous().unbind(0)]


def _fill(target: Tensor, parts: Sequence[Tensor]) -> Tensor:
    """Write parts along the last dimension; several times faster than stacking them."""
    for index, part in enumerate(parts):
        target[..., index] = part
    return target


def _in_planes(turning: list[Tensor], planes: Sequence[tuple[int, int]], matrix: Tensor) -> Tensor:
    """The gradient A~ V with respect to an orthogonal matrix V, `(neurons, D, D)`."""
    antisymmetric = torch.zeros_like(matrix)
    for gradient, (i, j) in zip(turning, planes, strict=True):
        summed = gradient.sum(0) / 2
        antisymmetric[:, i, j] = summed
        antisymmetric[:, j, i] = -summed
    with full_precision(matrix):  # backward may run under autocast
        return antisymmetric @ matrix


def dense_step(
    instrument: Instrument,
    memory: Tensor,
    angles: Float[Tensor, "batch neurons rotations"],
    uniforms: Float[Tensor, "batch neurons"] | None,
    outcomes: Tensor | None,
    through_collapse: Surrogate | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One step: branches, probabilities, one outcome, collapse; returns a row for `repeat`."""
    psi = quantum.branches(instrument, memory, angles)  # (B, H, 2**N, 2**M)
    weights = quantum.squared_norm(psi)
    table = quantum.outcome_bits(instrument.circuit.channels, psi.device)
    firing, silent = weights @ table.to(weights.dtype), weights @ (1 - table).to(weights.dtype)
    # p = ||K_s m||^2 has no denominator: dividing only takes the rounding of the norm away.
    total = (firing + silent).detach()
    marginals = firing / torch.where(total > 0, total, 1.0)  # 0 after an impossible event
    index, bits = quantum.measure(weights, table, uniforms, outcomes)
    if through_collapse is None:
        collapsed, log_likelihood = quantum.collapsed(quantum.pick(psi, index))
        return bits, marginals, log_likelihood, collapsed
    # m' = sum_s' prod_n [s_n if s'_n = 1 else 1 - s_n] psi_s' / sqrt(p_s') over branches with
    # p > 0: the value is the measured branch, the gradient also runs through the own spikes s.
    spikes = through_collapse(bits, marginals)[..., None, :]  # (B, H, 1, N)
    share = torch.where(table > 0, spikes, 1 - spikes).prod(-1)  # (B, H, 2**N)
    states, logarithms = quantum.collapsed(psi)
    log_likelihood = logarithms.gather(-1, index[..., None]).squeeze(-1)
    return bits, marginals, log_likelihood, (share[..., None] * states).sum(-2)
