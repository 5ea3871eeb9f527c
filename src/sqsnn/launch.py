"""What a launcher such as `torchrun` tells each process that it starts; needs no torch."""

import os

# What torchrun sets, and every launcher like it.
VARIABLES = "RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"


def is_launched() -> bool:
    """Whether this process was started with others that share its work."""
    return all(name in os.environ for name in VARIABLES) and os.environ["WORLD_SIZE"] != "1"


def rank() -> int:
    """Give the number of this process among those that were started with it; 0 without others."""
    return int(os.environ["RANK"]) if is_launched() else 0


def local_rank() -> int:
    """Give the number of this process among those on its machine."""
    return int(os.environ.get("LOCAL_RANK", rank())) if is_launched() else 0


def command() -> str:
    """Give what starts sqsnn as this process was started; of several machines, on one."""
    if not is_launched():
        return "sqsnn"
    return f"torchrun --nproc-per-node {os.environ.get('LOCAL_WORLD_SIZE', processes())} -m sqsnn"


def processes() -> int:
    """Count the processes that were started together."""
    return int(os.environ["WORLD_SIZE"]) if is_launched() else 1
