// What Python and the kernel of leaky membranes say to each other; `native/library.py` mirrors it.
//
// Arrays are contiguous, the H N membranes of a population's neurons and channels last.
#pragma once

#include "kernel.h"

struct Membranes {
    int64_t steps, batch, membranes;  // T, B, H N
    int32_t is_noisy;                 // spikes are drawn, p = sigmoid((u - threshold) / tau)
    int32_t sigmoid;                  // surrogate p (1 - p) of spikes that reset, else 1
    int32_t through_reset;            // own spikes pass their gradient to the membrane they reset
    int32_t padding;
    double floor;  // -infinity where there is none
    double tau;
    double largest_gradient;  // by the spikes that reset
    int64_t g_probability_stride[3];  // by t, b and membrane, 0 or 1: sums come as one number
    // in
    const void* currents;          // (T, B, H N)
    const void* uniforms;          // (T, B, H N), or null
    const void* observed;          // (T, B, H N), or null
    const void* beta;              // (T, H N), so that a clamp may weigh the gradient of a step
    const void *threshold, *bias;  // (H N)
    const void *membrane, *last;   // (B, H N); null: at rest
    // out of the forward pass; probabilities and spikes, whatever they are, are inputs of the
    // backward pass
    void* probability;              // (T, B, H N)
    void *spikes, *log_likelihood;  // (T, B, H N); of noisy neurons, spikes where they are drawn
    void *membrane_after, *last_after;  // (B, H N)
    // gradients in, null where there are none
    const void *g_probability, *g_log_likelihood, *g_membrane, *g_last;
    // gradients out; those of parameters per chunk of the batch, to be added in order
    void* d_currents;
    void* d_beta;                // (chunks, T, H N)
    void *d_threshold, *d_bias;  // (chunks, H N)
    void *d_membrane, *d_last;   // or null
};
