"""The optimiser of a training is torch's, without its compiler."""

import subprocess
import sys

import torch

from sqsnn.training.optimizer import Adam

TRAINED = """
import sys
from sqsnn.cli.main import main
main("train digits --hidden 4 --epochs 1 --train-samples 100 --test-samples 50".split())
assert "torch._dynamo" not in sys.modules
"""


def steps(kind: type[torch.optim.Adam], stop: int | None = None) -> list[torch.Tensor]:
    """Weights after each of six steps, with a new optimiser from its state at a stop."""
    weights = torch.linspace(-1, 1, 12).reshape(3, 4).requires_grad_()
    optimizer, seen = kind([weights], lr=0.1, fused=True), []
    for number in range(6):
        if number == stop:
            state = optimizer.state_dict()
            optimizer = kind([weights], lr=0.5, fused=True)
            optimizer.load_state_dict(state)
        (weights**3 - weights * number).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        seen.append(weights.detach().clone())
    return seen


def test_it_takes_torchs_steps():
    expected = steps(torch.optim.Adam)
    assert all(map(torch.equal, steps(Adam), expected))
    assert all(map(torch.equal, steps(Adam, stop=3), expected))


def test_a_training_does_not_load_the_compiler(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", TRAINED], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
