"""How the process of a command treats memory that it frees.

A training step allocates and frees tensors of some megabytes. The C library of Linux gives such
memory back to the system, which has to clear every page of it before the next step can use it. A
command keeps it for itself; a library must not decide that for its user's process.
"""

import ctypes
import os

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
_NEVER = 1 << 30  # bytes


def keep_freed_memory() -> None:
    """Keep freed memory for later tensors, where the C library is glibc."""
    names = getattr(os, "confstr_names", {})  # Windows has none
    if "CS_GNU_LIBC_VERSION" not in names or not os.confstr("CS_GNU_LIBC_VERSION"):
        return
    libc = ctypes.CDLL(None)
    for threshold in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
        libc.mallopt(threshold, _NEVER)
