"""Examples and the page on hardware work as they stand; commands of the page are typed in order."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import sqsnn
from sqsnn.learning.local import Local
from sqsnn.neurons.drive import Rectified
from sqsnn.runs import run
from sqsnn.settings.toml import read_config

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "hardware.md").read_text("utf-8")
BLOCKS = re.findall(r"```(sh|python)\n(.*?)```", PAGE, flags=re.DOTALL)
COMMANDS = [
    line.split("#")[0].strip()
    for language, code in BLOCKS
    if language == "sh"
    for line in code.splitlines()
    if line.startswith("sqsnn ")
]


def output_of(name: str, *arguments: str) -> str:
    """What an example prints; it writes no warning and no error."""
    command = [sys.executable, "-X", "utf8", f"examples/{name}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_every_example_has_a_test():
    names = {path.name for path in (ROOT / "examples").glob("*.py")}
    assert names == {"hardware.py", "openqasm.py", "slurm_cluster.py"}


def test_a_neuron_through_openqasm_keeps_its_law():
    program, _, table = output_of("openqasm.py").partition("spikes  measured  exact\n")
    assert program.startswith("OPENQASM 3.0;")
    rows = [line.split() for line in table.splitlines()]
    assert [row[0] for row in rows] == [f"{number:04b}" for number in range(16)]
    # Expected 0.009 at 20,000 shots; above 0.03 in one of 10**6 (McDiarmid).
    assert sum(abs(float(measured) - float(exact)) for _, measured, exact in rows) / 2 < 0.03


def test_the_job_of_a_slurm_cluster_is_one_worker_with_one_thread():
    script = output_of("slurm_cluster.py", "--script", "--partition", "short", "--memory", "3GB")
    lines = script.splitlines()
    assert {"#SBATCH -p short", "#SBATCH -n 1", "#SBATCH --cpus-per-task=1"} <= set(lines)
    assert "export OMP_NUM_THREADS=1" in lines
    (command,) = [line for line in lines if "dask_worker" in line]
    assert " --nthreads 1 " in command


@pytest.mark.slow
def test_a_network_runs_on_aer_and_on_a_snapshot():
    printed = output_of("hardware.py")
    accuracies = re.findall(
        r"^(\w+) +(\d+)% ± \d+% of 100 test samples$", printed, flags=re.MULTILINE
    )
    assert [name for name, _ in accuracies] == ["simulator", "aer", "fake_boston"]
    # Far above chance, which is 10 %, and far below what comes out.
    assert all(int(percent) >= 50 for _, percent in accuracies), printed
    assert printed.count("  2 jobs, 2600 circuits of one shot\n") == 2


def test_the_experiment_of_the_authors_is_what_its_file_says():
    settings = read_config(ROOT / "examples" / "usps-1-vs-7-skip.toml", None, {})
    neurons, rule = settings.neurons, settings.rule
    assert (settings.data.dataset, settings.data.classes) == ("usps", (1, 7))
    assert (settings.hidden, settings.skip, settings.encoding.max_rate) == ((2,), True, 0.5)
    assert (neurons.circuit, neurons.drive, neurons.output_memory_qubits) == ("crx", Rectified(), 1)
    assert isinstance(rule, Local)


def test_the_experiment_of_the_authors_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"train_samples": 60, "test_samples": 20, "epochs": 1}
    place = ROOT / "examples" / "usps-1-vs-7-skip.toml"
    settings = read_config(place, "digits", given)  # which needs no download
    folder = run.begin(settings, tmp_path / "run", pictures=False)
    network = sqsnn.load(folder.path).network
    joined = [(it.source, it.target) for it in network.pathways]
    assert joined == [("input", "hidden"), ("hidden", "output"), ("input", "output")]


@pytest.mark.parametrize("line", COMMANDS)
def test_the_commands_of_the_page_exist(line):
    from sqsnn.cli.main import app

    command = app.parse_args(shlex.split(line)[1:], exit_on_error=False, print_error=False)[0]
    assert callable(command)


@pytest.mark.slow
def test_the_page_can_be_typed(tmp_path, monkeypatch, capsys):
    from sqsnn.cli.main import main

    monkeypatch.chdir(tmp_path)
    for language, code in BLOCKS:
        if language == "python" and "save_account" not in code:
            exec(compile(code, "hardware.md", "exec"), {})
        for line in code.splitlines():
            command = line.split("#")[0].strip()
            if command in COMMANDS and "ibm:" not in command:
                # Thirty epochs of density matrices would take minutes.
                hurried = " --epochs 1" if "--noise-from" in command else ""
                main(shlex.split(command + hurried)[1:])
    printed = capsys.readouterr().out
    # 200 samples of 32 and 10 neurons, of 74 and 45 us: the estimate that stands on the page.
    assert "Estimate: 2 jobs, 8,400 circuits of 67.1 us" in printed
    assert "right where not tied" in printed
    assert "step by step: [" in printed
