"""Run the tasks of the kernel in threads: its calls release Python's lock."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import torch


def run_tasks(some: Callable[[int, int], int], tasks: int, *, alone: bool) -> int:
    """Run all tasks, and give the least of what their calls returned.

    Args:
        some: Runs the tasks first..last; 0, or less where it failed.
        tasks: How many there are.
        alone: Whether one thread is faster.
    """
    workers = min(torch.get_num_threads(), tasks)
    if workers <= 1 or alone:
        return some(0, tasks)
    edges = [tasks * k // workers for k in range(workers + 1)]
    return min(_pool(workers).map(some, edges[:-1], edges[1:]))


@lru_cache(maxsize=1)
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="sqsnn")
