"""The live page: its physics is the package's, and it works in a browser, by the keyboard too."""

import importlib.util
import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest
import torch

import sqsnn

DEMO = Path(__file__).parents[1] / "docs" / "demo"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CASES, STEPS = 200, 8

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


def exporter():
    spec = importlib.util.spec_from_file_location("export", DEMO / "export.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def in_browser(page, tmp_path, *flags):
    """Give the document after its scripts ran, without a network."""
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--virtual-time-budget=2000", f"--user-data-dir={tmp_path / 'profile'}", *flags,
        "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def drive_of(g):
    leaky = sqsnn.Leaky(
        beta=torch.rand((), generator=g).item(),
        reset=1.5 * torch.rand((), generator=g).item(),
        bias=0.4 * torch.rand((), generator=g).item() - 0.2,
        floor=-1.5 * torch.rand((), generator=g).item(),
    )
    every = sqsnn.Rectified(), sqsnn.Saturating(), leaky
    return every[int(torch.randint(3, (), generator=g))]


def case(seed):
    """A random neuron, its inputs, and what the package makes of them."""
    g = torch.Generator().manual_seed(seed)
    shown = [(name, m) for name in exporter().SHOWN for m in (0, 1, 2)]
    while True:
        name, memory = shown[int(torch.randint(len(shown), (), generator=g))]
        if str(memory) in CIRCUITS.get(name, {}):
            break
    drive = drive_of(g)
    neurons = sqsnn.SQSNeurons(
        1, memory_qubits=memory, circuit=name, drive=drive, generator=g, dtype=torch.float64
    )
    currents = 1.2 * torch.randn(STEPS, 1, 1, 1, generator=g, dtype=torch.float64)
    uniforms = torch.rand(STEPS, 1, 1, generator=g, dtype=torch.float64)
    with torch.no_grad():
        neurons.angles.copy_(3 * torch.randn(neurons.angles.shape, generator=g))
        record, state = neurons(currents, uniforms=uniforms)
        law = neurons.sequence_probabilities(currents[:4])
        potentials = neurons.potentials(currents, record.spikes)
    values = {} if drive.kind != "leaky" else vars(drive) | {"reset": drive.reset}
    given = {
        "circuit": [name, memory],
        "drive": {"kind": drive.kind}
        | {key: values[key] for key in ("beta", "reset", "bias", "floor") if key in values},
        "angles": neurons.angles.flatten().tolist(),
        "currents": currents.flatten().tolist(),
        "uniforms": uniforms.flatten().tolist(),
    }
    wanted = {
        "spikes": record.spikes.flatten().tolist(),
        "probability": record.probability.flatten().tolist(),
        "potential": potentials.flatten().tolist(),
        "law": law.flatten().tolist(),
        "bloch": [bloch(state.memory[0, 0], q) for q in range(memory)],
    }
    return given, wanted


def bloch(memory, qubit):
    """x, y and z of one qubit, by its density matrix."""
    rows = memory.reshape(2**qubit, 2, -1).movedim(1, 0).flatten(1)
    rho = rows @ rows.mH
    return [
        2 * rho[1, 0].real.item(),
        2 * rho[1, 0].imag.item(),
        (rho[0, 0] - rho[1, 1]).real.item(),
    ]


SCRIPT = """
const found = CASES.map(({ circuit: [name, memory], drive, angles, currents, uniforms }) => {
  const neuron = { circuit: CIRCUITS[name][memory], drive, angles };
  let state = SQS.rest(neuron);
  const steps = currents.map((z, t) => (state = SQS.step(neuron, state, z, uniforms[t])));
  return {
    spikes: steps.map((it) => it.spike),
    probability: steps.map((it) => it.probability),
    potential: steps.map((it) => it.potential),
    law: SQS.law(neuron, currents.slice(0, 4)),
    bloch: [...Array(memory).keys()].map((q) => SQS.bloch(state.memory, memory, q)),
  };
});
document.getElementById("found").textContent = JSON.stringify(found);
"""
CIRCUITS = json.loads(re.search(r"CIRCUITS = (.*);", (DEMO / "circuits.js").read_text())[1])


def test_the_circuits_are_those_of_the_package():
    assert (DEMO / "circuits.js").read_text("utf-8") == exporter().written()


@needs_browser
def test_the_physics_of_the_page_is_that_of_the_package(tmp_path):
    cases = [case(seed) for seed in range(CASES)]
    assert {given["drive"]["kind"] for given, _ in cases} == {"rectified", "saturating", "leaky"}
    page = tmp_path / "cases.html"
    scripts = [(DEMO / name).read_text("utf-8") for name in ("circuits.js", "sqs.js")]
    scripts += [f"const CASES = {json.dumps([given for given, _ in cases])};", SCRIPT]
    tags = "".join(f"<script>{text}</script>" for text in scripts)
    page.write_text(f'<!doctype html><body><pre id="found"></pre>{tags}', "utf-8")
    document = in_browser(page, tmp_path)
    found = json.loads(unescape(re.search(r'<pre id="found">(.*?)</pre>', document, re.DOTALL)[1]))
    assert len(found) == CASES
    for (given, wanted), it in zip(cases, found, strict=True):
        for name, values in wanted.items():
            # Rounding of 8 steps of some 30 operations in double precision.
            expected = torch.tensor(values, dtype=torch.float64)
            got = torch.tensor(it[name], dtype=torch.float64)
            torch.testing.assert_close(got, expected, rtol=0, atol=1e-9, msg=f"{name} of {given}")


KEYS = """
const press = (key) =>
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const at = (id) => document.getElementById(id), said = () => at("said").textContent;
const set = (id, value) => {
  at(id).value = value;
  at(id).dispatchEvent(new Event("input", { bubbles: true }));
};
const found = { start: said() };
at("again").click();
press("ArrowRight");
found.step = said();
press(" ");
found.playing = at("play").textContent;
press(" ");
found.paused = at("play").textContent;
const controls = [...document.querySelectorAll("button, input, select")];
found.unreachable = controls.filter((it) => it.tabIndex < 0).map((it) => it.id);
const fields = controls.filter((it) => it.tagName !== "BUTTON");
found.unnamed = fields.filter((it) => !it.labels.length).map((it) => it.id);
found.chances = {};
for (const name of Object.keys(CIRCUITS)) {
  set("circuit", name);
  for (const memory of Object.keys(CIRCUITS[name])) {
    set("memory", memory);
    set("drive", "leaky");
    press("ArrowRight");
    const bars = [...document.querySelectorAll("#law title")].map((it) => Number(it.textContent));
    found.chances[name + memory] = [bars.length, bars.reduce((sum, p) => sum + p, 0)];
    found[name + memory] = document.querySelectorAll("#spheres svg").length;
  }
}
found.errors = ERRORS;
document.body.innerHTML = `<pre id="found"></pre>`;
at("found").textContent = JSON.stringify(found);
"""


@needs_browser
def test_the_page_works_by_keyboard_with_every_circuit(tmp_path):
    for file in DEMO.glob("*.*"):
        shutil.copy(file, tmp_path)
    page = tmp_path / "index.html"
    text = page.read_text("utf-8")
    first = (
        "<script>const ERRORS = []; onerror = (said) => { ERRORS.push(String(said)); };</script>"
    )
    page.write_text(
        text.replace("<body>", f"<body>{first}").replace(
            "</body>", f"<script>{KEYS}</script></body>"
        )
    )
    document = in_browser(page, tmp_path)
    found = json.loads(unescape(re.search(r'<pre id="found">(.*?)</pre>', document, re.DOTALL)[1]))
    assert found["errors"] == []
    assert "space bar" in found["start"]
    assert re.match(r"Step 1: (no|a) spike; its chance was 0\.\d{3}\.", found["step"])
    assert (found["playing"], found["paused"]) == ("Pause", "Play")
    assert (found["unreachable"], found["unnamed"]) == ([], [])
    assert len(found["chances"]) == sum(map(len, CIRCUITS.values()))
    for name, (bars, total) in found["chances"].items():
        assert bars == 16
        assert total == pytest.approx(1, abs=16 * 5e-5)  # four digits are shown
        assert found[name] == int(name[-1])  # one sphere per memory qubit


def test_the_page_is_small_and_needs_no_network():
    files = [path for path in DEMO.iterdir() if path.suffix in {".html", ".js", ".css"}]
    assert sum(path.stat().st_size for path in files) < 200_000
    for path in files:
        assert not re.search(r"https?://|//cdn|@import|fetch\(|XMLHttpRequest", path.read_text())
