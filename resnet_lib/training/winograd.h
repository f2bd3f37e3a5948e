// Convolutions of 3x3 with stride 1 in fp32 that multiply a quarter as often: Winograd's, in the form F(4x4, 3x3) of
// Lavin and Gray (2016). A tile, 4x4 pixels of output, rests on 6x6 of input. These and the 3x3 of a kernel are each
// transformed to 36 points, at which a convolution is a product of matrices over channels: 36 multiplications in place
// of 16 times 9. A transform is a sum of a few terms, along columns and then along rows. The gradient of the input is a
// convolution with the kernels turned round, that of the kernels comes by the transposed transforms.
//
// Tensors are (N, C, H, W) with channels last, so that vectors go along channels. Sums over tiles are made in a fixed
// number of pieces: a result does not depend on the number of threads.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/cpu/vec/vec.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <vector>

namespace winograd {

using at::Tensor;
using Lanes = at::vec::Vectorized<float>;

// COLUMNS, which the compiler is told: of a product, that are worked on at a time.
constexpr int64_t POINTS = 36;
constexpr int VECTORS = COLUMNS / Lanes::size();
constexpr int ROWS = 12 / VECTORS, LINES = 8 / VECTORS;  // likewise; the sums of that many stay in registers
constexpr int64_t NUMBERS = 1536;  // at each point, that are made at a time: they have to stay in a cache
constexpr int64_t PIECES = 4;      // in which the gradient of kernels is summed

inline Lanes fma(float a, Lanes b, Lanes c) { return at::vec::fmadd(Lanes(a), b, c); }

// What maps 6 inputs to 6 points, 6 points to 4 outputs, 4 gradients of outputs to 6 points: B^T, A^T and A.
inline void input_to_points(const Lanes* d, Lanes* t) {
  const Lanes a = fma(-4, d[2], d[4]), b = fma(-4, d[1], d[3]), c = d[4] - d[2], e = d[3] - d[1];
  t[0] = fma(4, d[0], fma(-5, d[2], d[4])), t[5] = fma(4, d[1], fma(-5, d[3], d[5]));
  t[1] = a + b, t[2] = a - b, t[3] = fma(2, e, c), t[4] = fma(-2, e, c);
}
inline void points_to_output(const Lanes* t, Lanes* y) {
  const Lanes a = t[1] + t[2], b = t[1] - t[2], c = t[3] + t[4], d = t[3] - t[4];
  y[0] = t[0] + a + c, y[1] = fma(2, d, b), y[2] = fma(4, c, a), y[3] = fma(8, d, b) + t[5];
}
inline void gradient_to_points(const Lanes* y, Lanes* t) {
  const Lanes a = y[0] + y[2], b = y[1] + y[3], c = fma(4, y[2], y[0]), d = fma(4, y[3], y[1]);
  t[0] = y[0], t[1] = a + b, t[2] = a - b, t[3] = fma(2, d, c), t[4] = fma(-2, d, c), t[5] = y[3];
}
// What maps the 3 numbers of a kernel to the points.
constexpr float G[6][3] = {{1 / 4.f, 0, 0}, {-1 / 6.f, -1 / 6.f, -1 / 6.f}, {-1 / 6.f, 1 / 6.f, -1 / 6.f},
                           {1 / 24.f, 1 / 12.f, 1 / 6.f}, {1 / 24.f, -1 / 12.f, 1 / 6.f}, {0, 0, 1}};

// Loads N vectors, transforms them to M and stores these, from where and to where the index says.
template <int N, int M, typename Transform, typename From, typename To>
inline void pass(Transform transform, From from, To to) {
  Lanes a[N], b[M];
#pragma GCC unroll 6
  for (int i = 0; i < N; ++i) a[i] = Lanes::loadu(from(i));
  transform(a, b);
#pragma GCC unroll 6
  for (int i = 0; i < M; ++i) b[i].store(to(i));
}

// 36 matrices, one after another: what tiles (rows) have at a point, by channel (columns).
struct Points {
  int64_t columns, stride;
  std::vector<float> values;
  // With room for a product's last rows to hang over, and no stride of 2^n, at which points would evict each other.
  Points(int64_t tiles, int64_t columns)
      : columns(columns), stride((tiles + ROWS) * columns + COLUMNS), values(POINTS * stride) {}
  float* at(int64_t point, int64_t tile) { return values.data() + point * stride + tile * columns; }
};

// A tensor as rows of tiles, and its way to the points and back, for some of these rows at a time.
struct Tiles {
  int64_t height, width, channels, line, across, down, rows;
  std::vector<float> zeros;
  explicit Tiles(const Tensor& x)
      : height(x.size(2)), width(x.size(3)), channels(x.size(1)), line(width * channels), across(width / 4),
        down(height / 4), rows(x.size(0) * down), zeros(line) {
    TORCH_CHECK(height % 4 == 0 && width % 4 == 0 && channels % COLUMNS == 0, "unsupported shape");
    TORCH_CHECK(x.scalar_type() == at::kFloat, "fp32 is asked for");
    TORCH_CHECK(x.is_contiguous(at::MemoryFormat::ChannelsLast), "channels last is asked for");
  }
  int64_t at_once(int64_t tiles) const { return (tiles + across - 1) / across; }  // in rows
  // Calls f(tile of the row, first channel) for a row's vectors.
  template <typename F> void each(F f) const {
    for (int64_t t = 0; t < across; ++t)
      for (int64_t c = 0; c < channels; c += Lanes::size()) f(t, c);
  }
  void to_points(const float* x, int64_t first, int64_t last, Points& points) const {
    const int64_t wide = line + 2 * channels;  // with a border of zeros
    std::vector<float> half(6 * wide);
    for (int64_t row = first; row < last; ++row) {
      const float* from[6];
      for (int64_t i = 0; i < 6; ++i) {
        const int64_t y = row % down * 4 - 1 + i;
        from[i] = y < 0 || y >= height ? zeros.data() : x + (row / down * height + y) * line;
      }
      const float* ahead = x + (std::min(row + 1, rows - 1) * 4) * line;
      for (int64_t c = 0; c < line; c += Lanes::size()) {
        for (int i = 0; i < 4; ++i) __builtin_prefetch(ahead + i * line + c);
        pass<6, 6>(input_to_points, [&](int i) { return from[i] + c; },
                   [&](int i) { return &half[i * wide + channels + c]; });
      }
      for (int64_t i = 0; i < 6; ++i)
        each([&](int64_t t, int64_t c) {
          const float* at = &half[i * wide + 4 * t * channels + c];
          float* to = points.at(6 * i, (row - first) * across + t) + c;
          pass<6, 6>(input_to_points, [&](int j) { return at + j * channels; },
                     [&](int j) { return to + j * points.stride; });
        });
    }
  }
  void gradients_to_points(const float* y, int64_t first, int64_t last, Points& points) const {
    std::vector<float> half(6 * line);
    for (int64_t row = first; row < last; ++row) {
      const float* from = y + row * 4 * line;
      for (int64_t c = 0; c < line; c += Lanes::size())
        pass<4, 6>(gradient_to_points, [&](int i) { return from + i * line + c; },
                   [&](int i) { return &half[i * line + c]; });
      for (int64_t i = 0; i < 6; ++i)
        each([&](int64_t t, int64_t c) {
          const float* at = &half[i * line + 4 * t * channels + c];
          float* to = points.at(6 * i, (row - first) * across + t) + c;
          pass<4, 6>(gradient_to_points, [&](int j) { return at + j * channels; },
                     [&](int j) { return to + j * points.stride; });
        });
    }
  }
  void from_points(Points& points, int64_t first, int64_t last, float* y) const {
    std::vector<float> half(6 * line);
    for (int64_t row = first; row < last; ++row) {
      for (int64_t i = 0; i < 6; ++i)
        each([&](int64_t t, int64_t c) {
          const float* from = points.at(6 * i, (row - first) * across + t) + c;
          float* to = &half[i * line + 4 * t * channels + c];
          pass<6, 4>(points_to_output, [&](int j) { return from + j * points.stride; },
                     [&](int j) { return to + j * channels; });
        });
      float* to = y + row * 4 * line;
      const int64_t ahead = row + 1 < rows ? 4 * line : 0;
      for (int64_t c = 0; c < line; c += Lanes::size()) {
        for (int i = 0; i < 4; ++i) __builtin_prefetch(to + ahead + i * line + c, 1);
        pass<6, 4>(points_to_output, [&](int i) { return &half[i * line + c]; },
                   [&](int i) { return to + i * line + c; });
      }
    }
  }
};

// c = a b, or added to c: N rows of it and COLUMNS columns, of a by left(row, k).
template <int N, bool ADD, typename Left>
inline void multiply(Left left, const float* b, int64_t b_row, int64_t depth, float* c, int64_t c_row) {
  Lanes sums[N][VECTORS];
#pragma GCC unroll 12
  for (int r = 0; r < N; ++r)
    for (int v = 0; v < VECTORS; ++v) sums[r][v] = ADD ? Lanes::loadu(c + r * c_row + v * Lanes::size()) : Lanes(0);
  for (int64_t k = 0; k < depth; ++k) {
    Lanes right[VECTORS];
    for (int v = 0; v < VECTORS; ++v) right[v] = Lanes::loadu(b + k * b_row + v * Lanes::size());
#pragma GCC unroll 12
    for (int r = 0; r < N; ++r)
      for (int v = 0; v < VECTORS; ++v) sums[r][v] = fma(left(r, k), right[v], sums[r][v]);
  }
#pragma GCC unroll 12
  for (int r = 0; r < N; ++r)
    for (int v = 0; v < VECTORS; ++v) sums[r][v].store(c + r * c_row + v * Lanes::size());
}

// G k G^T for all kernels k of (3, 3, in, out): point by point and, for `multiply`, COLUMNS outputs together.
inline std::vector<float> transformed(const Tensor& kernels) {
  const int64_t in = kernels.size(2), out = kernels.size(3), all = in * out;
  std::vector<float> points(POINTS * all);
  const float* from = kernels.const_data_ptr<float>();
  for (int64_t i = 0; i < in; ++i)
    for (int64_t o = 0; o < out; o += Lanes::size()) {
      Lanes half[6][3];
      for (int p = 0; p < 6; ++p)
        for (int b = 0; b < 3; ++b) {
          half[p][b] = Lanes(0);
          for (int a = 0; a < 3; ++a)
            half[p][b] = fma(G[p][a], Lanes::loadu(from + (3 * a + b) * all + i * out + o), half[p][b]);
        }
      for (int p = 0; p < 6; ++p)
        for (int q = 0; q < 6; ++q) {
          Lanes sum(0);
          for (int b = 0; b < 3; ++b) sum = fma(G[q][b], half[p][b], sum);
          sum.store(&points[(6 * p + q) * all + (o / COLUMNS * in + i) * COLUMNS + o % COLUMNS]);
        }
    }
  return points;
}

// The convolution of x with kernels of (3, 3, in, out).
inline Tensor convolve(const Tensor& x, const Tensor& kernels) {
  const int64_t in = kernels.size(2), out = kernels.size(3);
  TORCH_CHECK(x.size(1) == in && kernels.size(0) == 3 && kernels.size(1) == 3, "unlike shapes");
  const auto options = x.options().memory_format(at::MemoryFormat::ChannelsLast);
  const Tensor y = at::empty({x.size(0), out, x.size(2), x.size(3)}, options);
  const Tiles inputs(x), outputs(y);
  const auto weights = transformed(kernels);
  const float* from = x.const_data_ptr<float>();
  float* to = y.data_ptr<float>();
  const int64_t rows = inputs.at_once(std::max<int64_t>(24, NUMBERS / std::max(in, out)));
  at::parallel_for(0, (inputs.rows + rows - 1) / rows, 1, [&](int64_t begin, int64_t end) {
    Points before(rows * inputs.across, in), after(rows * inputs.across, out);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i * rows, last = std::min(inputs.rows, first + rows);
      inputs.to_points(from, first, last, before);
      for (int64_t p = 0; p < POINTS; ++p)
        for (int64_t o = 0; o < out; o += COLUMNS)
          for (int64_t t = 0; t < (last - first) * inputs.across; t += ROWS) {
            const float* tiles = before.at(p, t);
            multiply<ROWS, false>([&](int r, int64_t k) { return tiles[r * in + k]; }, &weights[(p * out + o) * in],
                                  COLUMNS, in, after.at(p, t) + o, out);
          }
      outputs.from_points(after, first, last, to);
    }
  });
  return y;
}

