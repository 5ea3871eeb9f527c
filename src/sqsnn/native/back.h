// The way back: the gradients of a pass, step by step from the last to the first.
//
// The steps are run once more, keeping a frame of each. With g the gradient by m', r = 1 /
// sqrt(q_s) and s the outcome, the gradients psi~ by psi and x~ by x are
//
//     c = r (g - rho m'),   rho = g.m' - 2 l~,   held to the largest gradient,
//     psi~_s' = [s' = s] c + 2 (sum of p~_n, n in s') psi_s',   x~ = V^T psi~
#pragma once

#include "block.h"

namespace {

// A block that also goes back.
template <class F, int S, class Z>
struct Back : Block<F, S, Z> {
    using Base = Block<F, S, Z>;
    using Base::circuit, Base::pass, Base::z, Base::neurons, Base::h, Base::b, Base::lanes;
    using Base::get_memory, Base::put_memory, Base::branch, Base::fires, Base::pairs, Base::gain_of;
    using Base::memory, Base::row, Base::entry, Base::get, Base::put, Base::get_entries,
        Base::put_entries;
    using Base::weigh, Base::marginals, Base::read_outcome, Base::inverse_root;
    using typename Base::V;
    V *g, *g_membrane, *carry;  // the gradients by the state
    Back(const Base& block, V* by_memory, V* by_membrane, V* by_last)
        : Base(block), g(by_memory), g_membrane(by_membrane), carry(by_last) {}

    // Vectors of scratch per sample.
    static int64_t scratch(const Z& z) { return 2 * (z.amplitudes + z.memory + z.channels); }

    // One step of the way back needs its frame: run it again, the spikes known.
    void replay(int64_t t, const Frame<F>& frame) {
        V weights[MAX_OUTCOMES * S], outcome[S], weight[S];
        Base::drive(t, frame);
        Base::evolve(frame);
        for (int i = 0; i < z.memory * S; i++) frame.memory[i] = memory[i];
        weigh(frame.psi, weights);
        read_outcome(pass.spikes, t, outcome);
        Base::select(frame.psi, weights, outcome, weight, memory);
        Base::collapse(weight, frame.inverse, memory);
        Base::remember(outcome);
    }

    void begin_back() {
        if (pass.g_memory) get_memory(g, pass.g_memory, 0);
        else
            for (int i = 0; i < z.memory * S; i++) g[i] = V{};
        if (pass.drive != LEAKY) return;
        get_entries(g_membrane, pass.g_membrane, z.channels);
        get_entries(carry, pass.g_last, z.last * z.channels);
    }

    void end_back() {
        put_memory(pass.d_memory, g, 0);
        if (pass.drive != LEAKY) return;
        put_entries(pass.d_membrane, g_membrane, z.channels);
        put_entries(pass.d_last, carry, z.last * z.channels);
    }

    // One step back; `before` is the frame of the step before it, if there is one.
    void back(int64_t t, const Frame<F>& frame, const Frame<F>& before, V* free) {
        V outcome[S];
        V *lambda = free, *x = lambda + z.amplitudes * S, *after = x + z.amplitudes * S;
        V *d_turn = after + z.memory * S, *firing = d_turn + z.channels * S;
        read_outcome(pass.spikes, t, outcome);
        for (int i = 0; i < z.channels * S; i++) firing[i] = V{};
        back_through_outcome(t, frame, outcome, after, firing);
        back_through_spikes(t, frame, firing);
        for (int o = 0; o < z.outcomes; o++) {
            V factor[S];
            for (int s = 0; s < S; s++) factor[s] = V{};
            for (int n = 0; n < z.channels; n++)
                if (fires(o, n))
                    for (int s = 0; s < S; s++) factor[s] += firing[n * S + s];
            branch(o, [&](int k, int a) {
                for (int s = 0; s < S; s++) {
                    const V chosen = pick<F>(outcome[s] == all<F>((F)o), g[a * S + s], V{});
                    lambda[k * S + s] = fma(factor[s], frame.psi[k * S + s], chosen);
                }
            });
        }
        for (int i = 0; i < z.channels * S; i++) d_turn[i] = V{};
        if constexpr (Z::small) {
            V psi[Z::amplitudes * S];
            for (int i = 0; i < Z::amplitudes * S; i++) psi[i] = lambda[i];
            Base::encode(frame, frame.memory, x);
            Matrix<F, Z>{neurons}.template undo<S>(x, psi, lambda);
            decode(frame, x, lambda, d_turn);
        } else {
            Gates<F, S>{circuit, neurons}.undo(frame.psi, lambda);
            decode(frame, frame.psi, lambda, d_turn);
        }
        turn_memory_back(frame, d_turn);
        back_through_drive(t, frame, before, d_turn);
    }

