"use strict";
// The page: settings from the form, one step at a time, and what they do to the pictures.
(() => {
  const SHOTS = 1000, FIRST = 4, SHOWN = 100, TRAIL = 16;
  const at = (id) => document.getElementById(id);
  const number = (id) => Number(at(id).value);
  const count = (n) => [...Array(n).keys()];
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let neuron, state, inputs, draw, history, step, timer = null;

  // Settings ------------------------------------------------------------------------------------

  function fill(select, values, chosen) {
    select.replaceChildren(...values.map((value) => new Option(value, value)));
    select.value = chosen;
  }

  const circuit = () => CIRCUITS[at("circuit").value][at("memory").value];

  function chooseCircuit() {
    const sizes = Object.keys(CIRCUITS[at("circuit").value]);
    const before = at("memory").value;
    fill(at("memory"), sizes, [before, "1"].find((size) => sizes.includes(size)) ?? sizes[0]);
    makeAngles();
  }

  const wire = (qubit) => qubit === 0 ? "channel" : circuit().memory > 1 ? `memory ${qubit - 1}` : "memory";

  function slider(id, text, value, most) {
    const label = document.createElement("label"), input = document.createElement("input");
    const shown = document.createElement("output");
    Object.assign(input, { type: "range", id, min: -most, max: most, step: 0.01 });
    input.value = value;
    shown.htmlFor = label.htmlFor = id;
    label.append(`${text} `, shown, input);
    return label;
  }

  function makeAngles() {
    const { gates, encoding, start, memory } = circuit();
    // A clock that can be seen: the memory turns, the channel reads it, and a spike sets it back.
    const clock = at("circuit").value === "integrate_and_fire" && memory === 1 ? [1.4, 3, 0.35, 0] : start;
    const angles = gates.filter((gate) => gate[2] !== null).map(([name, on, parameter]) => slider(
      `angle${parameter}`, `θ${parameter}: ${name} ${on.map(wire).join(name[0] === "C" ? " → " : ", ")}`, clock[parameter], 3.14));
    const gains = encoding.filter(([, , parameter]) => parameter !== null).map(([qubit, gain, parameter]) => slider(
      `gain${parameter}`, `gain of φ on ${wire(qubit)}`, gain, 2));
    at("angles").replaceChildren(...gains, ...angles);
  }

  function readDrive() {
    const kind = at("drive").value, chosen = at("reset_steps").value;
    const reset_steps = chosen === "whole" ? null : Number(chosen), beta = number("beta");
    // theta_k starts at reset * beta**(k - 1), as in the package.
    const reset = count(reset_steps ?? 1).map((k) => number("reset") * beta ** k);
    return { kind, beta, reset, reset_steps, bias: number("bias"), floor: number("floor") };
  }

  function readSettings() {
    const gains = circuit().encoding.filter((each) => each[2] !== null).map((each) => number(`gain${each[2]}`));
    const angles = circuit().start.map((_, place) => number(`angle${place}`));
    neuron = { circuit: circuit(), drive: readDrive(), angles, gains };
    at("leak").hidden = neuron.drive.kind !== "leaky";
    for (const output of document.querySelectorAll("#controls output")) {
      output.value = at(output.htmlFor.value).value.replace("-", "−");
    }
  }

  function currentAt(time, random) {
    const z = number("current"), drawn = random();
    if (at("pattern").value === "pulse") return Math.floor(time / 10) % 2 ? 0 : z;
    return at("pattern").value === "random" ? 2 * z * drawn : z;
  }

  // Currents and outcomes have random numbers of their own: the law is that of the first steps.
  const randomInputs = () => SQS.uniforms(number("seed"));
  const randomOutcomes = (which) => SQS.uniforms(10000 * (1 + which) + number("seed"));

  // Running -------------------------------------------------------------------------------------

  const vectors = (memory) => count(neuron.circuit.memory).map((qubit) => SQS.bloch(memory, neuron.circuit.memory, qubit));

  function restart() {
    readSettings();
    [state, inputs, draw, history, step] = [SQS.rest(neuron), randomInputs(), randomOutcomes(0), [], 0];
    drawLaw();
    drawAll();
  }

  function take() {
    const before = vectors(state.memory);
    const taken = SQS.step(neuron, state, currentAt(step, inputs), draw());
    state = taken.state;
    step += 1;
    // Before the measurement, each memory qubit is in the mean of what the two outcomes leave.
    const halves = taken.found.left.map(vectors);
    const mixed = before.map((_, qubit) => before[qubit].map((_, axis) => halves[0][qubit][axis] + halves[1][qubit][axis]));
    const branches = halves.map((half, spike) => half.map((vector) => vector.map((v) => v / taken.found.weights[spike])));
    history.push({ ...taken, before, mixed, branches, after: vectors(state.memory) });
    if (history.length > SHOWN) history.shift();
  }

  function advance() {
    take();
    const length = still.matches ? 0 : Math.min(900, 850 / number("speed"));
    const began = performance.now(), mine = step;
    const frame = (now) => {
      if (mine !== step) return;
      const share = length ? Math.min(1, (now - began) / length) : 1;
      drawSpheres(share);
      drawChain(share);
      if (share >= MEASURED) drawTime();
      if (share < 1) requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  function say() {
    if (!history.length) {
      at("said").textContent = "At rest. Press Play or the space bar; the right arrow takes one step.";
      return;
    }
    const { spike, found } = history.at(-1), spikes = history.filter((it) => it.spike).length;
    at("said").textContent = `Step ${step}: ${spike ? "a spike" : "no spike"}; its chance was ${found.chance[1].toFixed(3)}. ` +
      `${spikes} ${spikes === 1 ? "spike" : "spikes"} in the last ${history.length} ${history.length === 1 ? "step" : "steps"}.`;
  }

  function play(on) {
    clearInterval(timer);
    timer = on ? setInterval(advance, 1000 / number("speed")) : null;
    at("play").textContent = on ? "Pause" : "Play";
    if (on) at("said").textContent = "Running. Turn the sliders, or press the space bar to pause.";
    else say();
  }

  function once() {
    play(false);
    advance();
    say();
  }

  // The step and the spheres --------------------------------------------------------------------

  const MEASURED = 0.6;  // of a step, the circuit acts; then the outcome is drawn
  const signed = (v, digits) => v.toFixed(digits).replace("-", "−");

  function drawChain(share) {
    const last = history.at(-1), measured = last && share >= MEASURED;
    const show = (id, text) => { at(`now-${id}`).textContent = last ? text() : "–"; };
    show("current", () => signed(last.current, 2));
    show("potential", () => signed(last.found.potential, 2));
    show("angle", () => `${(last.found.phi * 180 / Math.PI).toFixed(0)}°`);
    show("chance", () => `${(100 * last.found.chance[1]).toFixed(0)} %`);
    show("spike", () => measured ? (last.spike ? "spike" : "silent") : "…");
    at("meter").style.width = last ? `${(100 * last.found.chance[1]).toFixed(1)}%` : 0;
    at("outcome").classList.toggle("fired", Boolean(measured && last.spike));
  }

  const TURN = Math.PI / 6, TILT = Math.PI / 9, RADIUS = 98;
  const forward = ([x, y]) => Math.cos(TURN) * x + Math.sin(TURN) * y;
  const seen = (vector) => [
    130 + RADIUS * (-Math.sin(TURN) * vector[0] + Math.cos(TURN) * vector[1]),
    130 - RADIUS * (-Math.sin(TILT) * forward(vector) + Math.cos(TILT) * vector[2])];
  const point = (vector) => seen(vector).map((v) => v.toFixed(1)).join(" ");
  const arc = (from, to) => count(37).map((k) => from + (to - from) * k / 36)
    .map((turn) => point([Math.cos(turn), Math.sin(turn), 0])).join(" L");
  const mix = (a, b, share) => a.map((v, axis) => v + share * (b[axis] - v));

  // Between two vectors: the direction turns evenly, and the length changes evenly.
  function turned(a, b, share) {
    const [m, from, to] = [mix(a, b, share), Math.hypot(...a), Math.hypot(...b)], length = Math.hypot(...m);
    return length > 1e-6 ? m.map((v) => v * (from + share * (to - from)) / length) : m;
  }

  function pathsOf(qubit, moving) {
    const done = moving ? history.slice(-TRAIL, -1) : history.slice(-TRAIL);
    return done.map(({ before, after, spike }, place) => {
      const legs = spike ? [before[qubit], after[qubit]] : count(9).map((k) => turned(before[qubit], after[qubit], k / 8));
      const opacity = (0.1 + 0.7 * (place + 1) / done.length).toFixed(2);
      return `<path class="${spike ? "jump" : "trail"}" opacity="${opacity}" d="M${legs.map(point).join(" L")}"/>`;
    }).join("");
  }

  function rings(last, qubit) {
    return last.branches.map((branch, spike) => {
      if (last.found.weights[spike] < 1e-9) return "";
      const [x, y] = seen(branch[qubit]), size = 4 + 10 * Math.sqrt(last.found.chance[spike]);
      return `<circle class="ring ${spike ? "red" : ""}" cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${size.toFixed(1)}"/>`;
    }).join("");
  }

  function sphere(qubit, share) {
    const last = history.at(-1), measured = share >= MEASURED;
    let now = [0, 0, 1], flash = "";
    if (last) {
      const { before, mixed, after } = last;
      const settled = Math.min(1, (share - MEASURED) / 0.15);
      now = measured ? mix(mixed[qubit], after[qubit], settled) : turned(before[qubit], mixed[qubit], share / MEASURED);
      // At a higher speed it would flash more than three times per second.
      if (measured && share < 1 && last.spike && number("speed") <= 3) {
        const grown = (share - MEASURED) / (1 - MEASURED), [x, y] = seen(after[qubit]);
        flash = `<circle class="flash" cx="${x}" cy="${y}" r="${10 + 34 * grown}" opacity="${1 - grown}"/>`;
      }
    }
    const [x, y] = seen(now).map((v) => v.toFixed(1)), name = neuron.circuit.memory > 1 ? ` ${qubit}` : "";
    return `<svg viewBox="0 0 260 262" role="img" aria-label="Memory qubit${name}" class="${measured && last?.spike ? "fired" : ""}">
      <defs><radialGradient id="ball${qubit}" cx="38%" cy="30%"><stop offset="0" class="light"/><stop offset="1" class="shade"/></radialGradient></defs>
      <circle class="rim" cx="130" cy="130" r="${RADIUS}" fill="url(#ball${qubit})"/>
      <path class="back" d="M${arc(TURN + Math.PI / 2, TURN + 1.5 * Math.PI)}"/><path class="line" d="M${arc(TURN - Math.PI / 2, TURN + Math.PI / 2)}"/>
      <path class="back" d="M${point([0, 0, -1])} L${point([0, 0, 1])}"/>
      ${pathsOf(qubit, share < 1)}${last ? rings(last, qubit) : ""}${flash}
      <path class="arrow" d="M130 130 L${x} ${y}"/><circle class="tip" cx="${x}" cy="${y}" r="7"/>
      <text x="130" y="22" text-anchor="middle">|0⟩</text><text x="130" y="254" text-anchor="middle">|1⟩</text>
      ${name && `<text x="4" y="22">memory${name}</text>`}</svg>`;
  }

  function drawSpheres(share) {
    at("spheres").innerHTML = count(neuron.circuit.memory).map((qubit) => sphere(qubit, share)).join("") ||
      "<p>No memory qubit: the neuron is a coin, and the potential sets its bias. What it remembers, its drive remembers.</p>";
  }

  // The plots, in the pixels that there are -------------------------------------------------------

  function stage(id, height) {
    const width = Math.max(260, at(id).clientWidth);
    at(id).setAttribute("viewBox", `0 0 ${width} ${height}`);
    return width;
  }

  function drawTime() {
    const width = stage("time", 190), gap = (width - 40) / SHOWN, offset = SHOWN - history.length;
    const x = (place) => (36 + gap * (place + offset + 0.5)).toFixed(1);
    const values = history.map((it) => it.found.potential);
    const low = Math.min(0, ...values) < 0 ? -1 : 0, high = 1;
    const up = (v) => 46 + 134 * (high - Math.max(low - 0.05, Math.min(high + 0.05, v))) / (high - low);
    const spikes = history.map((it, k) => it.spike ? `<path class="spike" d="M${x(k)} 6 v24"/>` : "");
    const bars = history.map(({ found: { chance } }, k) =>
      `<rect class="chance" x="${x(k - 0.5)}" width="${gap.toFixed(2)}" y="${up(chance[1]).toFixed(1)}" height="${(up(0) - up(chance[1])).toFixed(1)}"/>`);
    const line = values.map((v, k) => `${x(k)} ${up(v).toFixed(1)}`).join(" L");
    const grid = [...new Set([low, 0, 1])].map((v) =>
      `<path class="line" d="M36 ${up(v)} H${width - 4}"/><text x="28" y="${up(v) + 4}" text-anchor="end">${signed(v, 0)}</text>`);
    at("time").innerHTML = `<path class="line" d="M36 30 H${width - 4}"/>
      ${grid.join("")}${bars.join("")}${spikes.join("")}${line && `<path class="potential" d="M${line}"/>`}`;
  }

  function sampled(currents) {
    const random = randomOutcomes(1), counts = Array(2 ** FIRST).fill(0);
    for (let shot = 0; shot < SHOTS; shot++) {
      let now = SQS.rest(neuron), pattern = 0;
      for (const current of currents) {
        const taken = SQS.step(neuron, now, current, random());
        now = taken.state;
        pattern = 2 * pattern + taken.spike;
      }
      counts[pattern] += 1;
    }
    return counts.map((n) => n / SHOTS);
  }

  function drawLaw() {
    const random = randomInputs(), currents = count(FIRST).map((time) => currentAt(time, random));
    const exact = SQS.law(neuron, currents), often = sampled(currents);
    const width = stage("law", 210), gap = (width - 40) / exact.length, bar = 0.76 * gap;
    const top = Math.max(...exact, ...often), up = (p) => 172 - 152 * p / top;
    // A pattern is drawn as the spikes are: a stroke for a spike, a dot for none.
    const marks = (k, x) => count(FIRST).map((t) => {
      const place = (x + bar * (t + 0.5) / FIRST).toFixed(1);
      return k >> (FIRST - 1 - t) & 1 ? `<path class="spike" d="M${place} 182 v16"/>` : `<circle class="none" cx="${place}" cy="190" r="1.3"/>`;
    }).join("");
    at("law").innerHTML = exact.map((p, k) => {
      const x = 38 + gap * k, label = k.toString(2).padStart(FIRST, "0");
      return `<rect class="chance" x="${x}" width="${bar}" y="${up(p)}" height="${172 - up(p)}"><title>${label}: exact ${p.toFixed(4)}, sampled ${often[k].toFixed(3)}</title></rect>
        <circle class="dot" cx="${x + bar / 2}" cy="${up(often[k])}" r="4"/>${marks(k, x)}`;
    }).join("") + `<path class="line" d="M36 172 H${width - 4}"/><text x="30" y="176" text-anchor="end">0</text><text x="30" y="24" text-anchor="end">${top.toFixed(2)}</text>`;
  }

  function drawAll() {
    drawChain(1);
    drawSpheres(1);
    drawTime();
  }

  // Wiring --------------------------------------------------------------------------------------

  at("play").addEventListener("click", () => play(timer === null));
  at("once").addEventListener("click", once);
  at("again").addEventListener("click", () => { play(false); restart(); say(); });
  at("controls").addEventListener("submit", (event) => event.preventDefault());
  at("controls").addEventListener("input", ({ target }) => {
    if (target.id === "circuit") chooseCircuit();
    if (target.id === "memory") makeAngles();
    const another = ["circuit", "memory", "seed", "drive", "reset_steps", "pattern"].includes(target.id);
    if (another) { restart(); if (timer === null) say(); }
    else readSettings();
    if (target.id === "speed") { if (timer !== null) play(true); }
    else drawLaw();
  });
  // Space acts on buttons and lists, the arrows on all fields; elsewhere they drive the neuron.
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const within = (fields) => event.target.closest(fields);
    if (event.key === " " && !within("select, button, input[type=number]")) {
      event.preventDefault();
      play(timer === null);
    }
    if (event.key === "ArrowRight" && !within("select, input")) {
      event.preventDefault();
      once();
    }
  });
  new ResizeObserver(() => { drawTime(); drawLaw(); }).observe(document.querySelector(".stage"));

  fill(at("circuit"), Object.keys(CIRCUITS), "integrate_and_fire");
  chooseCircuit();
  restart();
  for (let first = 0; first < 60; first++) take();  // so that there is something to see
  drawAll();
  if (still.matches) say();
  else play(true);
})();
