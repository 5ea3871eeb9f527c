"""The live page: its physics is the package's, and it works in a browser, by the keyboard too."""

import importlib.util
import json
import re
from itertools import cycle
from pathlib import Path

import pytest
import torch
from browser import CHROMIUM, Browser

import sqsnn

DEMO = Path(__file__).parents[1] / "docs" / "demo"
PAGE = DEMO / "index.html"
CASES, STEPS = 200, 8
# Rounding of 8 steps of some 100 operations in double precision is below 1e-13.
TOLERANCE = 1e-9

spec = importlib.util.spec_from_file_location("export", DEMO / "export.py")
export = importlib.util.module_from_spec(spec)
spec.loader.exec_module(export)
CIRCUITS = {(name, m): it for name, each in export.found().items() for m, it in each.items()}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    started = Browser(tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


@pytest.fixture
def page(browser):
    """The page at rest: it does not start by itself where motion is unwanted."""
    browser.open(PAGE, prefers_reduced_motion="reduce")
    yield browser
    assert browser.problems == []


def drives(g):
    """Drives of every kind in turn, the parameters of a leaky one random."""
    for reset_steps in cycle((None, 0, 1, 2, 3, 4)):
        yield sqsnn.Rectified()
        yield sqsnn.Saturating()
        beta, reset, bias, floor = torch.rand(4, generator=g, dtype=torch.float64).tolist()
        yield sqsnn.Leaky(beta, 1.5 * reset, 0.4 * bias - 0.2, -floor, reset_steps)


def cases():
    """Random neurons and their inputs, and what the package makes of them."""
    g = torch.Generator().manual_seed(0)
    for _, (name, memory), drive in zip(range(CASES), cycle(CIRCUITS), drives(g), strict=False):
        neurons = sqsnn.SQSNeurons(
            1, memory_qubits=memory, circuit=name, drive=drive, generator=g, dtype=torch.float64
        )
        currents = 0.3 + torch.randn(STEPS, 1, 1, 1, generator=g, dtype=torch.float64)
        uniforms = torch.rand(STEPS, 1, 1, generator=g, dtype=torch.float64)
        with torch.no_grad():
            neurons.angles.copy_(3 * torch.randn(neurons.angles.shape, generator=g))
            neurons.gains.copy_(torch.randn(neurons.gains.shape, generator=g))
            record, _ = neurons(currents, uniforms=uniforms, keep_memory=True)
            law = neurons.sequence_probabilities(currents[:4])
            potentials = neurons.potentials(currents, record.spikes)
        memories = record.memory[:, 0, 0]
        given = {
            "circuit": [name, memory],
            "drive": described(neurons),
            "angles": neurons.angles.flatten().tolist(),
            "gains": neurons.gains.flatten().tolist(),
            "currents": currents.flatten().tolist(),
            "uniforms": uniforms.flatten().tolist(),
        }
        wanted = {
            "spikes": record.spikes.flatten(),
            "probability": record.probability.flatten(),
            "potential": potentials.flatten(),
            "law": law.flatten(),
            "memory": torch.view_as_real(pure(memories)),
            "bloch": torch.stack([vectors(it, memory) for it in memories]),
        }
        yield given, wanted


def described(neurons):
    """The drive of a neuron, as the page describes it."""
    drive = neurons.drive
    if not isinstance(drive, sqsnn.Leaky):
        return {"kind": drive.kind}
    names = ("beta", "bias")
    learned = {name: getattr(neurons, name).item() for name in names}
    reset = neurons.reset.flatten().tolist()
    return {"kind": drive.kind, "reset": reset, **learned} | {
        name: getattr(drive, name) for name in ("floor", "reset_steps")
    }


def pure(states):
    """|m><m| of states, which has no global phase."""
    return states[..., :, None] * states[..., None, :].conj()


def vectors(state, qubits):
    """The Bloch vectors of every qubit, by Tr(rho P)."""
    paulis = torch.tensor(
        [[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]], dtype=state.dtype
    )
    rows = []
    for qubit in range(qubits):
        split = state.reshape(2**qubit, 2, -1)
        rows.append(torch.einsum("aib,kij,ajb->k", split.conj(), paulis, split).real)
    return torch.stack(rows) if rows else torch.zeros(0, 3, dtype=torch.float64)


IN_JAVASCRIPT = """CASES.map(({ circuit: [name, memory], currents, uniforms, ...parts }) => {
  const neuron = { circuit: CIRCUITS[name][memory], ...parts };
  let state = SQS.rest(neuron);
  const steps = currents.map((z, t) => {
    const taken = SQS.step(neuron, state, z, uniforms[t]);
    state = taken.state;
    return taken;
  });
  return {
    spikes: steps.map((it) => it.spike),
    probability: steps.map((it) => it.found.chance[1]),
    potential: steps.map((it) => it.found.potential),
    law: SQS.law(neuron, currents.slice(0, 4)),
    state: steps.map((it) => [...it.state.memory]),
    bloch: steps.map((it) => [...Array(memory).keys()].map(
      (qubit) => SQS.bloch(it.state.memory, memory, qubit))),
  };
})"""


def test_the_circuits_are_those_of_the_package():
    assert (DEMO / "circuits.js").read_text("utf-8") == export.written()


def test_the_physics_of_the_page_is_that_of_the_package(page):
    every = list(cases())
    kinds = {(given["drive"]["kind"], given["drive"].get("reset_steps")) for given, _ in every}
    assert len(kinds) == 8 and len(every) == CASES
    given = json.dumps([given for given, _ in every])
    found = page.run(IN_JAVASCRIPT.replace("CASES", given))
    for (given, wanted), got in zip(every, found, strict=True):
        states = torch.tensor(got["state"], dtype=torch.float64).reshape(STEPS, -1, 2)
        got["memory"] = torch.view_as_real(pure(torch.view_as_complex(states)))
        for name, expected in wanted.items():
            values = torch.as_tensor(got[name], dtype=torch.float64).reshape(expected.shape)
            error = (values - expected).abs().max().item() if values.numel() else 0.0
            assert error < TOLERANCE, f"{name} of {given}: {error}"


def focus(page):
    """The name of the control that has the focus."""
    return page.run("document.activeElement.id")


def test_tab_reaches_every_control_and_each_has_a_name(page):
    controls = "[...document.querySelectorAll('button, input, select')]"
    wanted = page.run(f"{controls}.filter((it) => it.checkVisibility()).map((it) => it.id)")
    reached = []
    for _ in wanted:
        page.press("Tab")
        reached.append(focus(page))
    assert reached == wanted
    assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    unnamed = (
        "[...document.querySelectorAll('input, select')].filter((it) => !it.labels.length).length"
    )
    assert page.run(unnamed) == 0


def test_keys_play_step_and_turn_sliders(page):
    said = "document.getElementById('said').textContent"
    play = "document.getElementById('play').textContent"
    assert page.run(said).startswith("Step 60: ")
    page.press("ArrowRight")
    assert re.match(r"Step 61: (no|a) spike; its chance was 0\.\d{3}\.", page.run(said))
    page.press(" ")
    assert page.run(play) == "Pause"
    page.press(" ")
    assert page.run(play) == "Play"
    before = page.run(said)
    page.run("document.getElementById('current').focus()")
    page.press("ArrowRight")  # turns the slider, and takes no step
    assert page.run("document.getElementById('current').value") == "0.11"
    assert page.run("document.querySelector('output[for=current]').value") == "0.11"
    assert page.run(said) == before
    page.press(" ")  # from a slider, too
    assert page.run(play) == "Pause"
    page.run("document.getElementById('play').focus()")
    page.press(" ")  # once, and not once more by the page
    assert page.run(play) == "Play"
    page.run("document.getElementById('again').focus()")
    page.press(" ")  # what a button is for, and no play
    assert page.run(play) == "Play"
    assert page.run(said).startswith("At rest.")


CHOOSE = """(([name, memory, drive]) => {
  for (const [id, value] of Object.entries({ circuit: name, memory, drive })) {
    document.getElementById(id).value = value;
    document.getElementById(id).dispatchEvent(new Event("input", { bubbles: true }));
  }
  document.getElementById("once").click();
  return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done({
    law: [...document.querySelectorAll("#law title")].map((it) => it.textContent),
    spheres: document.querySelectorAll("#spheres svg").length,
    sliders: document.querySelectorAll("#angles input").length,
    wrong: /NaN|undefined|Infinity/.test(document.body.innerHTML),
  }))));
})"""


@pytest.mark.parametrize("drive", ["rectified", "saturating", "leaky"])
def test_every_circuit_shows_its_spheres_its_sliders_and_its_law(page, drive):
    for (name, memory), circuit in CIRCUITS.items():
        shown = page.run(f"{CHOOSE}({json.dumps([name, memory, drive])})")
        gains = sum(place is not None for _, _, place in circuit["encoding"])
        assert shown["spheres"] == memory
        assert shown["sliders"] == len(circuit["start"]) + gains
        assert not shown["wrong"]
        exact, sampled = (
            [float(re.search(rf"{word} ([\d.]+)", text)[1]) for text in shown["law"]]
            for word in ("exact", "sampled")
        )
        assert len(exact) == 16
        assert sum(exact) == pytest.approx(1, abs=16 * 5e-5)  # four digits are shown
        # Five standard deviations of a share of 1,000, and the digits that are not shown.
        for p, share in zip(exact, sampled, strict=True):
            assert abs(share - p) < 5 * (max(p, 1e-3) / 1000) ** 0.5 + 1e-3


@pytest.mark.parametrize("width", [400, 1200])
def test_the_page_starts_by_itself_and_fits_the_screen(browser, width):
    browser.open(PAGE, width, prefers_color_scheme="dark")
    assert browser.run("document.getElementById('play').textContent") == "Pause"
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(13, 17, 23)"
    assert browser.problems == []


def test_the_page_is_small_and_needs_no_network():
    files = [path for path in DEMO.iterdir() if path.suffix in {".html", ".js", ".css"}]
    assert sum(path.stat().st_size for path in files) < 200_000
    for path in files:
        assert not re.search(r"https?://|//cdn|@import|fetch\(|XMLHttpRequest", path.read_text())
