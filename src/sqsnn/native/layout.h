// What lies where while a pass runs: sizes, the parameters of a vector of neurons, and the frame
// that a step leaves for the way back.
#pragma once

#include "kernel.h"
#include "vec.h"

namespace {

constexpr int MAX_CHANNELS = 4, MAX_OUTCOMES = 16;

// The sizes that follow from a circuit and a drive.
struct Sizes {
    int channels, outcomes, amplitudes, memory, half, rotations, parameters, gains, last;
    bool is_complex;
    Sizes(const Circuit& circuit, const Pass& pass)
        : channels(circuit.channels),
          outcomes(1 << circuit.channels),
          amplitudes((1 << (circuit.channels + circuit.memory_qubits)) << circuit.is_complex),
          memory((1 << circuit.memory_qubits) << circuit.is_complex),
          half(1 << circuit.memory_qubits),
          rotations(circuit.rotations),
          parameters(circuit.parameters),
          gains(circuit.gains),
          last(pass.drive != LEAKY    ? 0
               : pass.reset_steps < 0 ? 1
                                      : pass.reset_steps),
          is_complex(circuit.is_complex != 0) {}
};

// The parameters of the neurons of one vector, and their gradients.
template <class F>
struct Neurons {
    Vec<F>*cosine, *sine, *gain, *beta, *reset, *bias;
    Vec<F>*d_angle, *d_gain, *d_beta, *d_reset, *d_bias;
    static int64_t size(const Sizes& z) {
        return 3 * z.parameters + 2 * z.gains + z.channels * (4 + 2 * z.last);
    }
    Neurons(Vec<F>* at, const Sizes& z) {
        const int all = z.last * z.channels;
        cosine = at, sine = cosine + z.parameters, gain = sine + z.parameters;
        beta = gain + z.gains, reset = beta + z.channels, bias = reset + all;
        d_angle = bias + z.channels, d_gain = d_angle + z.parameters;
        d_beta = d_gain + z.gains, d_reset = d_beta + z.channels, d_bias = d_reset + all;
    }
};

// What a step leaves for the way back; S numbers per entry.
template <class F>
struct Frame {
    Vec<F>*psi, *potential, *membrane, *turn, *cosine, *sine;
    static int64_t size(const Sizes& z) { return z.amplitudes + 3 * z.channels + 2 * z.rotations; }
    Frame(Vec<F>* at, const Sizes& z, int S) {
        psi = at, potential = psi + z.amplitudes * S, membrane = potential + z.channels * S;
        turn = membrane + z.channels * S, cosine = turn + z.channels * S;
        sine = cosine + z.rotations * S;
    }
};

}  // namespace
