"""Small helpers that several test files use."""

# Learning and neurons

import torch


def seeded(seed: int = 0) -> torch.Generator:
    """Make a generator with a seed."""
    return torch.Generator().manual_seed(seed)
