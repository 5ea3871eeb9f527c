// T steps of leaky membranes forward, and their gradients; `membranes.h` says what goes in and out,
// `neurons/leaky.py` what the neurons are.
//
//     u_t = max(beta u_{t-1} + z_t + b - threshold s_{t-1}, floor),   x = u - threshold
//     LIF: p = [x > 0];   StochasticLIF: p = sigmoid(x / tau),   log p(s) = log sigmoid(+-x / tau)
//
// The way back runs the membranes once more; spikes and probabilities it reads.
#include "membranes.h"

#include <memory>
#include <new>

#include "vec.h"

namespace {

// Vectors and samples of a task.
constexpr int GROUP = 64;
constexpr int64_t CHUNK = 64;

inline int64_t ceil_of(int64_t a, int64_t b) { return (a + b - 1) / b; }

// log(1 + e) of 0 <= e <= 1: 2 atanh(e / (2 + e)), also where 1 + e rounds to 1.
template <class F>
inline Vec<F> logarithm_of_one_plus(Vec<F> e) {
    const Vec<F> s = e / (e + (F)2), square = s * s;
    constexpr int terms = sizeof(F) == 4 ? 7 : 17;
    Vec<F> sum = all<F>((F)(2.0 / (2 * terms - 1)));
    for (int n = terms - 2; n >= 0; n--) sum = fma(sum, square, all<F>((F)(2.0 / (2 * n + 1))));
    return sum * s;
}

// One task: a group of vectors and a chunk of the batch.
template <class F, bool NOISY>
struct Task {
    using V = Vec<F>;
    const Membranes& pass;
    int64_t chunk, from;  // the first membrane
    int full, left;       // whole vectors, and the lanes of the last one
    V threshold[GROUP], bias[GROUP], u[GROUP], last[GROUP];

    Task(const Membranes& p, int64_t index) : pass(p) {
        const int64_t groups = ceil_of(pass.membranes, GROUP * LANES<F>);
        chunk = index / groups, from = index % groups * GROUP * LANES<F>;
        const int64_t rest = pass.membranes - from;
        full = rest < GROUP * LANES<F> ? (int)(rest / LANES<F>) : GROUP;
        left = full < GROUP ? (int)(rest % LANES<F>) : 0;
        each([&](int k, int lanes) {
            threshold[k] = get(pass.threshold, 0, k, lanes);
            bias[k] = get(pass.bias, 0, k, lanes);
        });
    }

    // Call with every vector and its lanes, a constant for all but the last.
    template <class Call>
    void each(Call call) const {
        for (int k = 0; k < full; k++) call(k, LANES<F>);
        if (left) call(full, left);
    }
    V get(const void* rows, int64_t row, int k, int lanes) const {
        return load(static_cast<const F*>(rows) + row * pass.membranes + from + k * LANES<F>,
                    lanes);
    }
    V get_or_zero(const void* rows, int64_t row, int k, int lanes) const {
        return rows ? get(rows, row, k, lanes) : V{};
    }
    void put(void* rows, int64_t row, int k, int lanes, V value) const {
        store(static_cast<F*>(rows) + row * pass.membranes + from + k * LANES<F>, value, lanes);
    }

    V by_probability(int64_t t, int64_t b, int k, int lanes) const {
        if (!pass.g_probability) return V{};
        const int64_t* stride = pass.g_probability_stride;
        const F* at = static_cast<const F*>(pass.g_probability) + t * stride[0] + b * stride[1];
        return stride[2] ? load(at + from + k * LANES<F>, lanes) : all<F>(*at);
    }

    void begin(int64_t b) {
        each([&](int k, int lanes) {
            u[k] = get_or_zero(pass.membrane, b, k, lanes);
            last[k] = get_or_zero(pass.last, b, k, lanes);
        });
    }

    // Not fused: rounded as torch rounds it, so that LIF fires just as it does through torch.
    V charged(int64_t t, int64_t b, int k, int lanes) const {
        const V current = get(pass.currents, t * pass.batch + b, k, lanes);
        const V charge =
            (get(pass.beta, t, k, lanes) * u[k] + (current + bias[k])) - threshold[k] * last[k];
        return at_least(charge, (F)pass.floor);
    }

    template <class Call>
    void samples(Call call) const {
        const int64_t until = (chunk + 1) * CHUNK;
        for (int64_t b = chunk * CHUNK; b < pass.batch && b < until; b++) call(b);
    }

    void forward() {
        samples([&](int64_t b) {
            begin(b);
            for (int64_t t = 0; t < pass.steps; t++)
                each([&](int k, int lanes) { step(t, b, k, lanes); });
            each([&](int k, int lanes) {
                put(pass.membrane_after, b, k, lanes, u[k]);
                put(pass.last_after, b, k, lanes, last[k]);
            });
        });
    }

    void step(int64_t t, int64_t b, int k, int lanes) {
        const int64_t row = t * pass.batch + b;
        const V one = all<F>((F)1);
        u[k] = charged(t, b, k, lanes);
        const V excess = u[k] - threshold[k];
        if constexpr (!NOISY) {
            const V fires = pick<F>(excess > V{}, one, V{});
            put(pass.probability, row, k, lanes, fires);
            last[k] = pass.observed ? get(pass.observed, row, k, lanes) : fires;
        } else {
            const V x = excess * (F)(1 / pass.tau), below = pick<F>(x < V{}, x, -x);
            const V e = exponential<F>(below), high = one / (one + e);
            const V p = pick<F>(x < V{}, e * high, high);
            put(pass.probability, row, k, lanes, p);
            if (pass.observed) last[k] = get(pass.observed, row, k, lanes);
            else {
                last[k] = pick<F>(get(pass.uniforms, row, k, lanes) < p, one, V{});
                put(pass.spikes, row, k, lanes, last[k]);
            }
            const V with = pick<F>(last[k] > V{}, x, -x);
            put(pass.log_likelihood, row, k, lanes,
                at_most(with, (F)0) - logarithm_of_one_plus<F>(e));
        }
    }

