"""Do two versions of sqsnn train the same networks, bit for bit?

Trains short runs with each learning rule in an older checkout and in this one, each in a process of
its own, and compares the trained weights and the test scores byte by byte. Digests depend on the
processor and on torch, so that both versions run here, on one thread. Runs have one epoch, because
versions may choose the best of several by different measures.

    git worktree add ../old 94fd6cd
    python -m sqsnn_bench.same_results ../old

The old version needs the packages of its time (jinja2). USPS needs its files in $SQSNN_DATA.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

_PAPER = "--drive rectified --output-memory-qubits 1"
_DIGITS = f"digits --epochs 1 --hidden 32 {_PAPER}"
_OTHERS = "digits --epochs 1 --hidden 8 --train-samples 200 --steps 5"
_SMALL = f"{_OTHERS} {_PAPER}"
# What is compared: flags of the present command line.
RUNS = {
    "digits, backprop": _DIGITS,
    "digits, backprop, preset": f"digits --epochs 1 {_PAPER}",
    "digits, feedback, exact": f"{_DIGITS} --rule local",
    "digits, symmetric feedback, exact": f"{_DIGITS} --rule local --feedback symmetric",
    "digits, reinforce, exact": f"{_DIGITS} --rule local --signal reinforce",
    "digits, both, exact": f"{_DIGITS} --rule local --signal both --reward-weight 0.1",
    "digits, feedback, online": f"{_DIGITS} --rule local --score online",
    "digits, reinforce, online": f"{_DIGITS} --rule local --signal reinforce --score online",
    "digits, online, every step": f"{_DIGITS} --rule local --score online --update-every-step",
    "digits, measured": f"{_SMALL} --rule local --score measured",
    "digits, measured, window 2": f"{_SMALL} --rule local --signal reinforce --score measured"
    " --window 2 --repeats 2",
    "digits, measured, laplace": f"{_SMALL} --rule local --score measured --estimator laplace"
    " --shots 20",
    "digits, measured, spsa": f"{_SMALL} --rule local --score measured --derivative spsa",
    "digits, noise": f"{_SMALL} --depolarising-1q 0.01 --depolarising-2q 0.03"
    " --idle-phase-damping 0.02 --false-spike 0.02 --missed-spike 0.05",
    "digits, two channels, frozen memory": f"{_OTHERS} --channels 2 --memory-qubits 2"
    " --memory-gates frozen --drive saturating --output-memory-qubits 2",
    "digits, hardware_efficient": f"{_SMALL} --circuit hardware_efficient --through-collapse",
    "digits, integrate_and_fire, local": f"{_SMALL} --circuit integrate_and_fire --rule local",
    "digits, crx, latency": f"{_SMALL} --circuit crx --encoding latency",
    "digits, lif": f"{_OTHERS} --neurons lif --beta 0.5",
    "digits, stochastic_lif": f"{_OTHERS} --neurons stochastic_lif --rule local --signal both",
    "recall": f"recall --epochs 1 --train-samples 400 {_PAPER}",
    "usps 1 vs 7": f"usps --classes 1,7 --epochs 1 --hidden 2 {_PAPER}",
    "usps 1 vs 7, local": f"usps --classes 1,7 --epochs 1 --hidden 2 --rule local {_PAPER}",
}
# How commit 94fd6cd spelt them.
_OLD_FLAGS = {
    "--score measured --derivative spsa": "--score spsa",
    "--score measured": "--score shift",
    "--beta": "--neuron-options.beta",
    _PAPER: "",
    "--drive saturating --output-memory-qubits 2": "--saturate",
}
_OLD_SCORES = """
from sqsnn.training import run, run_folder
loaded = run.load(run_folder.find(Path(out)))
scores, _ = run.score_test(loaded)
populations = loaded.network.populations
def old_name(name):
    return name
"""
_NEW_SCORES = """
from sqsnn.runs import folder, loading
loaded = loading.load(folder.find(Path(out)))
scores = loading.test(loaded).answers
populations = loaded.network.populations.values()
places = {f"pathways.{k}.synapses.": f"synapses.{k}." for k in range(len(populations))}
for number, name in enumerate(loaded.network.populations):
    places[f"populations.{name}."] = f"populations.{number}."
def old_name(name):
    for place, old in places.items():
        name = name.replace(place, old)
    return name
"""
_TRAIN = """
import hashlib, json, sys
from pathlib import Path
from sqsnn.cli.main import main
flags, out = sys.argv[1].split(), sys.argv[2]
main(["train", *flags, "--out", out])
{scores}
state = loaded.network.state_dict()
found = {{old_name(n): p for n, p in state.items() if "parametrizations" not in n}}
# Frozen angles have parts of their own.
for number, population in enumerate(populations):
    for name in ("angles", "gains"):
        if hasattr(population, name):
            found[f"populations.{{number}}.{{name}}"] = getattr(population, name).detach()
found |= {{"test counts": scores.counts, "test probabilities": scores.probabilities,
          "test predictions": scores.predicted}}
digests = {{
    n: hashlib.sha256(t.contiguous().numpy().tobytes()).hexdigest() for n, t in found.items()
}}
print("DIGESTS " + json.dumps(digests))
"""


def digests(checkout: Path, flags: str, *, old: bool) -> dict[str, str]:
    """Train one run in a process of its own and return the digests of what came out.

    Args:
        checkout: Folder of the version.
        flags: Flags of `sqsnn train`, spelt as today.
        old: Whether the version is the old one.

    Raises:
        RuntimeError: If the training fails.
    """
    if old:
        for new, before in _OLD_FLAGS.items():
            flags = flags.replace(new, before)
    code = _TRAIN.format(scores=_OLD_SCORES if old else _NEW_SCORES)
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = os.environ | one_thread | {"PYTHONPATH": str(checkout.resolve() / "src")}
    with TemporaryDirectory() as scratch:
        done = subprocess.run(
            [sys.executable, "-c", code, flags, f"{scratch}/run"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    for line in done.stdout.splitlines():
        if line.startswith("DIGESTS "):
            return json.loads(line.removeprefix("DIGESTS "))
    raise RuntimeError(f"sqsnn train {flags} failed in {checkout}:\n{done.stderr[-2000:]}")


def main() -> None:
    """Compare all runs, print one line per run, and leave with 1 if any differs."""
    parser = argparse.ArgumentParser(description="Compare short trainings with an older version.")
    parser.add_argument("old", type=Path, help="checkout of commit 94fd6cd")
    parser.add_argument("--new", type=Path, default=Path(), help="checkout to compare [this one]")
    parser.add_argument("--only", default="", help="only runs whose name contains this")
    parser.add_argument("--cache", type=Path, help="file that keeps the old version's digests")
    given = parser.parse_args()
    known = json.loads(given.cache.read_text()) if given.cache and given.cache.exists() else {}
    different = 0
    for name, flags in RUNS.items():
        if given.only not in name:
            continue
        if name not in known:
            known[name] = digests(given.old, flags, old=True)
            if given.cache:
                given.cache.write_text(json.dumps(known, indent=1))
        found = digests(given.new, flags, old=False)
        wrong = sorted(part for part in known[name] if found.get(part) != known[name][part])
        different += bool(wrong)
        result = f"DIFFERENT in {', '.join(wrong)}" if wrong else "identical"
        print(f"{name}: {result}", flush=True)
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
