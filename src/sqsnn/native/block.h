// T steps of the stochastic quantum spiking neuron forward; `kernel.h` says what goes in and out,
// `neurons/sqs.py` and `neurons/drive.py` what the neuron is.
//
//     x = u(phi) (x) R(phi) m,   psi = V x,   q_s = |psi_s|^2,   m' = psi_s / sqrt(q_s)
//
// A vector holds one number of as many neurons; a block holds S samples of it, which share V.
#pragma once

#include "gates.h"

namespace {

// One vector of neurons and S samples, at work.
template <class F, int S, class Z>
struct Block {
    using V = Vec<F>;
    const Circuit& circuit;
    const Pass& pass;
    const Z& z;
    const Neurons<F>& neurons;
    const int64_t h, b;
    const int lanes;
    V *memory, *membrane, *last;  // the state

    int64_t row(int64_t n, int64_t t, int s) const {
        return ((n * pass.steps + t) * pass.batch + b + s) * pass.neurons + h;
    }
    int64_t entry(int64_t n, int s) const { return (n * pass.batch + b + s) * pass.neurons + h; }
    V get(const void* from, int64_t at) const {
        return load(static_cast<const F*>(from) + at, lanes);
    }
    void put(void* to, int64_t at, V value) const { store(static_cast<F*>(to) + at, value, lanes); }

    void get_entries(V* to, const void* from, int rows) const {
        for (int n = 0; n < rows; n++)
            for (int s = 0; s < S; s++) to[n * S + s] = from ? get(from, entry(n, s)) : V{};
    }
    void put_entries(void* to, const V* from, int rows) const {
        if (!to) return;
        for (int n = 0; n < rows; n++)
            for (int s = 0; s < S; s++) put(to, entry(n, s), from[n * S + s]);
    }

    // In the laboratory frame an amplitude of the memory is (-i)^(ones in its index) times as
    // large: each of its parts stands in the real or the imaginary place, with a sign.
    struct Place {
        int index, part;
        F sign;
    };
    Place in_laboratory(int a) const {
        const int index = a % z.half;
        int quarter = a / z.half;  // -i turns it by -1, i by 1
        for (int bits = index; bits; bits >>= 1) quarter += 3 * (bits & 1);
        return {index, quarter & 1, (F)(quarter & 2 ? -1 : 1)};
    }
    int64_t laboratory(int64_t t, int s, int index) const {
        return (((t * pass.batch + b + s) * pass.neurons + h) * z.half + index) * 2;
    }

    // Complex amplitudes, (T, B, H, 2**M), of a step.
    void get_memory(V* to, const void* from, int64_t t) const {
        for (int a = 0; a < z.memory; a++) {
            const Place place = in_laboratory(a);
            for (int s = 0; s < S; s++) {
                const F* first =
                    static_cast<const F*>(from) + laboratory(t, s, place.index) + place.part;
                F row[LANES<F>] = {};
                for (int lane = 0; lane < lanes; lane++)
                    row[lane] = place.sign * first[2 * lane * z.half];
                to[a * S + s] = load(row, LANES<F>);
            }
        }
    }
    void put_memory(void* to, const V* from, int64_t t) const {
        if (!to) return;
        for (int a = 0; a < z.memory; a++) {
            const Place place = in_laboratory(a);
            for (int s = 0; s < S; s++) {
                F* first = static_cast<F*>(to) + laboratory(t, s, place.index);
                F row[LANES<F>];
                store(row, from[a * S + s], LANES<F>);
                for (int lane = 0; lane < lanes; lane++) {
                    F* amplitude = first + 2 * lane * z.half;
                    amplitude[place.part] = place.sign * row[lane];
                    if (z.planes == 1) amplitude[1 - place.part] = 0;
                }
            }
        }
    }

    void begin() {
        if (pass.memory) get_memory(memory, pass.memory, 0);
        else
            for (int a = 0; a < z.memory; a++)
                for (int s = 0; s < S; s++) memory[a * S + s] = all<F>((F)(a == 0));
        if (pass.drive != LEAKY) return;
        get_entries(membrane, pass.membrane, z.channels);
        get_entries(last, pass.last, z.last * z.channels);
    }