    void backward() {
        V g_u[GROUP], g_last[GROUP], d_threshold[GROUP] = {}, d_bias[GROUP] = {};
        const size_t size = (size_t)(pass.steps * GROUP);
        // The membranes before the first step and after every step.
        const std::unique_ptr<V[]> kept(new V[size + GROUP]), d_beta(new V[size]());
        const F pi = (F)3.141592653589793;
        samples([&](int64_t b) {
            begin(b);
            for (int k = 0; k < GROUP; k++) kept[k] = u[k];
            for (int64_t t = 0; t < pass.steps; t++)
                each([&](int k, int lanes) {
                    u[k] = charged(t, b, k, lanes);
                    last[k] = get(pass.spikes, t * pass.batch + b, k, lanes);
                    kept[(t + 1) * GROUP + k] = u[k];
                });
            each([&](int k, int lanes) {
                g_u[k] = get_or_zero(pass.g_membrane, b, k, lanes);
                g_last[k] = get_or_zero(pass.g_last, b, k, lanes);
            });
            for (int64_t t = pass.steps - 1; t >= 0; t--)
                each([&](int k, int lanes) {
                    const int64_t row = t * pass.batch + b;
                    const V p = get(pass.probability, row, k, lanes), slope = p * ((F)1 - p);
                    V by_p = by_probability(t, b, k, lanes);
                    if (pass.through_reset) {
                        const V held = within<F>(g_last[k], (F)pass.largest_gradient);
                        by_p += pass.sigmoid ? held * slope : held;
                    }
                    const V here = kept[(t + 1) * GROUP + k], before = kept[t * GROUP + k];
                    V by_excess;
                    if constexpr (NOISY) {
                        by_excess = by_p * slope;
                        if (pass.g_log_likelihood)
                            by_excess = fma(get(pass.g_log_likelihood, row, k, lanes),
                                            get(pass.spikes, row, k, lanes) - p, by_excess);
                        by_excess *= (F)(1 / pass.tau);
                    } else {
                        const V x = (here - threshold[k]) * pi;
                        by_excess = by_p / fma(x, x, all<F>((F)1));
                    }
                    V by_charge = g_u[k] + by_excess;
                    by_charge =
                        pick<F>(here > all<F>((F)pass.floor), by_charge, by_charge * (F)0.3);
                    put(pass.d_currents, row, k, lanes, by_charge);
                    const V earlier = t > 0 ? get(pass.spikes, row - pass.batch, k, lanes)
                                            : get_or_zero(pass.last, b, k, lanes);
                    d_bias[k] += by_charge;
                    V& by_beta = d_beta[t * GROUP + k];
                    by_beta = fma(by_charge, before, by_beta);
                    d_threshold[k] -= fma(by_charge, earlier, by_excess);
                    g_u[k] = get(pass.beta, t, k, lanes) * by_charge;
                    g_last[k] = -threshold[k] * by_charge;
                });
            each([&](int k, int lanes) {
                if (pass.d_membrane) put(pass.d_membrane, b, k, lanes, g_u[k]);
                if (pass.d_last) put(pass.d_last, b, k, lanes, g_last[k]);
            });
        });
        for (int64_t t = 0; t < pass.steps; t++)
            each([&](int k, int lanes) {
                put(pass.d_beta, chunk * pass.steps + t, k, lanes, d_beta[t * GROUP + k]);
            });
        each([&](int k, int lanes) {
            put(pass.d_threshold, chunk, k, lanes, d_threshold[k]);
            put(pass.d_bias, chunk, k, lanes, d_bias[k]);
        });
    }
};

template <class F>
void run(const Membranes& pass, int64_t task, bool backward) {
    const auto way = [&](auto&& work) { backward ? work.backward() : work.forward(); };
    if (pass.is_noisy) way(Task<F, true>(pass, task));
    else way(Task<F, false>(pass, task));
}

}  // namespace

extern "C" {

// The number of tasks of a pass; any split of 0..tasks among threads gives the same bits.
EXPORT int64_t sqsnn_membrane_tasks(const Membranes* pass, int32_t is_double) {
    const int64_t lanes = is_double ? LANES<double> : LANES<float>;
    return ceil_of(pass->membranes, lanes * GROUP) * ceil_of(pass->batch, CHUNK);
}

// Run some tasks; 0, or -1 where memory runs out.
EXPORT int32_t sqsnn_membrane_run(const Membranes* pass, int64_t first, int64_t last,
                                  int32_t backward, int32_t is_double) {
    try {
        for (int64_t task = first; task < last; task++) {
            if (is_double) run<double>(*pass, task, backward);
            else run<float>(*pass, task, backward);
        }
    } catch (const std::bad_alloc&) {
        return -1;
    }
    return 0;
}

// The version of the interface; 0 where the structure of the caller has another size.
EXPORT int32_t sqsnn_membrane_interface(int64_t size) {
    return size == sizeof(Membranes) ? INTERFACE : 0;
}
}
