// Uniform random numbers as torch.rand draws them on CPUs, from the state of its generator: the
// Mersenne twister of Matsumoto and Nishimura (1998), a whole state at a time.
#include <cstring>

#include "kernel.h"

namespace {

constexpr int WORDS = 624, MIDDLE = 397;

// torch's state: the seed (8 bytes), numbers left, whether seeded, the next word, and the words.
struct Twister {
    int64_t seed;
    int32_t left, seeded;
    uint64_t next;
    uint64_t words[WORDS];
};

uint32_t mix(uint32_t high, uint32_t low, uint32_t far) {
    const uint32_t y = (high & 0x80000000u) | (low & 0x7fffffffu);
    return far ^ (y >> 1) ^ (low & 1 ? 0x9908b0dfu : 0u);
}

void twist(uint32_t* w) {
    for (int k = 0; k < WORDS - MIDDLE; k++) w[k] = mix(w[k], w[k + 1], w[k + MIDDLE]);
    for (int k = WORDS - MIDDLE; k < WORDS - 1; k++)
        w[k] = mix(w[k], w[k + 1], w[k + MIDDLE - WORDS]);
    w[WORDS - 1] = mix(w[WORDS - 1], w[0], w[MIDDLE - 1]);
}

void temper(const uint32_t* w, uint32_t* out) {
    for (int k = 0; k < WORDS; k++) {
        uint32_t y = w[k];
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c5680u;
        y ^= (y << 15) & 0xefc60000u;
        out[k] = y ^ (y >> 18);
    }
}

struct Stream {
    explicit Stream(Twister* from) : state(from) {
        for (int k = 0; k < WORDS; k++) words[k] = (uint32_t)state->words[k];
        temper(words, tempered);
        at = state->left <= 1 ? WORDS : (int)state->next;
    }
    ~Stream() {
        for (int k = 0; k < WORDS; k++) state->words[k] = words[k];
        state->next = (uint64_t)at;
        state->left = WORDS - at + 1;
    }
    // The next numbers that are at hand, at most `wanted`.
    const uint32_t* take(int64_t wanted, int64_t& count) {
        if (at == WORDS) {
            twist(words);
            temper(words, tempered);
            at = 0;
        }
        count = WORDS - at < wanted ? WORDS - at : wanted;
        const uint32_t* found = tempered + at;
        at += (int)count;
        return found;
    }
    Twister* state;
    uint32_t words[WORDS], tempered[WORDS];
    int at;
};

void fill(Stream& stream, float* out, int64_t size) {
    for (int64_t count; size > 0; out += count, size -= count) {
        const uint32_t* from = stream.take(size, count);
        for (int64_t k = 0; k < count; k++)
            out[k] = (float)(int32_t)(from[k] & 0xffffffu) * 0x1p-24f;
    }
}

void fill(Stream& stream, double* out, int64_t size) {
    for (int64_t k = 0; k < size; k++) {
        int64_t one;
        const uint64_t high = *stream.take(1, one), low = *stream.take(1, one);
        out[k] = (double)(int64_t)((high << 32 | low) & 0x1fffffffffffffu) * 0x1p-53;
    }
}

}  // namespace

// Fill arrays step by step: of each step, `sizes[k]` numbers into each of `count` arrays in turn.
// `state` is what torch.Generator.get_state gives; it moves on.
extern "C" EXPORT void sqsnn_uniforms(void* state, int64_t steps, int64_t count,
                                      void* const* arrays, const int64_t* sizes,
                                      int32_t is_double) {
    Twister twister;
    std::memcpy(&twister, state, sizeof twister);
    {
        Stream stream(&twister);
        for (int64_t t = 0; t < steps; t++)
            for (int64_t k = 0; k < count; k++) {
                if (is_double)
                    fill(stream, static_cast<double*>(arrays[k]) + t * sizes[k], sizes[k]);
                else fill(stream, static_cast<float*>(arrays[k]) + t * sizes[k], sizes[k]);
            }
    }
    std::memcpy(state, &twister, sizeof twister);
}