    // By the likelihood and the collapsed memory: c, in place of g.
    void back_through_outcome(int64_t t, const Frame<F>& frame, const V* outcome, V* after,
                              V* firing) {
        V rho[S], inverse[S];
        for (int s = 0; s < S; s++)
            rho[s] = pass.g_log_likelihood ? get(pass.g_log_likelihood, row(0, t, s)) * (F)-2 : V{};
        if (Z::is_sign && !pass.g_log_likelihood) {  // a sign has no gradient
            for (int s = 0; s < S; s++) g[s] = V{};
            return;
        }
        V weights[MAX_OUTCOMES * S], weight[S];
        weigh(frame.psi, weights);
        Base::select(frame.psi, weights, outcome, weight, after);
        for (int s = 0; s < S; s++)
            inverse[s] = Z::is_sign ? inverse_root(weight[s]) : frame.inverse[s];
        for (int a = 0; a < z.memory; a++)
            for (int s = 0; s < S; s++) after[a * S + s] *= inverse[s];
        if (Z::is_sign) {
            for (int s = 0; s < S; s++) g[s] = held(-rho[s] * after[s] * inverse[s]);
            return;
        }
        if (pass.g_history) {
            V* later = firing + z.channels * S;
            get_memory(later, pass.g_history, t);
            for (int i = 0; i < z.memory * S; i++) g[i] += later[i];
        }
        if (pass.through_collapse) back_through_collapse(frame.psi, weights, outcome, firing);
        for (int a = 0; a < z.memory; a++)
            for (int s = 0; s < S; s++) rho[s] = fma(g[a * S + s], after[a * S + s], rho[s]);
        for (int a = 0; a < z.memory; a++)
            for (int s = 0; s < S; s++)
                g[a * S + s] =
                    held(fma(-rho[s], after[a * S + s], g[a * S + s]) * inverse[s]);
    }

    // Those of several rare events multiply to more than a number holds.
    V held(V gradient) const { return within<F>(gradient, (F)pass.largest_gradient); }

    // By the marginals, directly and through the spikes.
    void back_through_spikes(int64_t t, const Frame<F>& frame, V* firing) const {
        V probability[MAX_CHANNELS * S];
        if (pass.sigmoid) {
            V weights[MAX_OUTCOMES * S], scale[S];
            weigh(frame.psi, weights);
            marginals(weights, probability, scale);
        }
        for (int n = 0; n < z.channels; n++)
            for (int s = 0; s < S; s++) {
                V by_spike = firing[n * S + s];
                if (pass.g_spikes) by_spike += by_recorded_spike(n, t, s);
                if (pass.through_reset && z.last) by_spike += carry[n * S + s];
                by_spike = held(by_spike);
                if (pass.sigmoid) {
                    const V p = probability[n * S + s];
                    by_spike *= p * ((F)1 - p);
                }
                if (pass.g_probability) by_spike += get(pass.g_probability, row(n, t, s));
                firing[n * S + s] = by_spike * (F)2;
            }
    }

    V by_recorded_spike(int n, int64_t t, int s) const {
        const int64_t* stride = pass.g_spikes_stride;
        const F* at = static_cast<const F*>(pass.g_spikes) + n * stride[0] + t * stride[1] +
                      (b + s) * stride[2] + h * stride[3];
        return stride[3] ? load(at, lanes) : all<F>(*at);
    }

    // m' = sum over s' of prod over n of [s_n where s'_n = 1, else 1 - s_n] psi_s' / sqrt(q_s').
    void back_through_collapse(const V* psi, const V* weights, const V* outcome,
                               V* by_spike) const {
        for (int o = 0; o < z.outcomes; o++)
            for (int n = 0; n < z.channels; n++) {
                const int flipped = o ^ (1 << (z.channels - 1 - n));
                for (int s = 0; s < S; s++) {
                    V here = V{}, there = V{};
                    branch(o,
                           [&](int k, int a) { here = fma(g[a * S + s], psi[k * S + s], here); });
                    branch(flipped,
                           [&](int k, int a) { there = fma(g[a * S + s], psi[k * S + s], there); });
                    const V gain = inverse_root(weights[o * S + s]) * here -
                                   inverse_root(weights[flipped * S + s]) * there;
                    const V kept = pick<F>(outcome[s] == all<F>((F)o), gain, V{});
                    by_spike[n * S + s] += fires(o, n) ? kept : -kept;
                }
            }
    }

    // Undo the encoding of the channel qubits on x and on its gradient: both become the turned
    // memory's, which goes to `memory` and to g.
    void decode(const Frame<F>& frame, V* x, V* gradient, V* d_turn) {
        for (int n = 0, size = z.size / 2; n < z.channels; n++, size /= 2) {
            const V *c = frame.cosine + n * S, *w = frame.sine + n * S;
            V part[S];
            for (int s = 0; s < S; s++) part[s] = V{};
            for (int p = 0; p < z.planes; p++)
                for (int a = 0; a < size; a++) {
                    V *zero = x + (p * z.size + a) * S, *one = zero + size * S;
                    V *by_zero = gradient + (p * z.size + a) * S, *by_one = by_zero + size * S;
                    for (int s = 0; s < S; s++) {
                        zero[s] = fma(w[s], one[s], c[s] * zero[s]);
                        const V along = fma(c[s], by_one[s], -(w[s] * by_zero[s]));
                        part[s] = fma(along, zero[s], part[s]);
                        by_zero[s] = fma(w[s], by_one[s], c[s] * by_zero[s]);
                    }
                }
            gather_turn(n, part, frame, d_turn);
        }
        for (int p = 0; p < z.planes; p++)
            for (int i = 0; i < z.half * S; i++) {
                memory[p * z.half * S + i] = x[p * z.size * S + i];
                g[p * z.half * S + i] = gradient[p * z.size * S + i];
            }
    }

