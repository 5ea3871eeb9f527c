// What lies where while a pass runs: sizes, the parameters of a vector of neurons, and the frame
// that a step leaves for the way back.
//
// Amplitudes are those of the real frame of `quantum/gates.py`: the encoding is real there, so that
// the real and the imaginary parts of a complex register are two planes that it treats alike.
#pragma once

#include "kernel.h"
#include "vec.h"

namespace {

constexpr int MAX_CHANNELS = 4, MAX_OUTCOMES = 16;
// Registers up to this size are read as constants by the compiler, and their circuit as a matrix.
constexpr int SMALL = 8;

// The sizes that follow from a circuit and a drive.
struct Sizes {
    static constexpr bool small = false, is_sign = false;
    int channels, planes, outcomes, half, size, memory, amplitudes;
    int rotations, parameters, gains, last;
    Sizes(const Circuit& circuit, const Pass& pass)
        : channels(circuit.channels),
          planes(1 + circuit.is_complex),
          outcomes(1 << channels),
          half(1 << circuit.memory_qubits),
          size(outcomes * half),
          memory(half * planes),
          amplitudes(size * planes),
          rotations(circuit.rotations),
          parameters(circuit.parameters),
          gains(circuit.gains),
          last(pass.drive != LEAKY    ? 0
               : pass.reset_steps < 0 ? 1
                                      : pass.reset_steps) {}
    int matrix() const { return 0; }
};

// The same, most of them known to the compiler.
template <int N, int M, int PLANES>
struct Small : Sizes {
    static constexpr bool small = true;
    static constexpr int channels = N, planes = PLANES, outcomes = 1 << N, half = 1 << M,
                         size = outcomes * half, memory = half * planes, amplitudes = size * planes;
    // Without memory qubits, the memory of a real circuit is a sign.
    static constexpr bool is_sign = memory == 1;
    static_assert(amplitudes <= SMALL, "the matrix would be too large");
    using Sizes::Sizes;
    // Numbers of V: a row per real amplitude, a column per amplitude.
    static constexpr int matrix() { return amplitudes * size; }
};

// The parameters of the neurons of one vector, and their gradients.
template <class F>
struct Neurons {
    Vec<F>*cosine, *sine, *gain, *beta, *reset, *bias, *matrix;
    Vec<F>*d_angle, *d_gain, *d_beta, *d_reset, *d_bias, *d_matrix;
    template <class Z>
    static int64_t count(const Z& z) {
        return 3 * z.parameters + 2 * z.gains + z.channels * (4 + 2 * z.last) + 2 * z.matrix();
    }
    template <class Z>
    Neurons(Vec<F>* at, const Z& z) {
        const int all = z.last * z.channels;
        cosine = at, sine = cosine + z.parameters, gain = sine + z.parameters;
        beta = gain + z.gains, reset = beta + z.channels, bias = reset + all;
        matrix = bias + z.channels;
        d_angle = matrix + z.matrix(), d_gain = d_angle + z.parameters;
        d_beta = d_gain + z.gains, d_reset = d_beta + z.channels, d_bias = d_reset + all;
        d_matrix = d_bias + z.channels;
    }
};

// What a step leaves for the way back; S numbers per entry.
template <class F>
struct Frame {
    Vec<F>*psi, *memory, *inverse, *potential, *membrane, *cosine, *sine;
    template <class Z>
    static int64_t count(const Z& z) {
        return z.amplitudes + z.memory + 1 + 2 * z.channels + 2 * z.rotations;
    }
    template <class Z>
    Frame(Vec<F>* at, const Z& z, int S) {
        psi = at, memory = psi + z.amplitudes * S, inverse = memory + z.memory * S;
        potential = inverse + S, membrane = potential + z.channels * S;
        cosine = membrane + z.channels * S, sine = cosine + z.rotations * S;
    }
};

}  // namespace
