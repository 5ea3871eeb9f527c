"""What goes wrong in local learning, in numbers: `python -m sqsnn_bench.pitfalls`.

1. Variance of the reinforce gradient of hidden neurons over repeated runs of the same batch,
   E|g - mean|^2 / |mean|^2, for each baseline and horizon: a fresh 64-64-10 network on digits.
2. Outputs clamped to the target spikes while they learn, against outputs that run free: a 64-10
   network on digits, with and without memory.

Writes bench/results/pitfalls.json.
"""

import argparse
import json
import statistics
from functools import partial
from itertools import product
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from sqsnn import Rectified, SpikingNetwork, SQSNeurons, data, encoding, readout
from sqsnn.learning import Local, Reinforce

STEPS, BATCH, WARM_UP = 10, 64, 30


def variance(signal: Reinforce, draws: int) -> float:
    """The relative variance of the gradient of the hidden layer's weights and angles."""
    digits = data.load("digits")
    generator = torch.Generator().manual_seed(0)
    neurons = partial(SQSNeurons, drive=Rectified())
    network = SpikingNetwork([64, 64, 10], neurons=neurons, generator=generator)
    rule = Local(signal=signal)
    spikes = encoding.rate(digits.train.values[:BATCH], STEPS, generator=generator)
    hidden = [
        *network.incoming(network.names[0])[0].synapses.parameters(),
        *network.population(network.names[0]).parameters(),
    ]
    gradients = []
    for draw in range(WARM_UP + draws):  # the running baseline has to become one first
        network.zero_grad()
        rule.step(network, spikes, digits.train.targets[:BATCH], generator)
        if draw >= WARM_UP:
            parts = [cast(Tensor, parameter.grad).flatten() for parameter in hidden]
            gradients.append(torch.cat(parts))
    found = torch.stack(gradients).double()
    spread = float(found.var(0).sum())
    # |mean|^2 of so many draws contains the share spread / draws of noise.
    squared = float(found.mean(0).square().sum()) - spread / draws
    return spread / squared if squared > 0 else float("nan")


def outputs(clamped: bool, memory_qubits: int, seed: int, epochs: int) -> dict[str, float]:
    """Train output neurons alone; give what training saw, and the accuracy running free."""
    digits = data.load("digits")
    generator = torch.Generator().manual_seed(seed)
    neurons = partial(SQSNeurons, memory_qubits=memory_qubits, drive=Rectified())
    network = SpikingNetwork([64, 10], neurons=neurons, generator=generator)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    train, rule = digits.train, Local()
    likelihoods: list[float] = []
    for _ in range(epochs):
        likelihoods.clear()
        for chosen in torch.randperm(len(train.targets), generator=generator).split(BATCH):
            spikes = encoding.rate(train.values[chosen], STEPS, generator=generator)
            optimizer.zero_grad()
            if clamped:
                likelihood = target_likelihood(network, spikes, train.targets[chosen])
                (-likelihood).backward()
                likelihoods.append(likelihood.item())
            else:
                rule.step(network, spikes, train.targets[chosen], generator)
            optimizer.step()
    test = digits.load_test()
    with torch.no_grad():
        spikes = encoding.rate(test.values[:], STEPS, generator=generator)
        predicted = readout.predict(network(spikes, generator=generator).layers[-1])
    result = {"test_accuracy_ties_by_probability": _share(predicted == test.targets)}
    return result | ({"log_likelihood": statistics.mean(likelihoods)} if clamped else {})


def _share(right: Tensor) -> float:
    return float(right.double().mean())


def target_likelihood(network: SpikingNetwork, spikes: Tensor, labels: Tensor) -> Tensor:
    """Of the spikes that are wanted: the class's neuron at every step, the others never."""
    currents = network.incoming(network.names[0])[0].synapses(spikes)
    wanted = torch.nn.functional.one_hot(labels, 10).to(currents)
    observed = wanted[None, :, :, None].expand_as(currents).contiguous()
    record, _ = network.population(network.names[0])(currents, observed=observed)
    return record.log_likelihood.mean()


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m sqsnn_bench.pitfalls")
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("bench/results/pitfalls.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table = {}
    for baseline, horizon in product(("none", "running", "leave_one_out"), ("episodic", "to_go")):
        signal = Reinforce(baseline=baseline, horizon=horizon)
        table[f"{baseline}, {horizon}"] = variance(signal, arguments.draws)
        print(
            f"variance / |gradient|^2  {baseline:14} {horizon:9}", table[f"{baseline}, {horizon}"]
        )
    trained = {}
    for clamped, memory_qubits in product((False, True), (0, 1)):
        title = f"{'clamped' if clamped else 'free'}, M = {memory_qubits}"
        trained[title] = [
            outputs(clamped, memory_qubits, seed, arguments.epochs)
            for seed in range(arguments.seeds)
        ]
        print(title, trained[title], flush=True)
    result = {
        "draws": arguments.draws,
        "relative_variance": table,
        "epochs": arguments.epochs,
        "outputs": trained,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
