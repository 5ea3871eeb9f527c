// Products of a matrix that is mostly 0, kept as lists of its events, with a dense one:
//
//     out[i, h] = sum over the events e of list i, in order:  values[e] * dense[index[e], h]
//
// Currents are such sums over the inputs that fired, gradients of weights over the samples in
// which an input fired. Every sum is one chain of fused multiply-adds in the order of its list:
// its bits depend on no other list, on no tile, thread or instruction set.
#include <new>

#include "kernel.h"
#include "vec.h"

namespace {

constexpr int WIDTH = 8;         // vectors of a tile: so many sums stay in registers
constexpr int64_t BLOCK = 1024;  // rows of the dense matrix at a time: a tile of them fits into L2
constexpr int64_t CHUNK = 2048;  // lists of a task
constexpr int64_t SQUARE = 16;   // side of the squares in which matrices are transposed

int64_t tiles_of(int64_t columns, int64_t lanes) {
    return (columns + WIDTH * lanes - 1) / (WIDTH * lanes);
}

// Numbers aligned to cache lines, not filled.
template <class T>
struct Numbers {
    explicit Numbers(int64_t size)
        : data(static_cast<T*>(::operator new(sizeof(T) * (size_t)size, ALIGN))) {}
    ~Numbers() { ::operator delete(data, ALIGN); }
    Numbers(const Numbers&) = delete;
    Numbers& operator=(const Numbers&) = delete;
    T* data;
    static constexpr std::align_val_t ALIGN{64};
};

// to[r, c] = from[c, r]
template <class F>
void transpose(F* to, int64_t to_stride, const F* from, int64_t from_stride, int64_t rows,
               int64_t columns) {
    for (int64_t r0 = 0; r0 < rows; r0 += SQUARE)
        for (int64_t c = 0; c < columns; c++)
            for (int64_t r = r0; r < rows && r < r0 + SQUARE; r++)
                to[r * to_stride + c] = from[c * from_stride + r];
}

template <class F>
struct Product {
    const int64_t* starts;  // of each list among the events, and the end of the last
    const int32_t* index;
    const F* values;
    int64_t lists, rows, columns;  // rows and columns of the dense matrix
    const F* dense;                // (columns, rows) forward, (rows, columns) backward
    F* out;                        // (lists, columns) forward, (columns, lists) backward
    bool backward;

    void run(int64_t task) const {
        const int64_t tiles = tiles_of(columns, LANES<F>), first = task / tiles * CHUNK;
        const int64_t last = first + CHUNK < lists ? first + CHUNK : lists;
        const int64_t h = task % tiles * WIDTH * LANES<F>;
        const int64_t left = columns - h, vectors = (left + LANES<F> - 1) / LANES<F>;
        switch (vectors) {
            case 1:
                return tile<1>(first, last, h);
            case 2:
                return tile<2>(first, last, h);
            case 3:
                return tile<3>(first, last, h);
            case 4:
                return tile<4>(first, last, h);
            case 5:
                return tile<5>(first, last, h);
            case 6:
                return tile<6>(first, last, h);
            case 7:
                return tile<7>(first, last, h);
            default:
                return tile<WIDTH>(first, last, h);
        }
    }

    template <int V>
    void tile(int64_t first, int64_t last, int64_t h) const {
        constexpr int64_t width = V * LANES<F>;
        const int64_t wide = columns - h < width ? columns - h : width, count = last - first;
        const Numbers<F> packed(width * (rows < BLOCK ? rows : BLOCK));
        const Numbers<F> sums(backward ? width * count : 0);
        const Numbers<int64_t> at(count);
        for (int64_t i = 0; i < count; i++) at.data[i] = starts[first + i];
        F* const to = backward ? sums.data : out + first * columns + h;
        const int64_t stride = backward ? width : columns;
        int64_t k = 0;
        do {  // at least once: without rows all sums are 0
            const int64_t end = k + BLOCK < rows ? k + BLOCK : rows;
            pack(packed.data, width, k, end, h, wide);
            for (int64_t i = 0; i < count; i++)
                sum<V>(to + i * stride, packed.data - k * width, at.data[i], starts[first + i + 1],
                       end, k == 0, (int)(wide - width + LANES<F>));
        } while ((k += BLOCK) < rows);
        if (backward) transpose(out + h * lists + first, lists, sums.data, width, wide, count);
    }

    // Add the events before row `end` of a list to its sums.
    template <int V>
    void sum(F* to, const F* from, int64_t& at, int64_t until, int64_t end, bool fresh,
             int lanes) const {
        constexpr int full = LANES<F>;
        if (!fresh && (at == until || index[at] >= end)) return;
        Vec<F> s[V];
        for (int v = 0; v < V; v++)
            s[v] = fresh ? Vec<F>{} : load(to + v * full, v + 1 < V ? full : lanes);
        for (; at < until && index[at] < end; at++) {
            const Vec<F> value = all<F>(values[at]);
            const F* row = from + index[at] * (int64_t)(V * full);
            for (int v = 0; v < V; v++) s[v] = fma(value, load(row + v * full, full), s[v]);
        }
        for (int v = 0; v < V; v++) store(to + v * full, s[v], v + 1 < V ? full : lanes);
    }