    // Undo the rotations of the memory qubits.
    void turn_memory_back(const Frame<F>& frame, V* d_turn) {
        for (int e = z.rotations - 1; e >= z.channels; e--) {
            V part[S];
            for (int s = 0; s < S; s++) part[s] = V{};
            pairs(circuit.rotation[e].stride, [&](int i, int j) {
                V *x = memory + i * S, *y = memory + j * S, *p = g + i * S, *q = g + j * S;
                for (int s = 0; s < S; s++) {
                    const V cosine = frame.cosine[e * S + s], sine = -frame.sine[e * S + s];
                    part[s] += fma(q[s], x[s], -(p[s] * y[s]));
                    turn(x[s], y[s], cosine, sine);
                    turn(p[s], q[s], cosine, sine);
                }
            });
            gather_turn(e, part, frame, d_turn);
        }
    }

    // From the gradient by half of pi times a rotation's turn to those by gain and channel.
    void gather_turn(int e, const V* part, const Frame<F>& frame, V* d_turn) {
        const Rotation& rotation = circuit.rotation[e];
        const V half_pi = all<F>((F)1.5707963267948966), gain = gain_of(e) * half_pi;
        V* d = d_turn + rotation.channel * S;
        for (int s = 0; s < S; s++) d[s] = fma(gain, part[s], d[s]);
        if (rotation.trained < 0) return;
        V by_gain[S];
        for (int s = 0; s < S; s++)
            by_gain[s] =
                part[s] * Base::turn_of(frame.potential[rotation.channel * S + s]) * half_pi;
        neurons.d_gain[rotation.trained] += total<S>(by_gain);
    }

    void back_through_drive(int64_t t, const Frame<F>& frame, const Frame<F>& before, V* d_turn) {
        for (int n = 0; n < z.channels; n++) {
            const V* u = frame.potential + n * S;
            V* d = d_turn + n * S;
            for (int s = 0; s < S; s++) d[s] *= slope(u[s]);
            if (pass.drive != LEAKY) {
                for (int s = 0; s < S; s++) put(pass.d_currents, row(n, t, s), d[s]);
                continue;
            }
            V part[S], current[S];
            const V* v = frame.membrane + n * S;
            for (int k = 0; k < pass.reset_steps; k++) {
                const int at = k * z.channels + n;
                for (int s = 0; s < S; s++) part[s] = d[s] * earlier(n, t - 1 - k, k - t, s);
                neurons.d_reset[at] -= total<S>(part);
                for (int s = 0; s < S; s++) {
                    const V kept = k + 1 < z.last ? carry[(at + z.channels) * S + s] : V{};
                    carry[at * S + s] = fma(-neurons.reset[at], d[s], kept);
                }
            }
            const V below = all<F>(pass.exact ? (F)0 : (F)0.3), floor = all<F>((F)pass.floor);
            for (int s = 0; s < S; s++) {
                const V by_membrane = g_membrane[n * S + s] + d[s];
                current[s] = pick<F>(v[s] > floor, by_membrane, by_membrane * below);
                put(pass.d_currents, row(n, t, s), current[s]);
                g_membrane[n * S + s] = neurons.beta[n] * current[s];
            }
            neurons.d_bias[n] += total<S>(current);
            for (int s = 0; s < S; s++) {
                V charge = V{};
                if (t > 0) charge = before.membrane[n * S + s];
                else if (pass.membrane) charge = get(pass.membrane, entry(n, s));
                part[s] = current[s] * charge;
            }
            neurons.d_beta[n] += total<S>(part);
            if (pass.reset_steps >= 0) continue;
            for (int s = 0; s < S; s++) {
                part[s] = current[s] * earlier(n, t - 1, -t, s);
                carry[n * S + s] = -neurons.reset[n] * current[s];
            }
            neurons.d_reset[n] -= total<S>(part);
        }
    }

    // A spike of an earlier step, or of the `ago`-th before the first.
    V earlier(int n, int64_t t, int64_t ago, int s) const {
        if (t >= 0) return get(pass.spikes, row(n, t, s));
        return pass.last ? get(pass.last, entry(ago * z.channels + n, s)) : V{};
    }

    // The slope of the encoding in units of pi.
    V slope(V u) const {
        if (pass.exact) {
            const V inside = pick<F>(u > V{}, all<F>(1), V{});
            return pass.drive == RECTIFIED ? inside : pick<F>(u > all<F>(1), V{}, inside);
        }
        V outside = at_most(u, (F)0);
        if (pass.drive != RECTIFIED) outside -= at_least(u - (F)1, (F)0);
        return exponential<F>(outside * (F)(1 / 0.3));
    }
};

}  // namespace
