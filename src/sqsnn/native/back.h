// The way back: the gradients of a pass, step by step from the last to the first.
//
// The steps are run once more, keeping psi of each, and the gates are undone on psi and on its
// gradient psi~ together. With g the gradient by m', r = 1 / sqrt(q_s) and s the outcome,
//
//     c = r (g - rho m'),   rho = g.m' - 2 l~,   psi~_s' = [s' = s] c + 2 (sum of p~_n, n in s')
//     psi_s',
//
// and the gradient by the angle of a rotation of amplitudes i, j is (psi~_j psi_i - psi~_i psi_j) /
// 2, before as after it.
#pragma once

#include "block.h"

namespace {

// The sum of S vectors, in an order that S alone decides.
template <int S, class V>
inline V total(const V* of) {
    if constexpr (S == 1) return of[0];
    else {
        V half[S / 2];
        for (int k = 0; k < S / 2; k++) half[k] = of[k] + of[k + S / 2];
        return total<S / 2>(half);
    }
}

// A block that also goes back.
template <class F, int S>
struct Back : Block<F, S> {
    using Base = Block<F, S>;
    using Base::circuit, Base::pass, Base::z, Base::neurons, Base::h, Base::b, Base::lanes;
    using Base::get_memory, Base::put_memory, Base::branch, Base::fires, Base::pairs, Base::gain_of;
    using Base::memory, Base::row, Base::entry, Base::get, Base::put, Base::get_entries,
        Base::put_entries;
    using Base::turn_one, Base::mix, Base::inverse_root;
    using Base::weigh, Base::marginals, Base::collapse, Base::read_outcome, Base::remember;
    using typename Base::V;
    V *g, *g_membrane, *carry;  // the gradients by the state
    Back(const Base& block, V* by_memory, V* by_membrane, V* by_last)
        : Base(block), g(by_memory), g_membrane(by_membrane), carry(by_last) {}