    // Integrate the currents and encode the potential.
    void drive(int64_t t, const Frame<F>& frame) {
        for (int n = 0; n < z.channels; n++) {
            V u[S];
            for (int s = 0; s < S; s++) u[s] = get(pass.currents, row(n, t, s));
            if (pass.drive == LEAKY) {
                V* v = membrane + n * S;
                for (int s = 0; s < S; s++)
                    u[s] = fma(neurons.beta[n], v[s], u[s] + neurons.bias[n]);
                if (pass.reset_steps < 0)
                    for (int s = 0; s < S; s++)
                        u[s] = fma(-neurons.reset[n], last[n * S + s], u[s]);
                for (int s = 0; s < S; s++)
                    frame.membrane[n * S + s] = v[s] = u[s] = at_least(u[s], (F)pass.floor);
                for (int k = 0; k < pass.reset_steps; k++)
                    for (int s = 0; s < S; s++)
                        u[s] = fma(-neurons.reset[k * z.channels + n],
                                   last[(k * z.channels + n) * S + s], u[s]);
            }
            for (int s = 0; s < S; s++) frame.potential[n * S + s] = u[s];
        }
        for (int e = 0; e < z.rotations; e++) {
            const V gain = gain_of(e), *u = frame.potential + circuit.rotation[e].channel * S;
            const bool whole = circuit.rotation[e].trained < 0 && circuit.rotation[e].gain == 1;
            for (int s = 0; s < S; s++) {
                const V turn = turn_of(u[s]);
                V turned = gain * turn;
                if (!whole)  // as exact as if the product were not rounded
                    turned = within_a_turn(within_a_turn(turned)) +
                             within_a_turn(fma(gain, turn, -turned));
                else if (pass.drive == RECTIFIED) turned = within_a_turn(turned);
                half_turns<F>(turned, frame.cosine[e * S + s], frame.sine[e * S + s]);
            }
        }
    }

    // cos and sin of pi/2 x repeat after 4; what is taken away is a whole number of them.
    static V within_a_turn(V x) {
        const V fours = fma(x, all<F>((F)0.25), all<F>(MAGIC<F>)) - all<F>(MAGIC<F>);
        return fma(fours, all<F>((F)-4), x);
    }

    // The angle of the encoding in units of pi.
    V turn_of(V potential) const {
        const V x = at_least(potential, (F)0);
        return pass.drive == RECTIFIED ? x : at_most(x, (F)1);
    }

    V gain_of(int e) const {
        const Rotation& rotation = circuit.rotation[e];
        return rotation.trained < 0 ? all<F>((F)rotation.gain) : neurons.gain[rotation.trained];
    }

    // Call with the places of the amplitudes that an encoding rotation of the memory turns.
    template <class Call>
    void pairs(int stride, Call call) const {
        for (int zero = 0; zero < z.memory; zero++)
            if (!(zero & stride)) call(zero, zero | stride);
    }

    // The rotations of the memory qubits, in place.
    void turn_memory(const Frame<F>& frame, V* m) const {
        for (int e = z.channels; e < z.rotations; e++)
            pairs(circuit.rotation[e].stride, [&](int i, int j) {
                for (int s = 0; s < S; s++)
                    turn(m[i * S + s], m[j * S + s], frame.cosine[e * S + s],
                         frame.sine[e * S + s]);
            });
    }

    // x from the turned memory: the channel qubits are encoded one after the other.
    void encode(const Frame<F>& frame, const V* m, V* x) const {
        for (int p = 0; p < z.planes; p++) {
            V* plane = x + p * z.size * S;
            for (int i = 0; i < z.half * S; i++) plane[i] = m[p * z.half * S + i];
            for (int n = z.channels - 1, size = z.half; n >= 0; n--, size *= 2) {
                const V *c = frame.cosine + n * S, *w = frame.sine + n * S;
                for (int a = 0; a < size; a++) {
                    V *zero = plane + a * S, *one = zero + size * S;
                    for (int s = 0; s < S; s++) one[s] = w[s] * zero[s], zero[s] = c[s] * zero[s];
                }
            }
        }
    }

    // From the memory before the step to psi.
    void evolve(const Frame<F>& frame) {
        turn_memory(frame, memory);
        if constexpr (Z::small) {
            V x[Z::amplitudes * S];
            encode(frame, memory, x);
            Matrix<F, Z>{neurons}.template apply<S>(x, frame.psi);
        } else {
            encode(frame, memory, frame.psi);
            Gates<F, S>{circuit, neurons}.apply(frame.psi);
        }
    }

    // Call with every amplitude of an outcome, and its place in the memory.
    template <class Call>
    void branch(int outcome, Call call) const {
        for (int p = 0; p < z.planes; p++)
            for (int a = 0; a < z.half; a++)
                call(p * z.size + outcome * z.half + a, p * z.half + a);
    }

    void weigh(const V* psi, V* weights) const {
        for (int o = 0; o < z.outcomes; o++) {
            V* q = weights + o * S;
            for (int s = 0; s < S; s++) q[s] = V{};
            branch(o, [&](int k, int) {
                for (int s = 0; s < S; s++) q[s] = fma(psi[k * S + s], psi[k * S + s], q[s]);
            });
        }
    }

    bool fires(int outcome, int n) const { return outcome >> (z.channels - 1 - n) & 1; }

    // The marginal probability of each channel; on / all = on + on (1 - all) to rounding, as all is
    // 1. Only so is it 1 to the bit where the other outcomes have no weight.
    void marginals(const V* weights, V* probability, V* scale) const {
        for (int s = 0; s < S; s++) {
            V sum = V{};  // added up as `draw` does
            for (int o = z.outcomes - 1; o >= 0; o--) sum += weights[o * S + s];
            scale[s] = all<F>((F)1) - sum;
        }
        for (int n = 0; n < z.channels; n++)
            for (int s = 0; s < S; s++) {
                V on = V{};
                for (int o = 0; o < z.outcomes; o++)
                    if (fires(o, n)) on += weights[o * S + s];
                probability[n * S + s] = at_most(fma(on, scale[s], on), (F)1);
            }
    }

