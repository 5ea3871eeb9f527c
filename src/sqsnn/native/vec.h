// Vectors of floats or doubles, as wide as the instruction set, and the functions that the kernel
// needs of them. Every multiply-add that is fused is written as one (compile with
// -ffp-contract=off), and no instruction here rounds differently on another processor: all builds
// give the same bits.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#else
#error "the kernel needs AVX2 with FMA, AVX-512 or NEON"
#endif

#if defined(__AVX512F__)
#define SQSNN_BYTES 64
#elif defined(__AVX2__)
#define SQSNN_BYTES 32
#else
#define SQSNN_BYTES 16
#endif

// Loops whose bounds the compiler knows become straight code, their arrays registers.
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

namespace {

typedef float vfloat __attribute__((vector_size(SQSNN_BYTES)));
typedef double vdouble __attribute__((vector_size(SQSNN_BYTES)));
typedef int32_t vint32 __attribute__((vector_size(SQSNN_BYTES)));
typedef int64_t vint64 __attribute__((vector_size(SQSNN_BYTES)));

template <class F>
struct Of;
template <>
struct Of<float> {
    using vec = vfloat;
    using ints = vint32;
    using integer = int32_t;
    static constexpr int lanes = SQSNN_BYTES / 4, mantissa = 23, exponent = 127;
};
template <>
struct Of<double> {
    using vec = vdouble;
    using ints = vint64;
    using integer = int64_t;
    static constexpr int lanes = SQSNN_BYTES / 8, mantissa = 52, exponent = 1023;
};

template <class F>
using Vec = typename Of<F>::vec;
template <class F>
using Ints = typename Of<F>::ints;
template <class F>
constexpr int LANES = Of<F>::lanes;

#if defined(__AVX512F__)
inline vfloat fma(vfloat a, vfloat b, vfloat c) {
    return (vfloat)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
inline vdouble fma(vdouble a, vdouble b, vdouble c) {
    return (vdouble)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
inline vfloat root(vfloat a) { return (vfloat)_mm512_sqrt_ps((__m512)a); }
inline vdouble root(vdouble a) { return (vdouble)_mm512_sqrt_pd((__m512d)a); }
inline vfloat part(const float* from, int count) {
    return (vfloat)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), from);
}
inline vdouble part(const double* from, int count) {
    return (vdouble)_mm512_maskz_loadu_pd((__mmask8)((1u << count) - 1), from);
}
inline void part(float* to, vfloat a, int count) {
    _mm512_mask_storeu_ps(to, (__mmask16)((1u << count) - 1), (__m512)a);
}
inline void part(double* to, vdouble a, int count) {
    _mm512_mask_storeu_pd(to, (__mmask8)((1u << count) - 1), (__m512d)a);
}
#elif defined(__AVX2__)
inline vfloat fma(vfloat a, vfloat b, vfloat c) {
    return (vfloat)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
inline vdouble fma(vdouble a, vdouble b, vdouble c) {
    return (vdouble)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
inline vfloat root(vfloat a) { return (vfloat)_mm256_sqrt_ps((__m256)a); }
inline vdouble root(vdouble a) { return (vdouble)_mm256_sqrt_pd((__m256d)a); }
#else
inline vfloat fma(vfloat a, vfloat b, vfloat c) {
    return (vfloat)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
inline vdouble fma(vdouble a, vdouble b, vdouble c) {
    return (vdouble)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
}
inline vfloat root(vfloat a) { return (vfloat)vsqrtq_f32((float32x4_t)a); }
inline vdouble root(vdouble a) { return (vdouble)vsqrtq_f64((float64x2_t)a); }
#endif

#if !defined(__AVX512F__)
// The first lanes alone, the others 0.
template <class F>
inline Vec<F> part(const F* from, int count) {
    Vec<F> a = {};
    std::memcpy(&a, from, sizeof(F) * (size_t)count);
    return a;
}
template <class F>
inline void part(F* to, Vec<F> a, int count) {
    std::memcpy(to, &a, sizeof(F) * (size_t)count);
}
#endif

template <class F>
inline Vec<F> all(F value) {
    return Vec<F>{} + value;
}

template <class F>
inline Vec<F> load(const F* from, int count) {
    if (count < LANES<F>) return part(from, count);
    Vec<F> a;
    std::memcpy(&a, from, sizeof(a));
    return a;
}

template <class F>
inline void store(F* to, Vec<F> a, int count) {
    if (count < LANES<F>) return part(to, a, count);
    std::memcpy(to, &a, sizeof(a));
}

template <class F>
inline Vec<F> pick(Ints<F> where, Vec<F> yes, Vec<F> no) {
    return where ? yes : no;
}
template <class F>
inline Vec<F> at_most(Vec<F> a, F high) {
    return pick<F>(a < all<F>(high), a, all<F>(high));
}
template <class F>
inline Vec<F> at_least(Vec<F> a, F low) {
    return pick<F>(a > all<F>(low), a, all<F>(low));
}

// Unlike the two above, it lets NaN through.
template <class F>
inline Vec<F> within(Vec<F> a, F largest) {
    const Vec<F> high = all<F>(largest), low = -high;
    a = pick<F>(high < a, high, a);
    return pick<F>(low > a, low, a);
}

// The smallest normal number: an event of a lower probability counts as impossible.
template <class F>
constexpr F SMALLEST = std::numeric_limits<F>::min();

// 1 with the sign of a.
template <class F>
inline Vec<F> sign_of(Vec<F> a) {
    using I = typename Of<F>::integer;
    const I top = (I)1 << (sizeof(F) * 8 - 1);
    return (Vec<F>)(((Ints<F>)a & top) | (Ints<F>)all<F>((F)1));
}

// Adding and subtracting it rounds to a whole number, which the low bits of the sum hold.
template <class F>
constexpr F MAGIC = sizeof(F) == 4 ? (F)12582912.0 : (F)6755399441055744.0;

// cos(pi/2 x) and sin(pi/2 x), |x| up to 2**22: x = k + r, |r| <= 1/2, and Taylor's series of r.
template <class F>
inline void half_turns(Vec<F> x, Vec<F>& cosine, Vec<F>& sine) {
    const Vec<F> magic = all<F>(MAGIC<F>);
    const Vec<F> sum = x + magic;
    const Vec<F> r = x - (sum - magic), square = r * r;
    static constexpr double even[] = {// (-1)^n (pi/2)^(2n) / (2n)!
                                      1.0,
                                      -1.2337005501361698,
                                      0.25366950790104801,
                                      -0.020863480763352961,
                                      0.00091926027483942658,
                                      -2.5202042373060605e-05,
                                      4.7108747788181715e-07,
                                      -6.3866030837918522e-09,
                                      6.5659631149794724e-11};
    static constexpr double odd[] = {
        // (-1)^n (pi/2)^(2n+1) / (2n+1)!
        1.5707963267948966,     -0.64596409750624625,    0.079692626246167045,
        -0.0046817541353186881, 0.00016044118478735982,  -3.5988432352120853e-06,
        5.6921729219679268e-08, -6.6880351098114672e-10, 6.0669357311061957e-12};
    constexpr int terms = sizeof(F) == 4 ? 5 : 9;
    Vec<F> c = all<F>((F)even[terms - 1]), s = all<F>((F)odd[terms - 1]);
    for (int n = terms - 2; n >= 0; n--) {
        c = fma(c, square, all<F>((F)even[n]));
        s = fma(s, square, all<F>((F)odd[n]));
    }
    s *= r;
    const Ints<F> quarter = (Ints<F>)sum;    // k in its low bits
    const Ints<F> swapped = -(quarter & 1);  // -1 is true
    const Vec<F> big = pick<F>(swapped, s, c), small = pick<F>(swapped, c, s);
    constexpr int top = sizeof(F) * 8 - 2;
    cosine = (Vec<F>)((Ints<F>)big ^ (((quarter + 1) & 2) << top));
    sine = (Vec<F>)((Ints<F>)small ^ ((quarter & 2) << top));
}

// log(x) of x > 0: x = m 2**k with m about 1, log m = 2 atanh((m - 1) / (m + 1)).
template <class F>
inline Vec<F> logarithm(Vec<F> x) {
    using O = Of<F>;
    using I = typename O::integer;
    const Vec<F> magic = all<F>(MAGIC<F>);
    // Numbers below the normal ones are raised first.
    const Ints<F> tiny = x < all<F>(sizeof(F) == 4 ? (F)1.1754944e-38 : (F)2.2250738585072014e-308);
    x = pick<F>(tiny, x * (F)18014398509481984.0, x);  // 2**54
    const I root_half = sizeof(F) == 4 ? (I)0x3f3504f3 : (I)0x3fe6a09e667f3bcdLL;
    const Ints<F> bits = (Ints<F>)x - root_half;
    const Ints<F> k = bits >> O::mantissa;
    const Vec<F> m = (Vec<F>)((Ints<F>)x - (k << O::mantissa));
    const Vec<F> s = (m - (F)1) / (m + (F)1), square = s * s;
    constexpr int terms = sizeof(F) == 4 ? 5 : 11;
    Vec<F> sum = all<F>((F)(2.0 / (2 * terms - 1)));
    for (int n = terms - 2; n >= 1; n--) sum = fma(sum, square, all<F>((F)(2.0 / (2 * n + 1))));
    const Vec<F> whole =
        ((Vec<F>)(k + (Ints<F>)magic) - magic) - pick<F>(tiny, all<F>((F)54), Vec<F>{});
    // ln 2 in two parts, so that k times the first is exact.
    const F high = sizeof(F) == 4 ? (F)0.693359375 : (F)0.693147180369123816490;
    const F low = sizeof(F) == 4 ? (F)-2.12194440e-4 : (F)1.90821492927058770002e-10;
    return fma(whole, all<F>(high), s * (F)2 + fma(s * square, sum, whole * low));
}

// exp(x) of x <= 0.
template <class F>
inline Vec<F> exponential(Vec<F> x) {
    using O = Of<F>;
    constexpr F lowest = sizeof(F) == 4 ? (F)-87 : (F)-708;
    const Ints<F> gone = x < all<F>(lowest);
    x = at_least<F>(x, lowest);
    const Vec<F> magic = all<F>(MAGIC<F>);
    const Vec<F> sum = fma(x, all<F>((F)1.4426950408889634), magic);
    const Vec<F> k = sum - magic;
    const F high = sizeof(F) == 4 ? (F)0.693359375 : (F)0.693147180369123816490;
    const F low = sizeof(F) == 4 ? (F)-2.12194440e-4 : (F)1.90821492927058770002e-10;
    const Vec<F> r = fma(k, all<F>(-low), fma(k, all<F>(-high), x));
    static constexpr double inverse_factorials[] = {1.0,
                                                    1.0,
                                                    0.5,
                                                    1.0 / 6,
                                                    1.0 / 24,
                                                    1.0 / 120,
                                                    1.0 / 720,
                                                    1.0 / 5040,
                                                    1.0 / 40320,
                                                    1.0 / 362880,
                                                    1.0 / 3628800,
                                                    1.0 / 39916800,
                                                    1.0 / 479001600,
                                                    1.0 / 6227020800.0};
    constexpr int terms = sizeof(F) == 4 ? 8 : 14;
    Vec<F> e = all<F>((F)inverse_factorials[terms - 1]);
    for (int n = terms - 2; n >= 0; n--) e = fma(e, r, all<F>((F)inverse_factorials[n]));
    const Ints<F> power = ((Ints<F>)sum - (Ints<F>)magic + O::exponent) << O::mantissa;
    return pick<F>(gone, Vec<F>{}, e * (Vec<F>)power);
}

}  // namespace