    // One step of the way back needs its frame: run it again, the spikes known.
    void replay(int64_t t, const Frame<F>& frame) {
        V weights[MAX_OUTCOMES * S], outcome[S], weight[S], inverse[S];
        Base::drive(t, frame);
        Base::apply_gates(frame);
        weigh(frame.psi, weights);
        read_outcome(pass.spikes, t, outcome);
        collapse(frame.psi, weights, outcome, weight, inverse, memory);
        remember(outcome);
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

    // One step back; `before` is the frame of the step before it, if there is one. The scratch
    // takes 2 A + 2 N numbers.
    void back(int64_t t, const Frame<F>& frame, const Frame<F>& before, V* scratch) {
        V weights[MAX_OUTCOMES * S], probability[MAX_CHANNELS * S], scale[S];
        V outcome[S], weight[S], inverse[S];
        V *psi = frame.psi, *lambda = scratch, *after = lambda + z.amplitudes * S;
        V *d_turn = after + z.memory * S, *firing = d_turn + z.channels * S;
        weigh(psi, weights);
        marginals(weights, probability, scale);
        read_outcome(pass.spikes, t, outcome);
        collapse(psi, weights, outcome, weight, inverse, after);
        if (pass.g_history) {
            get_memory(lambda, pass.g_history, t);
            for (int i = 0; i < z.memory * S; i++) g[i] += lambda[i];
        }
        // Through the spikes that choose the branch, where that is wanted.
        for (int i = 0; i < z.channels * S; i++) firing[i] = V{};
        if (pass.through_collapse) back_through_collapse(psi, weights, outcome, firing);
        // By the likelihood and the collapsed memory: c, in place of g.
        V rho[S];
        for (int s = 0; s < S; s++)
            rho[s] = pass.g_log_likelihood ? get(pass.g_log_likelihood, row(0, t, s)) * (F)-2 : V{};
        for (int a = 0; a < z.memory; a++)
            for (int s = 0; s < S; s++) rho[s] = fma(g[a * S + s], after[a * S + s], rho[s]);
        for (int a = 0; a < z.memory; a++)
            for (int s = 0; s < S; s++)
                g[a * S + s] = fma(-rho[s], after[a * S + s], g[a * S + s]) * inverse[s];
        // By the marginals, directly and through the spikes.
        for (int n = 0; n < z.channels; n++)
            for (int s = 0; s < S; s++) {
                V by_spike = firing[n * S + s];
                if (pass.g_spikes) by_spike += get(pass.g_spikes, row(n, t, s));
                if (pass.through_reset && z.last) by_spike += carry[n * S + s];
                const V p = probability[n * S + s];
                if (pass.sigmoid) by_spike *= p * ((F)1 - p);
                if (pass.g_probability) by_spike += get(pass.g_probability, row(n, t, s));
                firing[n * S + s] = by_spike * (F)2;
            }
        for (int o = 0; o < z.outcomes; o++) {
            V factor[S];
            for (int s = 0; s < S; s++) factor[s] = V{};
            for (int n = 0; n < z.channels; n++)
                if (fires(o, n))
                    for (int s = 0; s < S; s++) factor[s] += firing[n * S + s];
            branch(o, [&](int k, int a) {
                for (int s = 0; s < S; s++) {
                    const V chosen = pick<F>(outcome[s] == all<F>((F)o), g[a * S + s], V{});
                    lambda[k * S + s] = fma(factor[s], psi[k * S + s], chosen);
                }
            });
        }
        back_through_gates(frame, lambda, d_turn);
        for (int a = 0; a < z.memory; a++) {
            const int from = a < z.half ? a : z.amplitudes / 2 + a - z.half;
            for (int s = 0; s < S; s++) g[a * S + s] = lambda[from * S + s];
        }
        back_through_drive(t, frame, before, d_turn);
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

    // Undo the gates on psi and lambda, its gradient; gather those by the angles. At the end both
    // hold the memory before the step.
    void back_through_gates(const Frame<F>& frame, V* lambda, V* d_turn) {
        V* psi = frame.psi;
        V part[S];
        for (int k = circuit.ops - 1; k >= 0; k--) {
            const Op& op = circuit.op[k];
            V *x = psi + op.i * S, *y = psi + op.j * S, *p = lambda + op.i * S,
              *q = lambda + op.j * S;
            if (op.kind == TURN) {
                const V cosine = neurons.cosine[op.parameter], sine = -neurons.sine[op.parameter];
                for (int s = 0; s < S; s++) {
                    part[s] = fma(q[s], x[s], -(p[s] * y[s]));
                    turn_one(x[s], y[s], cosine, sine);
                    turn_one(p[s], q[s], cosine, sine);
                }
                neurons.d_angle[op.parameter] += total<S>(part);
            } else if (op.kind == BLOCK) {
                mix(x, y, op.a, op.c, op.b, op.d);
                mix(p, q, op.a, op.c, op.b, op.d);
            } else {
                for (int s = 0; s < S; s++) x[s] = x[s] * (F)op.a, p[s] = p[s] * (F)op.a;
            }
        }
        for (int n = 0; n < z.channels; n++)
            for (int s = 0; s < S; s++) d_turn[n * S + s] = V{};
        const int imaginary = z.amplitudes / 2;
        for (int n = 0, size = z.amplitudes / 2 / (1 + z.is_complex); n < z.channels;
             n++, size /= 2) {
            const V *c = frame.cosine + n * S, *w = frame.sine + n * S;
            for (int s = 0; s < S; s++) part[s] = V{};
            for (int a = 0; a < size; a++) {
                V *x = psi + a * S, *y = x + size * S, *p = lambda + a * S, *q = p + size * S;
                if (!z.is_complex) {
                    for (int s = 0; s < S; s++) {
                        x[s] = fma(w[s], y[s], c[s] * x[s]);
                        const V along = fma(c[s], q[s], -(w[s] * p[s]));
                        part[s] = fma(along, x[s], part[s]);
                        p[s] = fma(w[s], q[s], c[s] * p[s]);
                    }
                } else {
                    V *xi = x + imaginary * S, *yi = y + imaginary * S;
                    V *pi = p + imaginary * S, *qi = q + imaginary * S;
                    for (int s = 0; s < S; s++) {
                        x[s] = fma(-w[s], yi[s], c[s] * x[s]);
                        xi[s] = fma(w[s], y[s], c[s] * xi[s]);
                        const V along = fma(-c[s], qi[s], -(w[s] * p[s]));
                        const V along_i = fma(c[s], q[s], -(w[s] * pi[s]));
                        part[s] = fma(along, x[s], fma(along_i, xi[s], part[s]));
                        p[s] = fma(-w[s], qi[s], c[s] * p[s]);
                        pi[s] = fma(w[s], q[s], c[s] * pi[s]);
                    }
                }
            }
            gather_turn(n, part, frame, d_turn);
        }
        for (int e = z.rotations - 1; e >= z.channels; e--) {
            for (int s = 0; s < S; s++) part[s] = V{};
            pairs(circuit.rotation[e].stride, [&](int i, int j) {
                V *x = psi + place(i) * S, *y = psi + place(j) * S;
                V *p = lambda + place(i) * S, *q = lambda + place(j) * S;
                for (int s = 0; s < S; s++) {
                    const V cosine = frame.cosine[e * S + s], sine = -frame.sine[e * S + s];
                    part[s] += fma(q[s], x[s], -(p[s] * y[s]));
                    turn_one(x[s], y[s], cosine, sine);
                    turn_one(p[s], q[s], cosine, sine);
                }
            });
            gather_turn(e, part, frame, d_turn);
        }
    }

    // Where an amplitude of the memory stands in the register.
    int place(int a) const { return a < z.half ? a : z.amplitudes / 2 + a - z.half; }

    // From the gradient by half of pi times a rotation's turn to those by gain and channel.
    void gather_turn(int e, const V* part, const Frame<F>& frame, V* d_turn) {
        const Rotation& rotation = circuit.rotation[e];
        const V half_pi = all<F>((F)1.5707963267948966), gain = gain_of(e) * half_pi;
        V* d = d_turn + rotation.channel * S;
        for (int s = 0; s < S; s++) d[s] = fma(gain, part[s], d[s]);
        if (rotation.trained < 0) return;
        V by_gain[S];
        for (int s = 0; s < S; s++)
            by_gain[s] = part[s] * frame.turn[rotation.channel * S + s] * half_pi;
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
