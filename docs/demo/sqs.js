"use strict";
// One stochastic quantum spiking neuron with one channel, as the package simulates it.
//
//   u = max(beta u + z + c - theta s, floor)          leaky; else u = z
//   u = v - sum_k theta_k s_(t-k)                     leaky with reset_steps = K, and
//   v = max(beta v + z + c, floor)
//   phi = pi clip(u, 0, 1)                            rectified: pi max(u, 0)
//   p(s) = |<s| V(angles) R(gain phi) |0> m|^2             m is the memory, which the outcome s leaves
//
// Qubit 0 is the channel and the most significant; states are arrays of re and im, side by side.
const SQS = (() => {
  function matrix(name, angle) {
    const c = Math.cos(angle / 2), s = Math.sin(angle / 2), h = Math.SQRT1_2;
    switch (name) {
      case "RX": return [[c, 0], [0, -s], [0, -s], [c, 0]];
      case "RY": return [[c, 0], [-s, 0], [s, 0], [c, 0]];
      case "RZ": return [[c, -s], [0, 0], [0, 0], [c, s]];
      case "X": return [[0, 0], [1, 0], [1, 0], [0, 0]];
      case "Z": return [[1, 0], [0, 0], [0, 0], [-1, 0]];
      case "H": return [[h, 0], [h, 0], [h, 0], [-h, 0]];
      default: throw new Error(`no gate ${name}`);
    }
  }

  function applyOne(state, qubits, m, target, control) {
    const bit = 1 << (qubits - 1 - target);
    const held = control === undefined ? 0 : 1 << (qubits - 1 - control);
    for (let a = 0; a < 1 << qubits; a++) {
      if (a & bit || (a & held) !== held) continue;
      const b = a | bit;
      const [xr, xi, yr, yi] = [state[2 * a], state[2 * a + 1], state[2 * b], state[2 * b + 1]];
      state[2 * a] = m[0][0] * xr - m[0][1] * xi + m[1][0] * yr - m[1][1] * yi;
      state[2 * a + 1] = m[0][0] * xi + m[0][1] * xr + m[1][0] * yi + m[1][1] * yr;
      state[2 * b] = m[2][0] * xr - m[2][1] * xi + m[3][0] * yr - m[3][1] * yi;
      state[2 * b + 1] = m[2][0] * xi + m[2][1] * xr + m[3][0] * yi + m[3][1] * yr;
    }
  }

  // exp(-i angle/2 P) of P = XX, YY or ZZ.
  function applyPair(state, qubits, name, first, second, angle) {
    const one = 1 << (qubits - 1 - first), two = 1 << (qubits - 1 - second);
    const c = Math.cos(angle / 2), s = Math.sin(angle / 2), old = state.slice();
    for (let a = 0; a < 1 << qubits; a++) {
      const odd = Boolean(a & one) !== Boolean(a & two);
      const from = name === "RZZ" ? a : a ^ one ^ two;
      const factor = { RXX: 1, RYY: odd ? 1 : -1, RZZ: odd ? -1 : 1 }[name];
      state[2 * a] = c * old[2 * a] + s * factor * old[2 * from + 1];
      state[2 * a + 1] = c * old[2 * a + 1] - s * factor * old[2 * from];
    }
  }

  function applyGate(state, qubits, name, on, angle) {
    if (["RXX", "RYY", "RZZ"].includes(name)) return applyPair(state, qubits, name, on[0], on[1], angle);
    if (on.length === 1) return applyOne(state, qubits, matrix(name, angle), on[0]);
    return applyOne(state, qubits, matrix(name.slice(1), angle), on[1], on[0]);  // C...
  }

  function rest(neuron) {
    const memory = new Float64Array(2 << neuron.circuit.memory);
    memory[0] = 1;
    return { memory, membrane: 0, spikes: [] };
  }

  // How many own spikes a drive remembers: K, or 1 to reset the whole membrane.
  const kept = (drive) => drive.reset_steps ?? 1;

  // What is encoded in this step, and the membrane after it.
  function integrate(neuron, state, current) {
    const { kind, beta, bias, floor, reset, reset_steps } = neuron.drive;
    if (kind !== "leaky") return { potential: current, membrane: 0 };
    const pull = state.spikes.reduce((sum, spike, k) => sum + reset[k] * spike, 0);
    const charge = beta * state.membrane + current + bias;
    if (reset_steps !== null) {
      const membrane = Math.max(charge, floor);
      return { potential: membrane - pull, membrane };
    }
    const membrane = Math.max(charge - pull, floor);
    return { potential: membrane, membrane };
  }

  // phi in radians.
  function angle(neuron, potential) {
    const most = neuron.drive.kind === "rectified" ? Infinity : 1;
    return Math.PI * Math.min(Math.max(potential, 0), most);
  }

  // Both outcomes of a step: their probabilities, and the memory, not normalised, that each leaves.
  function outcomes(neuron, state, current) {
    const { circuit, angles, gains } = neuron, qubits = 1 + circuit.memory, size = 1 << circuit.memory;
    const { potential, membrane } = integrate(neuron, state, current);
    const register = new Float64Array(4 * size);
    register.set(state.memory);
    const phi = angle(neuron, potential);
    for (const [qubit, gain, parameter] of circuit.encoding) {
      applyGate(register, qubits, "RX", [qubit], phi * (parameter === null ? gain : gains[parameter]));
    }
    for (const [name, on, parameter] of circuit.gates) {
      applyGate(register, qubits, name, on, parameter === null ? 0 : angles[parameter]);
    }
    const left = [register.slice(0, 2 * size), register.slice(2 * size)];
    const weights = left.map((half) => half.reduce((sum, x) => sum + x * x, 0));
    const total = weights[0] + weights[1];
    return { potential, membrane, phi, left, weights, chance: weights.map((w) => w / total) };
  }

  function collapse(neuron, state, found, spike) {
    const norm = Math.sqrt(found.weights[spike]);
    return {
      memory: found.left[spike].map((x) => x / norm),
      membrane: found.membrane,
      spikes: [spike, ...state.spikes].slice(0, kept(neuron.drive)),
    };
  }

  // One step; a uniform number from [0, 1) draws the outcome.
  function step(neuron, state, current, uniform) {
    const found = outcomes(neuron, state, current);
    const spike = uniform < found.chance[1] ? 1 : 0;
    return { spike, current, found, state: collapse(neuron, state, found, spike) };
  }

  // The exact law of all spike sequences, the first step most significant.
  function law(neuron, currents) {
    let branches = [{ state: rest(neuron), chance: 1 }];
    for (const current of currents) {
      branches = branches.flatMap(({ state, chance }) => {
        const found = outcomes(neuron, state, current);
        return [0, 1].map((spike) => ({
          state: found.weights[spike] > 0 ? collapse(neuron, state, found, spike) : state,
          chance: chance * found.chance[spike],
        }));
      });
    }
    return branches.map((branch) => branch.chance);
  }

  // x, y and z of one memory qubit, counted from 0, times the squared norm of the state; shorter
  // than that where the qubit is entangled.
  function bloch(memory, qubits, which) {
    const bit = 1 << (qubits - 1 - which);
    let [x, y, z] = [0, 0, 0];
    for (let a = 0; a < 1 << qubits; a++) {
      if (a & bit) continue;
      const b = a | bit;
      const [ar, ai, br, bi] = [memory[2 * a], memory[2 * a + 1], memory[2 * b], memory[2 * b + 1]];
      x += 2 * (ar * br + ai * bi);
      y += 2 * (ar * bi - ai * br);
      z += ar * ar + ai * ai - br * br - bi * bi;
    }
    return [x, y, z];
  }

  // Uniform numbers from a seed (Mulberry32).
  function uniforms(seed) {
    let a = seed >>> 0;
    return () => {
      a = (a + 0x6d2b79f5) >>> 0;
      let t = Math.imul(a ^ (a >>> 15), a | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  }

  return { rest, step, law, bloch, uniforms };
})();