    // Copy a tile of some rows of the dense matrix, row by row; its last columns may be missing.
    void pack(F* to, int64_t width, int64_t k, int64_t end, int64_t h, int64_t wide) const {
        if (wide < width) std::memset(to, 0, sizeof(F) * (size_t)(width * (end - k)));
        if (!backward) return transpose(to, width, dense + h * rows + k, rows, end - k, wide);
        for (int64_t r = k; r < end; r++, to += width)
            std::memcpy(to, dense + r * columns + h, sizeof(F) * (size_t)wide);
    }
};

// List the events of each row, or, where there is nowhere to put them, count them alone.
template <class F>
void find(const F* x, int64_t rows, int64_t columns, int64_t* starts, int32_t* index, F* values) {
    if (!index) starts[0] = 0;
    for (int64_t r = 0; r < rows; r++, x += columns) {
        if (!index) {
            int64_t count = 0;
            for (int64_t c = 0; c < columns; c++) count += x[c] != 0;
            starts[r + 1] = starts[r] + count;
            continue;
        }
        int64_t at = starts[r];
        // Written whether or not it is an event, for speed; the next one takes the place.
        for (int64_t c = 0; c < columns && at < starts[r + 1]; c++) {
            index[at] = (int32_t)c;
            values[at] = x[c];
            at += x[c] != 0;
        }
    }
}

// From lists by rows make lists by columns, each in the order of the rows.
template <class F>
void turn(int64_t rows, int64_t columns, const int64_t* starts, const int32_t* index,
          const F* values, int64_t* to_starts, int32_t* to_index, F* to_values) {
    for (int64_t c = 0; c <= columns; c++) to_starts[c] = 0;
    for (int64_t e = 0; e < starts[rows]; e++) to_starts[index[e] + 1]++;
    for (int64_t c = 0; c < columns; c++) to_starts[c + 1] += to_starts[c];
    const Numbers<int64_t> at(columns);
    for (int64_t c = 0; c < columns; c++) at.data[c] = to_starts[c];
    for (int64_t r = 0; r < rows; r++)
        for (int64_t e = starts[r]; e < starts[r + 1]; e++) {
            const int64_t to = at.data[index[e]]++;
            to_index[to] = (int32_t)r;
            to_values[to] = values[e];
        }
}

template <class F>
const F* as(const void* data) {
    return static_cast<const F*>(data);
}
template <class F>
F* as(void* data) {
    return static_cast<F*>(data);
}

}  // namespace

extern "C" {

// Fill `starts` from x (rows, columns) where `index` is null; else, by them, index and values.
EXPORT void sqsnn_find_events(const void* x, int64_t rows, int64_t columns, int64_t* starts,
                              int32_t* index, void* values, int32_t is_double) {
    if (is_double) find(as<double>(x), rows, columns, starts, index, as<double>(values));
    else find(as<float>(x), rows, columns, starts, index, as<float>(values));
}

// Lists by columns from lists by rows; 0, or -1 where memory runs out.
EXPORT int32_t sqsnn_turn_events(int64_t rows, int64_t columns, const int64_t* starts,
                                 const int32_t* index, const void* values, int64_t* to_starts,
                                 int32_t* to_index, void* to_values, int32_t is_double) {
    try {
        if (is_double)
            turn(rows, columns, starts, index, as<double>(values), to_starts, to_index,
                 as<double>(to_values));
        else
            turn(rows, columns, starts, index, as<float>(values), to_starts, to_index,
                 as<float>(to_values));
    } catch (const std::bad_alloc&) {
        return -1;
    }
    return 0;
}

// The number of tasks of a product; any split of 0..tasks among threads gives the same bits.
EXPORT int64_t sqsnn_event_tasks(int64_t lists, int64_t columns, int32_t is_double) {
    const int64_t tiles = tiles_of(columns, is_double ? LANES<double> : LANES<float>);
    return tiles * ((lists + CHUNK - 1) / CHUNK);
}

// Run some tasks of a product, whose members `Product` explains; 0, or -1 where memory runs out.
EXPORT int32_t sqsnn_sum_events(const int64_t* starts, const int32_t* index, const void* values,
                                int64_t lists, int64_t rows, int64_t columns, const void* dense,
                                void* out, int64_t first, int64_t last, int32_t backward,
                                int32_t is_double) {
    const auto tasks = [&](auto zero) {
        using F = decltype(zero);
        const Product<F> product{starts,  index,        as<F>(values), lists,        rows,
                                 columns, as<F>(dense), as<F>(out),    backward != 0};
        for (int64_t task = first; task < last; task++) product.run(task);
    };
    try {
        if (is_double) tasks(0.0);
        else tasks(0.0f);
    } catch (const std::bad_alloc&) {
        return -1;
    }
    return 0;
}
}
