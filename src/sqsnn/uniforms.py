"""Uniform random numbers, drawn so that a sequence in pieces equals the sequence in one piece.

A generator on an accelerator gives other numbers in one call for T steps than in T calls for one
step. Encodings and populations therefore all draw here, step by step. On CPUs the compiled kernel
draws what torch.rand draws, several times faster. Of several processes that share a batch each
draws the numbers of all rows here, and keeps those of its own.
"""

from collections.abc import Callable, Sequence
from ctypes import c_int64, c_void_p
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.checks import check_positive_int
from sqsnn.native import library
from sqsnn.processes import SharedGenerator

Draw = Callable[[Sequence[Tensor], torch.Generator], None]


def draw_uniforms(
    steps: int,
    batch: int,
    neurons: int,
    generator: torch.Generator,
    dtype: torch.dtype,
    device: torch.device | str,
) -> Float[Tensor, "T B H"]:
    """Draw uniform numbers in [0, 1) step by step from a generator on the same device.

    Drawing T1 and then T2 steps gives the same numbers as drawing T1 + T2 steps, on any device.
    """
    return draw_layers(steps, batch, [neurons], generator, dtype, device)[0]


def draw_layers(
    steps: int,
    batch: int,
    sizes: Sequence[int],
    generator: torch.Generator,
    dtype: torch.dtype,
    device: torch.device | str,
) -> tuple[Float[Tensor, "T B H"], ...]:
    """Draw the numbers of several layers, in each step one layer after the other."""
    check_positive_int("steps", steps)
    check_positive_int("batch", batch, low=0)
    for size in sizes:
        check_positive_int("neurons", size)
    if not isinstance(generator, torch.Generator):
        raise TypeError(f"generator must be a torch.Generator, but is {generator!r}")
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"dtype must be torch.float32 or torch.float64, but is {dtype}; convert the parameters "
            "of neurons by .float(), and let torch.autocast lower the products of synapses"
        )
    _refuse_a_second_time()
    layers = tuple(torch.empty((steps, batch, size), dtype=dtype, device=device) for size in sizes)
    if not layers:
        return ()
    # Compared with the tensor's own device, because "cuda" alone names whichever one is current.
    if generator.device != layers[0].device:
        raise ValueError(
            f"generator must be on the device of the numbers, {layers[0].device}, "
            f"but is on {generator.device}"
        )
    draw = _rand
    if generator.device.type == "cpu" and kernel_draws_like_torch():
        draw = _fill
    if isinstance(generator, SharedGenerator) and generator.batch is not None:
        _keep_rows(layers, generator, draw)
    else:
        draw(layers, generator)
    return layers


def _refuse_a_second_time() -> None:
    """Refuse to draw for a forward pass that a backward pass runs again.

    A generator has moved on since: the second pass would spike otherwise than the first, and the
    gradients would belong to neither.
    """
    # Only such a pass has gradients enabled while the engine works.
    if torch.is_grad_enabled() and torch._C._current_graph_task_id() != -1:
        raise RuntimeError(
            "a generator cannot draw the same numbers again for a forward pass that is run twice, "
            "as torch.utils.checkpoint runs it; draw them before, uniforms = "
            "network.draw_uniforms(steps, batch, generator), and give uniforms in place of the "
            "generator"
        )


def _keep_rows(layers: Sequence[Tensor], generator: SharedGenerator, draw: Draw) -> None:
    """Draw step by step for all processes, and keep the rows of this one."""
    assert generator.batch is not None  # the caller has checked
    rows, copies = layers[0].shape[1], generator.copies(layers[0].shape[1])
    kept, width = generator.processes.rows(generator.batch), rows // copies
    whole = [layer.new_empty((1, copies * generator.batch, layer.shape[2])) for layer in layers]
    for step in zip(*layers, strict=True):
        draw(whole, generator)
        for own, drawn in zip(step, whole, strict=True):
            own.unflatten(0, (copies, width)).copy_(drawn[0].unflatten(0, (copies, -1))[:, kept])


def _rand(layers: Sequence[Tensor], generator: torch.Generator) -> None:
    for step in zip(*layers, strict=True):
        for layer in step:
            torch.rand(layer.shape, generator=generator, device=layer.device, out=layer)


def _fill(layers: Sequence[Tensor], generator: torch.Generator) -> None:
    state, count = generator.get_state(), len(layers)
    library.load().sqsnn_uniforms(
        state.data_ptr(),
        len(layers[0]),
        count,
        (c_void_p * count)(*(layer.data_ptr() for layer in layers)),
        (c_int64 * count)(*(layer[0].numel() for layer in layers)),
        layers[0].dtype == torch.float64,
    )
    generator.set_state(state)


@cache
def kernel_draws_like_torch() -> bool:
    """Whether the kernel and this version of torch draw the same numbers and move on alike."""
    if library.obstacle() is not None:
        return False
    for dtype in (torch.float32, torch.float64):
        # More numbers than the generator's state holds, from the middle of a state.
        ours, theirs = (torch.Generator().manual_seed(0) for _ in range(2))
        drawn = [
            [torch.empty((2, n), dtype=dtype, device="cpu") for n in (7, 650)] for _ in range(2)
        ]
        for _ in range(2):
            _fill(drawn[0], ours)
            _rand(drawn[1], theirs)
            if not all(torch.equal(a, b) for a, b in zip(*drawn, strict=True)):
                return False
        after = (torch.randn(20, generator=it, device="cpu") for it in (ours, theirs))
        if not torch.equal(*after):
            return False
    return True