// The gradient of kernels of (3, 3, in, out).
inline Tensor differentiate_kernels(const Tensor& x, const Tensor& dy) {
  const Tiles inputs(x), outputs(dy);
  TORCH_CHECK(inputs.rows == outputs.rows && inputs.width == outputs.width, "unlike shapes");
  const int64_t in = inputs.channels, out = outputs.channels, all = in * out, widest = std::max(in, out);
  std::vector<float> sums(PIECES * POINTS * all);
  const float *from = x.const_data_ptr<float>(), *arriving = dy.const_data_ptr<float>();
  const int64_t rows = inputs.at_once(std::max(2 * widest, NUMBERS / widest));
  const int64_t piece = (inputs.rows + PIECES - 1) / PIECES;
  at::parallel_for(0, PIECES, 1, [&](int64_t begin, int64_t end) {
    Points left(rows * inputs.across, in), right(rows * inputs.across, out);
    for (int64_t i = begin; i < end; ++i)
      for (int64_t first = i * piece, stop = std::min(inputs.rows, first + piece); first < stop; first += rows) {
        const int64_t last = std::min(stop, first + rows);
        inputs.to_points(from, first, last, left);
        outputs.gradients_to_points(arriving, first, last, right);
        for (int64_t p = 0; p < POINTS; ++p)
          for (int64_t o = 0; o < out; o += COLUMNS)
            for (int64_t c = 0; c < in; c += LINES) {
              const float* channels = left.at(p, 0) + c;
              multiply<LINES, true>([&](int r, int64_t k) { return channels[k * in + r]; }, right.at(p, 0) + o, out,
                                    (last - first) * inputs.across, &sums[(i * POINTS + p) * all + c * out + o], out);
            }
      }
  });
  const Tensor gradient = at::empty({3, 3, in, out}, x.options());
  float* to = gradient.data_ptr<float>();
  for (int64_t k = 0; k < all; k += Lanes::size()) {  // G^T s G
    Lanes half[3][6];
    for (int q = 0; q < 6; ++q) {
      for (int a = 0; a < 3; ++a) half[a][q] = Lanes(0);
      for (int p = 0; p < 6; ++p) {
        Lanes sum(0);
        for (int64_t i = 0; i < PIECES; ++i) sum = sum + Lanes::loadu(&sums[(i * POINTS + 6 * p + q) * all + k]);
        for (int a = 0; a < 3; ++a) half[a][q] = fma(G[p][a], sum, half[a][q]);
      }
    }
    for (int a = 0; a < 3; ++a)
      for (int b = 0; b < 3; ++b) {
        Lanes sum(0);
        for (int q = 0; q < 6; ++q) sum = fma(G[q][b], half[a][q], sum);
        sum.store(to + (3 * a + b) * all + k);
      }
  }
  return gradient;
}

}  // namespace winograd
