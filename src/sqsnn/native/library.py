"""Find the compiled kernel for this processor, load it, and check that it is this version's.

The structures mirror those of `kernel.h` and `membranes.h`, which say what they mean.
"""

import ctypes
import hashlib
import platform
import sys
import warnings
from collections.abc import Mapping
from ctypes import POINTER, c_double, c_int32, c_int64, c_void_p
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

INTERFACE = 3  # as in kernel.h; changes with the structures and what they mean
CHUNK = 64  # samples of a task, as in kernel.cpp

FOLDER = Path(__file__).parent
_SUFFIX = ".dll" if sys.platform == "win32" else ".so"
# By what torch calls the best instruction set of the processor.
BUILDS = {"AVX512": "avx512", "AVX2": "avx2"}
ARM = {"arm64", "aarch64"}  # all of whose processors have NEON, whatever torch calls the best set


def _fields(kind: Any, names: str) -> list[tuple[str, Any]]:
    return [(name, kind) for name in names.split()]


class OpStruct(ctypes.Structure):
    """`Op` of kernel.h."""

    _fields_: ClassVar = _fields(c_int32, "kind i j parameter") + _fields(c_double, "a b c d")


class RotationStruct(ctypes.Structure):
    """`Rotation` of kernel.h."""

    _fields_: ClassVar = [
        *_fields(c_int32, "channel stride trained padding"),
        ("gain", c_double),
    ]


class CircuitStruct(ctypes.Structure):
    """`Circuit` of kernel.h."""

    _fields_: ClassVar = [
        *_fields(c_int32, "channels memory_qubits is_complex"),
        *_fields(c_int32, "ops rotations parameters gains padding"),
        ("op", POINTER(OpStruct)),
        ("rotation", POINTER(RotationStruct)),
    ]


class PassStruct(ctypes.Structure):
    """`Pass` of kernel.h."""

    _fields_: ClassVar = [
        *_fields(c_int64, "steps batch neurons"),
        *_fields(c_int32, "drive reset_steps exact sigmoid through_reset through_collapse"),
        *_fields(c_double, "floor largest_gradient"),
        *_fields(
            c_void_p,
            "currents uniforms observed cosines sines gains beta reset bias memory membrane last "
            "spikes probability log_likelihood history memory_after membrane_after last_after "
            "g_spikes g_probability g_log_likelihood g_history g_memory g_membrane g_last",
        ),
        ("g_spikes_stride", c_int64 * 4),
        *_fields(
            c_void_p,
            "d_currents d_angles d_gains d_beta d_reset d_bias d_memory d_membrane d_last",
        ),
    ]


class MembraneStruct(ctypes.Structure):
    """`Membranes` of membranes.h."""

    _fields_: ClassVar = [
        *_fields(c_int64, "steps batch membranes"),
        *_fields(c_int32, "is_noisy sigmoid through_reset padding"),
        *_fields(c_double, "floor tau largest_gradient"),
        ("g_probability_stride", c_int64 * 3),
        *_fields(
            c_void_p,
            "currents uniforms observed beta threshold bias membrane last "
            "probability spikes log_likelihood membrane_after last_after "
            "g_probability g_log_likelihood g_membrane g_last "
            "d_currents d_beta d_threshold d_bias d_membrane d_last",
        ),
    ]


class Library(NamedTuple):
    """A loaded kernel, or why there is none."""

    kernel: Any  # None where there is none
    obstacle: str | None  # why there is none


def obstacle() -> str | None:
    """Say why no kernel can be loaded on this machine; None where one is."""
    return current().obstacle


def obstacle_of(like: Tensor) -> str | None:
    """Say why the kernel cannot run neurons with such parameters; None where it can."""
    if like.device.type != "cpu":
        return f"the parameters are on {like.device}, and the kernel runs on CPUs"
    if like.dtype not in (torch.float32, torch.float64):
        return f"the parameters are {like.dtype}, and the kernel takes float32 and float64"
    return obstacle()


def addresses(tensors: Mapping[str, Tensor | None], dtype: torch.dtype) -> dict[str, int]:
    """Give the addresses of tensors, all of one real precision.

    Raises:
        ValueError: If one has another precision or device than the kernel would read.
    """
    found: dict[str, int] = {}
    for name, tensor in tensors.items():
        if tensor is None:
            continue
        if tensor.dtype != dtype and not (tensor.is_complex() and tensor.dtype.to_real() == dtype):
            raise ValueError(f"{name} has dtype {tensor.dtype}, but the currents {dtype}")
        if not tensor.is_cpu:
            raise ValueError(f"{name} is on {tensor.device}, but the kernel runs on CPUs")
        found[name] = tensor.data_ptr()
    return found


