// V(theta): its gates, one after the other, forward and backward, or as a matrix per vector of
// neurons, which is faster for small registers.
//
// A gate is a list of rotations of two real amplitudes each, also where amplitudes are complex.
// With psi~ the gradient by psi, the gradient by the angle of a rotation of amplitudes i, j is
// (psi~_j psi_i - psi~_i psi_j) / 2, before as after it; the factor 1/2 comes at the end of a task.
#pragma once

#include "layout.h"

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

template <class V>
inline void turn(V& x, V& y, V cosine, V sine) {
    const V a = x, b = y;
    x = fma(-sine, b, cosine * a);
    y = fma(sine, a, cosine * b);
}

// The gates of a circuit on S samples.
template <class F, int S>
struct Gates {
    using V = Vec<F>;
    const Circuit& circuit;
    const Neurons<F>& neurons;

    static void mix(V* x, V* y, double a, double b, double c, double d) {
        const V p = all<F>((F)a), q = all<F>((F)b), r = all<F>((F)c), t = all<F>((F)d);
        for (int s = 0; s < S; s++) {
            const V first = x[s], second = y[s];
            x[s] = fma(q, second, p * first);
            y[s] = fma(t, second, r * first);
        }
    }

    void apply(V* psi) const {
        for (int k = 0; k < circuit.ops; k++) {
            const Op& op = circuit.op[k];
            V *x = psi + op.i * S, *y = psi + op.j * S;
            if (op.kind == TURN) {
                const V cosine = neurons.cosine[op.parameter], sine = neurons.sine[op.parameter];
                for (int s = 0; s < S; s++) turn(x[s], y[s], cosine, sine);
            } else if (op.kind == BLOCK) mix(x, y, op.a, op.b, op.c, op.d);
            else
                for (int s = 0; s < S; s++) x[s] = x[s] * (F)op.a;
        }
    }

    // Undo the gates on psi and on its gradient; gather the gradients by the angles.
    void undo(V* psi, V* gradient) const {
        for (int k = circuit.ops - 1; k >= 0; k--) {
            const Op& op = circuit.op[k];
            V *x = psi + op.i * S, *y = psi + op.j * S;
            V *p = gradient + op.i * S, *q = gradient + op.j * S;
            if (op.kind == TURN) {
                const V cosine = neurons.cosine[op.parameter], sine = -neurons.sine[op.parameter];
                V part[S];
                for (int s = 0; s < S; s++) {
                    part[s] = fma(q[s], x[s], -(p[s] * y[s]));
                    turn(x[s], y[s], cosine, sine);
                    turn(p[s], q[s], cosine, sine);
                }
                neurons.d_angle[op.parameter] += total<S>(part);
            } else if (op.kind == BLOCK) {
                mix(x, y, op.a, op.c, op.b, op.d);
                mix(p, q, op.a, op.c, op.b, op.d);
            } else {
                for (int s = 0; s < S; s++) x[s] = x[s] * (F)op.a, p[s] = p[s] * (F)op.a;
            }
        }
    }
};

// V as a matrix: V[k, j], k over the real parts and then the imaginary parts of its rows.
template <class F, class Z>
struct Matrix {
    using V = Vec<F>;
    const Neurons<F>& neurons;

    static V at(const V* matrix, int plane, int k, int j) {
        return matrix[(plane * Z::size + k) * Z::size + j];
    }

    // A column of V is what the gates make of a basis state.
    void build(const Circuit& circuit) const {
        for (int j = 0; j < Z::size; j++) {
            V column[Z::amplitudes];
            for (int k = 0; k < Z::amplitudes; k++) column[k] = all<F>((F)(k == j));
            Gates<F, 1>{circuit, neurons}.apply(column);
            for (int k = 0; k < Z::amplitudes; k++) neurons.matrix[k * Z::size + j] = column[k];
        }
    }

    // Hand the gradient by V on to the angles of its gates.
    void finish(const Circuit& circuit) const {
        for (int j = 0; j < Z::size; j++) {
            V column[Z::amplitudes], gradient[Z::amplitudes];
            for (int k = 0; k < Z::amplitudes; k++) {
                column[k] = neurons.matrix[k * Z::size + j];
                gradient[k] = neurons.d_matrix[k * Z::size + j];
            }
            Gates<F, 1>{circuit, neurons}.undo(column, gradient);
        }
    }

    template <int S>
    void apply(const V* x, V* psi) const {
        UNROLL for (int k = 0; k < Z::size; k++) {
            V re[S], im[S];
            for (int s = 0; s < S; s++) re[s] = im[s] = V{};
            UNROLL for (int j = 0; j < Z::size; j++) {
                const V a = at(neurons.matrix, 0, k, j);
                for (int s = 0; s < S; s++) re[s] = fma(a, x[j * S + s], re[s]);
                if constexpr (Z::planes == 2) {
                    const V b = at(neurons.matrix, 1, k, j);
                    for (int s = 0; s < S; s++) {
                        const V real = x[j * S + s], imaginary = x[(Z::size + j) * S + s];
                        re[s] = fma(-b, imaginary, re[s]);
                        im[s] = fma(b, real, fma(a, imaginary, im[s]));
                    }
                }
            }
            for (int s = 0; s < S; s++) psi[k * S + s] = re[s];
            if constexpr (Z::planes == 2)
                for (int s = 0; s < S; s++) psi[(Z::size + k) * S + s] = im[s];
        }
    }

    // The gradient by x from that by psi; adds those by V.
    template <int S>
    void undo(const V* x, const V* gradient, V* by_x) const {
        UNROLL for (int j = 0; j < Z::size; j++) {
            V re[S], im[S];
            for (int s = 0; s < S; s++) re[s] = im[s] = V{};
            UNROLL for (int k = 0; k < Z::size; k++) {
                const V a = at(neurons.matrix, 0, k, j);
                V part[S];
                for (int s = 0; s < S; s++) {
                    const V g = gradient[k * S + s];
                    re[s] = fma(a, g, re[s]);
                    part[s] = g * x[j * S + s];
                }
                if constexpr (Z::planes == 2) {
                    const V b = at(neurons.matrix, 1, k, j);
                    V turned[S];
                    for (int s = 0; s < S; s++) {
                        const V g = gradient[k * S + s], h = gradient[(Z::size + k) * S + s];
                        const V real = x[j * S + s], imaginary = x[(Z::size + j) * S + s];
                        re[s] = fma(b, h, re[s]);
                        im[s] = fma(a, h, fma(-b, g, im[s]));
                        part[s] = fma(h, imaginary, part[s]);
                        turned[s] = fma(h, real, -(g * imaginary));
                    }
                    neurons.d_matrix[(Z::size + k) * Z::size + j] += total<S>(turned);
                }
                neurons.d_matrix[k * Z::size + j] += total<S>(part);
            }
            for (int s = 0; s < S; s++) by_x[j * S + s] = re[s];
            if constexpr (Z::planes == 2)
                for (int s = 0; s < S; s++) by_x[(Z::size + j) * S + s] = im[s];
        }
    }
};

}  // namespace
