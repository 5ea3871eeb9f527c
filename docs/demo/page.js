"use strict";
// The page: settings from the form, one step at a time, and what they do to the pictures.
(() => {
  const SHOTS = 1000, FIRST = 4, SHOWN = 100, TRAIL = 24;
  const at = (id) => document.getElementById(id);
  const number = (id) => Number(at(id).value);
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let neuron, state, draw, history, trail, step, timer = null;

  // Settings ------------------------------------------------------------------------------------

  function fill(select, values, chosen) {
    select.replaceChildren(...values.map((value) => new Option(value, value)));
    if (chosen !== undefined) select.value = chosen;
  }

  function chooseCircuit() {
    const kinds = Object.keys(CIRCUITS[at("circuit").value]);
    fill(at("memory"), kinds, kinds.includes("1") ? "1" : kinds[0]);
    makeAngles();
  }

  const wire = (qubit, memory) => qubit === 0 ? "channel" : memory > 1 ? `memory ${qubit}` : "memory";

  function makeAngles() {
    const circuit = CIRCUITS[at("circuit").value][at("memory").value];
    // A clock that can be seen: it reads the memory, sets it back at a spike, and turns it on.
    const clock = [1.2, 3, 0.35, 0];
    const start = at("circuit").value === "integrate_and_fire" && circuit.memory === 1 ? clock : circuit.start;
    const rows = circuit.gates.filter((gate) => gate[2] !== null).map(([name, on, parameter]) => {
      const label = document.createElement("label"), input = document.createElement("input");
      const value = document.createElement("output");
      const wires = on.map((qubit) => wire(qubit, circuit.memory)).join(name[0] === "C" ? " to " : ", ");
      Object.assign(input, { type: "range", id: `angle${parameter}`, min: -3.15, max: 3.15, step: 0.01 });
      input.value = start[parameter];
      value.htmlFor = input.id;
      label.htmlFor = input.id;  // else the output, which comes first, would be what it names
      label.append(`${name}, ${wires} `, value, input);
      return label;
    });
    at("angles").replaceChildren(...rows);
  }

  function readSettings() {
    const circuit = CIRCUITS[at("circuit").value][at("memory").value];
    const drive = { kind: at("drive").value, beta: number("beta"), reset: number("reset"), bias: 0, floor: number("floor") };
    const angles = circuit.start.map((_, place) => number(`angle${place}`));
    neuron = { circuit, drive, angles };
    at("leak").hidden = drive.kind !== "leaky";
    for (const output of document.querySelectorAll("#controls output")) {
      output.value = at(output.htmlFor.value).value;
    }
  }

  function currentAt(time, random) {
    const z = number("current");
    if (at("pattern").value === "pulses") return Math.floor(time / 10) % 2 ? 0 : z;
    return at("pattern").value === "noise" ? 2 * z * random() : z;
  }

  // Running -------------------------------------------------------------------------------------

  const vectors = (memory) => [...Array(neuron.circuit.memory).keys()].map(
    (qubit) => SQS.bloch(memory, neuron.circuit.memory, qubit));

  function restart() {
    readSettings();
    state = SQS.rest(neuron);
    [draw, history, trail, step] = [SQS.uniforms(number("seed")), [], [{ at: vectors(state.memory), spike: 0 }], 0];
    drawLaw();
    drawAll();
  }

  function take() {
    const current = currentAt(step, draw);
    state = SQS.step(neuron, state, current, draw());
    step += 1;
    history.push(state);
    trail.push({ at: vectors(state.memory), spike: state.spike });
    if (history.length > SHOWN) history.shift();
    if (trail.length > TRAIL) trail.shift();
  }

  function advance() {
    take();
    drawTime();
    const length = still.matches ? 0 : Math.min(350, 700 / number("speed"));
    const began = performance.now(), mine = step;
    const frame = (now) => {
      if (mine !== step) return;
      const share = length ? Math.min(1, (now - began) / length) : 1;
      drawSpheres(share);
      if (share < 1) requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  function say() {
    if (!history.length) return;
    const chance = state.probability.toFixed(3);
    at("said").textContent = `Step ${step}: ${state.spike ? "a spike" : "no spike"}; its chance was ${chance}.`;
  }

  function play(on) {
    clearInterval(timer);
    timer = on ? setInterval(advance, 1000 / number("speed")) : null;
    at("play").textContent = on ? "Pause" : "Play";
    at("play").setAttribute("aria-pressed", String(on));
    if (on) at("said").textContent = "Running.";
    else say();
  }

  function once() {
    play(false);
    advance();
    say();
  }

  // Pictures ------------------------------------------------------------------------------------

  const TURN = Math.PI / 6, TILT = Math.PI / 9;
  const seen = ([x, y, z]) => [
    130 + 95 * (-Math.sin(TURN) * x + Math.cos(TURN) * y),
    130 - 95 * (-Math.sin(TILT) * (Math.cos(TURN) * x + Math.sin(TURN) * y) + Math.cos(TILT) * z)];
  const point = (vector) => seen(vector).map((v) => v.toFixed(1)).join(" ");

  // Between two states, along the sphere where both are pure.
  function between(a, b, share) {
    const mixed = a.map((v, place) => v + share * (b[place] - v));
    const length = (v) => Math.hypot(...v);
    const wanted = length(a) + share * (length(b) - length(a)), has = length(mixed);
    return has > 1e-6 ? mixed.map((v) => v * wanted / has) : mixed;
  }

  function drawSpheres(share) {
    const equator = [...Array(73).keys()].map((k) => point([Math.cos(k * Math.PI / 36), Math.sin(k * Math.PI / 36), 0]));
    const last = trail.length - 1;
    const spheres = [...Array(neuron.circuit.memory).keys()].map((qubit) => {
      const before = trail[Math.max(0, last - 1)].at[qubit];
      const now = between(before, trail[last].at[qubit], share);
      const paths = trail.slice(1, share < 1 ? last : undefined).map((it, place) =>
        `<path class="${it.spike ? "jump" : "trail"}" d="M${point(trail[place].at[qubit])} L${point(it.at[qubit])}"/>`);
      const [x, y] = seen(now), name = neuron.circuit.memory > 1 ? ` ${qubit + 1}` : "";
      return `<svg viewBox="0 0 260 260" role="img" aria-label="Memory qubit${name}" class="${trail[last].spike ? "fired" : ""}">
        <circle class="rim" cx="130" cy="130" r="95"/><path class="line" d="M${equator.join(" L")}"/>
        <path class="line" d="M${point([0, 0, -1])} L${point([0, 0, 1])}"/>${paths.join("")}
        <path class="arrow" d="M130 130 L${x} ${y}"/><circle class="tip" cx="${x}" cy="${y}" r="7"/>
        <text x="130" y="22" text-anchor="middle">|0⟩</text><text x="130" y="252" text-anchor="middle">|1⟩</text></svg>`;
    });
    at("spheres").innerHTML = spheres.join("") || "<p>No memory qubit: the neuron is a coin whose bias the potential sets.</p>";
  }

  function drawTime() {
    const x = (place) => 40 + 6.7 * place, up = (v) => (130 - 75 * v).toFixed(1);
    const offset = SHOWN - history.length;
    const bounded = (v) => Math.max(-1.1, Math.min(1.1, v));
    const spikes = history.map((it, k) => it.spike ? `<path class="spike" d="M${x(k + offset)} 6 v26"/>` : "");
    const bars = history.map((it, k) =>
      `<rect class="chance" x="${x(k + offset) - 3.35}" width="6.7" y="${up(it.probability)}" height="${(75 * it.probability).toFixed(1)}"/>`);
    const line = history.map((it, k) => `${x(k + offset)} ${up(bounded(it.potential))}`).join(" L");
    at("time").innerHTML = `${bars.join("")}<path class="line" d="M40 130 H713 M40 55 H713 M40 205 H713"/>
      <text x="0" y="24">spike</text><text x="14" y="60">1</text><text x="14" y="135">0</text><text x="8" y="210">-1</text>
      ${spikes.join("")}${line ? `<path class="potential" d="M${line}"/>` : ""}`;
  }

  function drawLaw() {
    const random = SQS.uniforms(number("seed") + 1);
    const inputs = SQS.uniforms(number("seed"));
    const currents = [...Array(FIRST).keys()].map((time) => currentAt(time, inputs));
    const exact = SQS.law(neuron, currents), counts = exact.map(() => 0);
    for (let shot = 0; shot < SHOTS; shot++) {
      let now = SQS.rest(neuron), pattern = 0;
      for (const current of currents) {
        now = SQS.step(neuron, now, current, random());
        pattern = 2 * pattern + now.spike;
      }
      counts[pattern] += 1;
    }
    const top = Math.max(...exact, ...counts.map((n) => n / SHOTS)), up = (p) => 190 - 165 * p / top;
    at("law").innerHTML = exact.map((p, k) => {
      const x = 44 + 42 * k, label = k.toString(2).padStart(FIRST, "0").replaceAll("0", "·").replaceAll("1", "|");
      return `<rect class="chance" x="${x}" width="32" y="${up(p)}" height="${190 - up(p)}"><title>${p.toFixed(4)}</title></rect>
        <circle class="dot" cx="${x + 16}" cy="${up(counts[k] / SHOTS)}" r="4.5"/>
        <text x="${x + 16}" y="210" text-anchor="middle">${label}</text>`;
    }).join("") + `<path class="line" d="M40 190 H716"/><text x="0" y="194">0</text><text x="0" y="32">${top.toFixed(2)}</text>`;
  }

  function drawAll() {
    drawSpheres(1);
    drawTime();
  }

  // Wiring --------------------------------------------------------------------------------------

  at("play").addEventListener("click", () => play(timer === null));
  at("once").addEventListener("click", once);
  at("again").addEventListener("click", () => { play(false); restart(); });
  at("controls").addEventListener("submit", (event) => event.preventDefault());
  at("controls").addEventListener("input", ({ target }) => {
    if (target.id === "circuit") chooseCircuit();
    if (target.id === "memory") makeAngles();
    if (["circuit", "memory", "seed"].includes(target.id)) return restart();
    readSettings();
    if (target.id === "speed" && timer !== null) play(true);
    else drawLaw();
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, button") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " ") { event.preventDefault(); play(timer === null); }
    if (event.key === "ArrowRight") { event.preventDefault(); once(); }
  });

  fill(at("circuit"), Object.keys(CIRCUITS));
  chooseCircuit();
  restart();
  for (let first = 0; first < 45; first++) take();  // so that there is something to see
  drawAll();
})();