def load() -> Any:
    """Give the kernel.

    Raises:
        RuntimeError: If none can be loaded; says why.
    """
    library = current()
    if library.obstacle is not None:
        raise RuntimeError(library.obstacle)
    return library.kernel


@cache
def current() -> Library:
    """Load the build for this processor; says once what is missing."""
    library = open_build(torch.backends.cpu.get_cpu_capability())
    if library.obstacle is not None:
        text = f"neurons run through torch, several times slower: {library.obstacle}"
        warnings.warn(text, RuntimeWarning, stacklevel=2)
    return library


def open_build(capability: str) -> Library:
    """Load the build for an instruction set, by torch's name of it."""
    build = "neon" if platform.machine().lower() in ARM else BUILDS.get(capability)
    path = FOLDER / f"_{build}{_SUFFIX}"
    if build is None:
        return Library(None, f"there is no compiled kernel for processors with {capability}")
    if not path.is_file():
        return Library(
            None,
            f"the compiled kernel {path} is missing: it is built while sqsnn is installed, where "
            "there is a C++ compiler; install g++ or clang, then sqsnn again",
        )
    if not _is_whole(path):
        # Loading it could end the process.
        return Library(None, f"the compiled kernel {path} is damaged; install sqsnn again")
    try:
        kernel = ctypes.CDLL(str(path))
    except OSError as error:
        return Library(None, f"the compiled kernel {path} cannot be loaded: {error}")
    return _checked(kernel, path)


def _is_whole(path: Path) -> bool:
    """Whether a library is the file that was built, by the digest beside it."""
    digest = path.with_name(path.name + ".sha256")
    if not digest.is_file():
        return False
    return hashlib.sha256(path.read_bytes()).hexdigest() == digest.read_text("ascii").strip()


def _checked(kernel: Any, path: Path) -> Library:
    """Refuse a library of another version: its structures may lie otherwise in memory."""
    structures = OpStruct, RotationStruct, CircuitStruct, PassStruct
    sizes = (c_int64 * len(structures))(*map(ctypes.sizeof, structures))
    try:
        kernel.sqsnn_interface.argtypes = [POINTER(c_int64)]
        kernel.sqsnn_interface.restype = c_int32
        kernel.sqsnn_tasks.argtypes = [POINTER(PassStruct), c_int32]
        kernel.sqsnn_tasks.restype = c_int64
        kernel.sqsnn_run.argtypes = [POINTER(CircuitStruct), POINTER(PassStruct)]
        kernel.sqsnn_run.argtypes += [c_int64, c_int64, c_int32, c_int32]
        kernel.sqsnn_run.restype = c_int32
        kernel.sqsnn_uniforms.argtypes = [c_void_p, c_int64, c_int64]
        kernel.sqsnn_uniforms.argtypes += [POINTER(c_void_p), POINTER(c_int64), c_int32]
        kernel.sqsnn_uniforms.restype = None
        rows_columns, lists = [c_int64] * 2, [c_void_p] * 3
        kernel.sqsnn_find_events.argtypes = [c_void_p, *rows_columns, *lists, c_int32]
        kernel.sqsnn_find_events.restype = None
        kernel.sqsnn_turn_events.argtypes = [*rows_columns, *lists, *lists, c_int32]
        kernel.sqsnn_turn_events.restype = c_int32
        kernel.sqsnn_event_tasks.argtypes = [*rows_columns, c_int32]
        kernel.sqsnn_event_tasks.restype = c_int64
        kernel.sqsnn_sum_events.argtypes = [*lists, c_int64, *rows_columns, c_void_p, c_void_p]
        kernel.sqsnn_sum_events.argtypes += [c_int64, c_int64, c_int32, c_int32]
        kernel.sqsnn_sum_events.restype = c_int32
        kernel.sqsnn_membrane_interface.argtypes = [c_int64]
        kernel.sqsnn_membrane_interface.restype = c_int32
        kernel.sqsnn_membrane_tasks.argtypes = [POINTER(MembraneStruct), c_int32]
        kernel.sqsnn_membrane_tasks.restype = c_int64
        kernel.sqsnn_membrane_run.argtypes = [POINTER(MembraneStruct)]
        kernel.sqsnn_membrane_run.argtypes += [c_int64, c_int64, c_int32, c_int32]
        kernel.sqsnn_membrane_run.restype = c_int32
        found = {
            kernel.sqsnn_interface(sizes),
            kernel.sqsnn_membrane_interface(ctypes.sizeof(MembraneStruct)),
        }
    except AttributeError:
        return Library(None, f"{path} is no kernel of sqsnn; install sqsnn again")
    if found != {INTERFACE}:
        return Library(
            None, f"the compiled kernel {path} is of another version; install sqsnn again"
        )
    return Library(kernel, None)