    static Ints<F> is_possible(V weight) { return weight >= all<F>(SMALLEST<F>); }

    static V inverse_root(V weight) {
        return pick<F>(is_possible(weight), all<F>(1) / root(weight), V{});
    }

    // The branch of the outcome, not divided by its norm, and its weight.
    void select(const V* psi, const V* weights, const V* outcome, V* weight, V* after) const {
        for (int s = 0; s < S; s++) weight[s] = weights[s];
        branch(0, [&](int k, int a) {
            for (int s = 0; s < S; s++) after[a * S + s] = psi[k * S + s];
        });
        for (int o = 1; o < z.outcomes; o++) {
            Ints<F> chosen[S];
            for (int s = 0; s < S; s++) {
                chosen[s] = outcome[s] == all<F>((F)o);
                weight[s] = pick<F>(chosen[s], weights[o * S + s], weight[s]);
            }
            branch(o, [&](int k, int a) {
                for (int s = 0; s < S; s++)
                    after[a * S + s] = pick<F>(chosen[s], psi[k * S + s], after[a * S + s]);
            });
        }
    }

    // Divide the branch by its norm; an impossible event leaves 0.
    void collapse(const V* weight, V* inverse, V* after) const {
        if constexpr (Z::is_sign) {
            for (int s = 0; s < S; s++)
                after[s] = pick<F>(is_possible(weight[s]), sign_of<F>(after[s]), V{});
        } else {
            for (int s = 0; s < S; s++) inverse[s] = inverse_root(weight[s]);
            for (int a = 0; a < z.memory; a++)
                for (int s = 0; s < S; s++) after[a * S + s] *= inverse[s];
        }
    }

    void read_outcome(const void* spikes, int64_t t, V* outcome) const {
        for (int s = 0; s < S; s++) outcome[s] = V{};
        for (int n = 0; n < z.channels; n++)
            for (int s = 0; s < S; s++)
                outcome[s] = fma(outcome[s], all<F>((F)2), get(spikes, row(n, t, s)));
    }

    V bit(V outcome, int n) const {
        if (z.channels == 1) return outcome;
        V fired = V{};
        for (int o = 1; o < z.outcomes; o++)
            if (fires(o, n)) fired = pick<F>(outcome == all<F>((F)o), all<F>(1), fired);
        return fired;
    }

    void remember(const V* outcome) {
        if (z.last == 0) return;
        for (int k = z.last - 1; k > 0; k--)
            for (int i = 0; i < z.channels * S; i++)
                last[k * z.channels * S + i] = last[(k - 1) * z.channels * S + i];
        for (int n = 0; n < z.channels; n++)
            for (int s = 0; s < S; s++) last[n * S + s] = bit(outcome[s], n);
    }

    // One step forward.
    void step(int64_t t, const Frame<F>& frame) {
        V weights[MAX_OUTCOMES * S], probability[MAX_CHANNELS * S], scale[S];
        V outcome[S], weight[S], inverse[S];
        drive(t, frame);
        evolve(frame);
        weigh(frame.psi, weights);
        marginals(weights, probability, scale);
        if (pass.observed) read_outcome(pass.observed, t, outcome);
        else draw(t, weights, scale, outcome);
        select(frame.psi, weights, outcome, weight, memory);
        collapse(weight, inverse, memory);
        remember(outcome);
        put_memory(pass.history, memory, t);
        for (int n = 0; n < z.channels; n++)
            for (int s = 0; s < S; s++) {
                put(pass.spikes, row(n, t, s), bit(outcome[s], n));
                put(pass.probability, row(n, t, s), probability[n * S + s]);
            }
        if (!pass.log_likelihood) return;
        for (int s = 0; s < S; s++) {
            const V log = logarithm<F>(weight[s]), impossible = all<F>((F)-HUGE_VAL);
            put(pass.log_likelihood, row(0, t, s), pick<F>(is_possible(weight[s]), log, impossible));
        }
    }

    void end() {
        put_memory(pass.memory_after, memory, 0);
        if (pass.drive != LEAKY) return;
        put_entries(pass.membrane_after, membrane, z.channels);
        put_entries(pass.last_after, last, z.last * z.channels);
    }

    // By cumulative sums from the highest outcome downward; for one channel 1 iff u < p(1). A
    // number next to 0 draws no outcome that counts as impossible.
    void draw(int64_t t, const V* weights, const V* scale, V* outcome) const {
        for (int s = 0; s < S; s++) {
            const V uniform = at_least<F>(get(pass.uniforms, row(0, t, s)), 4 * SMALLEST<F>);
            V above = V{}, chosen = V{};
            for (int o = z.outcomes - 1; o > 0; o--) {
                above += weights[o * S + s];
                const V edge = at_most(fma(above, scale[s], above), (F)1);
                chosen += pick<F>(uniform < edge, all<F>(1), V{});
            }
            outcome[s] = chosen;
        }
    }
};

}  // namespace
