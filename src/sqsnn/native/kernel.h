// What Python and the kernel say to each other; `quantum/fused.py` mirrors these structures.
//
// Arrays are contiguous with neurons last, so that neighbouring neurons fill a vector. R is the
// number of real amplitudes of the register: 2**(N+M), twice as many where the circuit is complex,
// the real parts first.
#pragma once

#include <cstdint>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

constexpr int32_t INTERFACE = 3;  // changes with what stands below; as in library.py

// A part of a gate: what it does to one or two real amplitudes.
struct Op {
    int32_t kind;       // TURN, BLOCK or SCALE
    int32_t i, j;       // the amplitudes
    int32_t parameter;  // of TURN
    double a, b, c, d;  // of BLOCK, [[a, b], [c, d]]; a alone of SCALE
};
enum Kind : int32_t {
    TURN,  // [[cos, -sin], [sin, cos]] of half the angle
    BLOCK,
    SCALE,
};

// A rotation of the encoding: of channel n, the n-th rotation, or of a memory qubit.
struct Rotation {
    int32_t channel;  // whose angle turns it
    int32_t stride;   // of a memory qubit in the index of the memory; 0 for channel qubits
    int32_t trained;  // which trained gain; -1 where the gain is fixed
    int32_t padding;
    double gain;  // the fixed one
};

struct Circuit {
    int32_t channels, memory_qubits, is_complex;
    int32_t ops, rotations, parameters, gains, padding;
    const Op* op;
    const Rotation* rotation;
};

enum DriveKind : int32_t { RECTIFIED, SATURATING, LEAKY };

struct Pass {
    int64_t steps, batch, neurons;  // T, B, H
    int32_t drive;
    int32_t reset_steps;       // K of the leaky drive; -1 for the whole membrane
    int32_t exact;             // slopes outside the range of the encoding and below the floor are 0
    int32_t sigmoid;           // surrogate p (1 - p), else 1
    int32_t through_reset;     // own spikes pass their gradient to the membrane that they reset
    int32_t through_collapse;  // and to the memory that they collapse
    double floor;
    double largest_gradient;  // what a step passes on by its spikes, or what it has measured
    // in
    const void* currents;             // (N, T, B, H)
    const void* uniforms;             // (T, B, H), or null
    const void* observed;             // (N, T, B, H), or null
    const void *cosines, *sines;      // of half the gate angles, (P, H)
    const void* gains;                // (G, H)
    const void *beta, *reset, *bias;  // (N, H), (K, N, H), (N, H); K = 1 for the whole membrane
    // The state; null: at rest. The memory is complex, in the laboratory frame.
    const void *memory, *membrane, *last;  // (B, H, 2**M), (N, B, H), (K, N, B, H)
    // out of the forward pass; spikes are an input of the backward pass
    void *spikes, *probability;  // (N, T, B, H)
    void* log_likelihood;        // (T, B, H), or null
    void* history;               // the memory after every step, (T, B, H, 2**M), or null
    void *memory_after, *membrane_after, *last_after;
    // gradients in, null where there are none
    const void *g_spikes, *g_probability, *g_log_likelihood, *g_history;
    const void *g_memory, *g_membrane, *g_last;
    int64_t g_spikes_stride[4];  // by n, t, b and h, that of h 0 or 1: sums come as one number
    // gradients out; those of parameters per chunk of the batch, to be added in order
    void* d_currents;
    void *d_angles, *d_gains;              // (chunks, P, H), (chunks, G, H)
    void *d_beta, *d_reset, *d_bias;       // (chunks, ...)
    void *d_memory, *d_membrane, *d_last;  // or null
};
