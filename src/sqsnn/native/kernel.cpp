// Cuts a pass into tasks by its shape alone, and runs them: the interface that Python calls.
#include <memory>
#include <new>

#include "back.h"

namespace {

// Vectors and samples of a task.
constexpr int64_t GROUP = 32, CHUNK = 64;

inline int64_t ceil_of(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Scratch memory, aligned and not filled.
template <class T>
struct Scratch {
    explicit Scratch(int64_t size)
        : data(static_cast<T*>(::operator new(sizeof(T) * (size_t)(size > 0 ? size : 1), ALIGN))) {}
    ~Scratch() { ::operator delete(data, ALIGN); }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    T* data;
    static constexpr std::align_val_t ALIGN{64};
};

template <class F>
void load_rows(Vec<F>* to, const void* from, int rows, int64_t stride, int64_t h, int lanes) {
    for (int row = 0; row < rows; row++)
        to[row] = load(static_cast<const F*>(from) + row * stride + h, lanes);
}
template <class F>
void store_rows(void* to, const Vec<F>* from, int rows, int64_t stride, int64_t h, int lanes) {
    for (int row = 0; row < rows; row++)
        store(static_cast<F*>(to) + row * stride + h, from[row], lanes);
}

// One task: a group of vectors and a chunk of the batch.
template <class F, class Z>
struct Task {
    const Circuit& circuit;
    const Pass& pass;
    const Z z;
    const bool backward;
    void run(int64_t index) const {
        const int64_t vectors = ceil_of(pass.neurons, LANES<F>), groups = ceil_of(vectors, GROUP);
        const int64_t chunk = index / groups, first = index % groups * GROUP;
        const int64_t last = first + GROUP < vectors ? first + GROUP : vectors;
        const int64_t own = Neurons<F>::count(z);
        const Scratch<Vec<F>> parameters(own * (last - first));
        const auto neurons = [&](int64_t v) {
            return Neurons<F>(parameters.data + own * (v - first), z);
        };
        for (int64_t k = 0; k < own * (last - first); k++) parameters.data[k] = Vec<F>{};
        for (int64_t v = first; v < last; v++) {
            each_row(v, chunk, neurons(v), false);
            if constexpr (Z::small) Matrix<F, Z>{neurons(v)}.build(circuit);
        }
        const int64_t until = (chunk + 1) * CHUNK < pass.batch ? (chunk + 1) * CHUNK : pass.batch;
        // As many samples at once as the registers or the first cache hold with their gradients.
        const int64_t from = chunk * CHUNK;
        if constexpr (Z::small)
            blocks < Z::amplitudes<SMALL ? 4 : 2>(parameters.data, first, last, from, until);
        else if (z.amplitudes <= 64) blocks<4>(parameters.data, first, last, from, until);
        else if (z.amplitudes <= 128) blocks<2>(parameters.data, first, last, from, until);
        else blocks<1>(parameters.data, first, last, from, until);
        if (!backward) return;
        for (int64_t v = first; v < last; v++) {
            if constexpr (Z::small) Matrix<F, Z>{neurons(v)}.finish(circuit);
            each_row(v, chunk, neurons(v), true);
        }
    }

    // Load the parameters of a vector of neurons, or store their gradients.
    void each_row(int64_t v, int64_t chunk, const Neurons<F>& at, bool gradients) const {
        const int64_t h = v * LANES<F>, left = pass.neurons - h, stride = pass.neurons;
        const int lanes = (int)(left < LANES<F> ? left : LANES<F>), resets = z.last * z.channels;
        const int leaky = pass.drive == LEAKY ? z.channels : 0;
        if (!gradients) {
            load_rows<F>(at.cosine, pass.cosines, z.parameters, stride, h, lanes);
            load_rows<F>(at.sine, pass.sines, z.parameters, stride, h, lanes);
            load_rows<F>(at.gain, pass.gains, z.gains, stride, h, lanes);
            load_rows<F>(at.beta, pass.beta, leaky, stride, h, lanes);
            load_rows<F>(at.reset, pass.reset, resets, stride, h, lanes);
            load_rows<F>(at.bias, pass.bias, leaky, stride, h, lanes);
            return;
        }
        for (int k = 0; k < z.parameters; k++) at.d_angle[k] *= (F)0.5;
        const auto place = [&](int rows) { return h + chunk * rows * stride; };
        store_rows<F>(pass.d_angles, at.d_angle, z.parameters, stride, place(z.parameters), lanes);
        store_rows<F>(pass.d_gains, at.d_gain, z.gains, stride, place(z.gains), lanes);
        store_rows<F>(pass.d_beta, at.d_beta, leaky, stride, place(leaky), lanes);
        store_rows<F>(pass.d_reset, at.d_reset, resets, stride, place(resets), lanes);
        store_rows<F>(pass.d_bias, at.d_bias, leaky, stride, place(leaky), lanes);
    }

    template <int S>
    void blocks(Vec<F>* parameters, int64_t first, int64_t last, int64_t b, int64_t until) const {
        const int64_t state = (z.memory + z.channels * (1 + z.last)) * S,
                      size = Frame<F>::count(z) * S;
        const int64_t frames = backward ? pass.steps * (last - first) : 1;
        const Scratch<Vec<F>> states(2 * state * (last - first)), kept(size * frames);
        const Scratch<Vec<F>> free(Back<F, S, Z>::scratch(z) * S);
        for (; b < until; b += S) {
            if constexpr (S > 1)
                if (b + S > until) return blocks<1>(parameters, first, last, b, until);
            // Steps outside, vectors inside: rows are read and written in the order of memory.
            const auto each = [&](auto call) {
                for (int64_t v = first; v < last; v++) {
                    const Neurons<F> neurons(parameters + Neurons<F>::count(z) * (v - first), z);
                    const int64_t h = v * LANES<F>, left = pass.neurons - h;
                    const int lanes = (int)(left < LANES<F> ? left : LANES<F>);
                    Vec<F>*at = states.data + 2 * state * (v - first), *by = at + state;
                    const int m = z.memory * S, c = z.channels * S;
                    const Block<F, S, Z> block{circuit, pass,  z,  neurons, h,
                                               b,       lanes, at, at + m,  at + m + c};
                    Back<F, S, Z> both(block, by, by + m, by + m + c);
                    call(both, v - first);
                }
            };
            const auto frame = [&](int64_t v, int64_t t) {
                return Frame<F>(kept.data + (v * pass.steps + t) * size, z, S);
            };
            each([&](auto& block, int64_t) { block.begin(); });
            if (!backward) {
                const Frame<F> only(kept.data, z, S);
                for (int64_t t = 0; t < pass.steps; t++)
                    each([&](auto& block, int64_t) { block.step(t, only); });
                each([&](auto& block, int64_t) { block.end(); });
                continue;
            }
            for (int64_t t = 0; t < pass.steps; t++)
                each([&](auto& block, int64_t v) { block.replay(t, frame(v, t)); });
            each([&](auto& block, int64_t) { block.begin_back(); });
            for (int64_t t = pass.steps - 1; t >= 0; t--)
                each([&](auto& block, int64_t v) {
                    block.back(t, frame(v, t), frame(v, t > 0 ? t - 1 : 0), free.data);
                });
            each([&](auto& block, int64_t) { block.end_back(); });
        }
    }
};

// Run some tasks of a circuit whose size the compiler knows, where it is small.
template <class F>
void run(const Circuit& circuit, const Pass& pass, int64_t first, int64_t last, bool backward) {
    const auto with = [&](auto sizes) {
        const Task<F, decltype(sizes)> task{circuit, pass, sizes, backward};
        for (int64_t index = first; index < last; index++) task.run(index);
    };
    const int n = circuit.channels, m = circuit.memory_qubits;
    if (!circuit.is_complex) {
        if (n == 1 && m == 0) return with(Small<1, 0, 1>(circuit, pass));
        if (n == 1 && m == 1) return with(Small<1, 1, 1>(circuit, pass));
        if (n == 1 && m == 2) return with(Small<1, 2, 1>(circuit, pass));
        if (n == 2 && m == 0) return with(Small<2, 0, 1>(circuit, pass));
        if (n == 2 && m == 1) return with(Small<2, 1, 1>(circuit, pass));
    } else {
        if (n == 1 && m == 0) return with(Small<1, 0, 2>(circuit, pass));
        if (n == 1 && m == 1) return with(Small<1, 1, 2>(circuit, pass));
    }
    with(Sizes(circuit, pass));
}

}  // namespace

extern "C" {

// The number of tasks of a pass; any split of 0..tasks among threads gives the same bits.
EXPORT int64_t sqsnn_tasks(const Pass* pass, int32_t is_double) {
    const int64_t lanes = is_double ? LANES<double> : LANES<float>;
    return ceil_of(ceil_of(pass->neurons, lanes), GROUP) * ceil_of(pass->batch, CHUNK);
}

// Run some tasks; 0, or -1 where memory runs out.
EXPORT int32_t sqsnn_run(const Circuit* circuit, const Pass* pass, int64_t first, int64_t last,
                         int32_t backward, int32_t is_double) {
    try {
        if (is_double) run<double>(*circuit, *pass, first, last, backward);
        else run<float>(*circuit, *pass, first, last, backward);
    } catch (const std::bad_alloc&) {
        return -1;
    }
    return 0;
}

// The version of the interface; 0 where the structures of the caller have other sizes.
EXPORT int32_t sqsnn_interface(const int64_t* sizes) {
    const int64_t own[] = {sizeof(Op), sizeof(Rotation), sizeof(Circuit), sizeof(Pass)};
    for (int k = 0; k < 4; k++)
        if (sizes[k] != own[k]) return 0;
    return INTERFACE;
}
}
