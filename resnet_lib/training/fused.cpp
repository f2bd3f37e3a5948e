// Batch norm in training, with the addition of a shortcut and the ReLU that follow it: two passes over memory forward and
// two backward, in place of those of each operation. Tensors are (N, C, H, W) with channels last, so N H W rows of C
// columns. Sums are made in fp32 over pieces of fixed size, which are added in double: a result does not depend on the
// number of threads.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/cpu/vec/vec.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>
#include <vector>

#include "winograd.h"

using at::Tensor;
using Lanes = at::vec::Vectorized<float>;

// WIDTH, which the compiler is told: columns that a loop works on at a time, their coefficients in registers.
constexpr int64_t ROWS = 256;           // rows that are summed in fp32: the fewer, the more digits hold
constexpr int64_t AHEAD = 16;           // rows ahead that are fetched: a core waits for memory otherwise, a fifth longer
constexpr int PAIR = 2 * Lanes::size();
constexpr int PAIRS = WIDTH / PAIR;

using Two = std::tuple<Lanes, Lanes>;
inline Two load(const float* p) { return {Lanes::loadu(p), Lanes::loadu(p + Lanes::size())}; }
inline Two load(const at::BFloat16* p) {
  return at::vec::convert_bfloat16_float(at::vec::Vectorized<at::BFloat16>::loadu(p));
}
inline void store(float* p, Lanes a, Lanes b) { a.store(p), b.store(p + Lanes::size()); }
inline void store(at::BFloat16* p, Lanes a, Lanes b) { at::vec::convert_float_bfloat16(a, b).store(p); }
template <typename S> inline Two fetch(const S* p, int64_t ahead) { return __builtin_prefetch(p + ahead), load(p); }

// What each column of a matrix is multiplied by and so on, with columns repeated until there are WIDTH.
struct Coefficients {
  Lanes of[2 * PAIRS];
  explicit Coefficients(const float* p) {
    for (int k = 0; k < 2 * PAIRS; ++k) of[k] = Lanes::loadu(p + k * Lanes::size());
  }
};

// The matrix as one of `columns` columns, at least WIDTH, in pieces of ROWS rows by WIDTH columns.
struct Shape {
  int64_t channels, columns, rows, pieces, groups, ahead;
  explicit Shape(const Tensor& x) : channels(x.size(1)), columns(std::max<int64_t>(channels, WIDTH)) {
    TORCH_CHECK(columns % channels == 0 && columns % WIDTH == 0 && x.numel() % columns == 0, "unsupported shape");
    TORCH_CHECK(x.is_contiguous(at::MemoryFormat::ChannelsLast), "channels last is asked for");
    rows = x.numel() / columns, pieces = (rows + ROWS - 1) / ROWS, groups = columns / WIDTH;
    ahead = AHEAD * columns;
  }
  int64_t count() const { return rows * (columns / channels); }  // values of one channel
  // Calls f(piece, group of columns, offset of its first element, offset of the end) for all of them, in parallel.
  template <typename F> void each(F f) const {
    at::parallel_for(0, pieces * groups, 1, [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i) {
        const int64_t piece = i / groups, group = i % groups;
        f(piece, group, piece * ROWS * columns + group * WIDTH, std::min(rows, (piece + 1) * ROWS) * columns);
      }
    });
  }
  // That a tensor is laid out as this one says.
  static void same(const std::optional<Tensor>& tensor, const Tensor& x) {
    TORCH_CHECK(!tensor || (tensor->sizes() == x.sizes() && tensor->scalar_type() == x.scalar_type() &&
                            tensor->is_contiguous(at::MemoryFormat::ChannelsLast)),
                "unlike shapes or types");
  }
  std::vector<float> repeated(const std::vector<float>& by_channel) const {
    std::vector<float> all(columns);
    for (int64_t k = 0; k < columns; ++k) all[k] = by_channel[k % channels];
    return all;
  }
  // Sums by channel of what pieces have left by column.
  std::vector<double> total(const std::vector<float>& parts) const {
    std::vector<double> sums(channels, 0.0);
    for (int64_t i = 0; i < pieces * columns; i += channels)
      for (int64_t c = 0; c < channels; ++c) sums[c] += parts[i + c];
    return sums;
  }
};

template <typename S>
void normalise(const Shape& shape, const S* x, const S* shortcut, const float* weight, const float* bias, double eps,
               bool relu, S* y, float* mean, float* inverse, double* variance) {
  // Differences from the first value of a channel: the square of a large mean would drown the variance.
  std::vector<float> origin(shape.channels), scale(shape.channels), shift(shape.channels);
  for (int64_t c = 0; c < shape.channels; ++c) origin[c] = static_cast<float>(x[c]);
  const auto origins = shape.repeated(origin);
  std::vector<float> sums(shape.pieces * shape.columns), squares(sums.size());
  shape.each([&](int64_t piece, int64_t group, int64_t begin, int64_t end) {
    const Coefficients o(&origins[group * WIDTH]);
    Lanes s[2 * PAIRS], q[2 * PAIRS];
    for (int k = 0; k < 2 * PAIRS; ++k) s[k] = q[k] = Lanes(0);
    for (int64_t i = begin; i < end; i += shape.columns)
      for (int k = 0; k < PAIRS; ++k) {
        auto [a, b] = fetch(x + i + k * PAIR, shape.ahead);
        a = a - o.of[2 * k], b = b - o.of[2 * k + 1];
        s[2 * k] = s[2 * k] + a, s[2 * k + 1] = s[2 * k + 1] + b;
        q[2 * k] = at::vec::fmadd(a, a, q[2 * k]), q[2 * k + 1] = at::vec::fmadd(b, b, q[2 * k + 1]);
      }
    const int64_t at = piece * shape.columns + group * WIDTH;
    for (int k = 0; k < 2 * PAIRS; ++k)
      s[k].store(&sums[at + k * Lanes::size()]), q[k].store(&squares[at + k * Lanes::size()]);
  });
  const auto first = shape.total(sums), second = shape.total(squares);
  for (int64_t c = 0; c < shape.channels; ++c) {
    const double m = first[c] / shape.count();
    variance[c] = std::max(0.0, second[c] / shape.count() - m * m);
    mean[c] = origin[c] + m, inverse[c] = 1 / std::sqrt(variance[c] + eps);
    scale[c] = weight[c] * inverse[c], shift[c] = bias[c] - mean[c] * scale[c];
  }
  const auto scales = shape.repeated(scale), shifts = shape.repeated(shift);
  shape.each([&](int64_t, int64_t group, int64_t begin, int64_t end) {
    const Coefficients w(&scales[group * WIDTH]), v(&shifts[group * WIDTH]);
    const Lanes zero(0);
    for (int64_t i = begin; i < end; i += shape.columns)
      for (int k = 0; k < PAIRS; ++k) {
        const int64_t at = i + k * PAIR;
        auto [a, b] = fetch(x + at, shape.ahead);
        a = at::vec::fmadd(a, w.of[2 * k], v.of[2 * k]), b = at::vec::fmadd(b, w.of[2 * k + 1], v.of[2 * k + 1]);
        if (shortcut) {
          const auto [c, d] = fetch(shortcut + at, shape.ahead);
          a = a + c, b = b + d;
        }
        if (relu) a = at::vec::maximum(a, zero), b = at::vec::maximum(b, zero);
        store(y + at, a, b);
      }
  });
}

// Gradients. What arrives by two ways (`dy`, `dz`) is added here, and passes where a ReLU let the sum pass: where `out` is
// positive or, if nothing was added to it, where normalising `x` again gives something positive, which reads less.
template <typename S>
void differentiate(const Shape& shape, const S* dy, const S* dz, const S* x, const S* out, const float* weight,
                   const float* bias, const float* mean, const float* inverse, bool relu, S* dx, S* dshortcut,
                   float* dweight, float* dbias) {
  std::vector<float> sums(shape.pieces * shape.columns), products(sums.size());
  std::vector<float> scale(shape.channels), slope(shape.channels), shift(shape.channels), offset(shape.channels);
  for (int64_t c = 0; c < shape.channels; ++c)
    scale[c] = weight[c] * inverse[c], offset[c] = bias[c] - mean[c] * scale[c];  // as in `normalise`
  const auto means = shape.repeated({mean, mean + shape.channels});
  const auto scales = shape.repeated(scale), offsets = shape.repeated(offset);
  const Lanes zero(0);
  const auto arriving = [&](int64_t at, int k, Two value, const Coefficients& w, const Coefficients& o) {
    auto [a, b] = fetch(dy + at, shape.ahead);
    if (dz) {
      const auto [c, d] = fetch(dz + at, shape.ahead);
      a = a + c, b = b + d;
    }
    if (relu) {
      auto [c, d] = value;
      if (out)
        std::tie(c, d) = fetch(out + at, shape.ahead);
      else
        c = at::vec::fmadd(c, w.of[2 * k], o.of[2 * k]), d = at::vec::fmadd(d, w.of[2 * k + 1], o.of[2 * k + 1]);
      a = a & (c > zero), b = b & (d > zero);
    }
    return Two{a, b};
  };
  shape.each([&](int64_t piece, int64_t group, int64_t begin, int64_t end) {
    const Coefficients m(&means[group * WIDTH]), w(&scales[group * WIDTH]), o(&offsets[group * WIDTH]);
    Lanes s[2 * PAIRS], q[2 * PAIRS];
    for (int k = 0; k < 2 * PAIRS; ++k) s[k] = q[k] = zero;
    for (int64_t i = begin; i < end; i += shape.columns)
      for (int k = 0; k < PAIRS; ++k) {
        const int64_t at = i + k * PAIR;
        const auto [c, d] = fetch(x + at, shape.ahead);
        const auto [a, b] = arriving(at, k, {c, d}, w, o);
        if (dshortcut) store(dshortcut + at, a, b);
        s[2 * k] = s[2 * k] + a, s[2 * k + 1] = s[2 * k + 1] + b;
        q[2 * k] = at::vec::fmadd(a, c - m.of[2 * k], q[2 * k]);
        q[2 * k + 1] = at::vec::fmadd(b, d - m.of[2 * k + 1], q[2 * k + 1]);
      }
    const int64_t at = piece * shape.columns + group * WIDTH;
    for (int k = 0; k < 2 * PAIRS; ++k)
      s[k].store(&sums[at + k * Lanes::size()]), q[k].store(&products[at + k * Lanes::size()]);
  });
  const auto first = shape.total(sums), second = shape.total(products);
  for (int64_t c = 0; c < shape.channels; ++c) {
    dbias[c] = first[c], dweight[c] = second[c] * inverse[c];
    // dx = scale (dy - mean of dy - normalised x * mean of dy * normalised x)
    slope[c] = -scale[c] * inverse[c] * dweight[c] / shape.count();
    shift[c] = -scale[c] * dbias[c] / shape.count() - mean[c] * slope[c];
  }
  const auto slopes = shape.repeated(slope), shifts = shape.repeated(shift);
  shape.each([&](int64_t, int64_t group, int64_t begin, int64_t end) {
    const Coefficients w(&scales[group * WIDTH]), o(&offsets[group * WIDTH]);
    const Coefficients u(&slopes[group * WIDTH]), v(&shifts[group * WIDTH]);
    for (int64_t i = begin; i < end; i += shape.columns)
      for (int k = 0; k < PAIRS; ++k) {
        const int64_t at = i + k * PAIR;
        const auto [c, d] = fetch(x + at, shape.ahead);
        const auto [a, b] = dshortcut ? fetch(dshortcut + at, shape.ahead) : arriving(at, k, {c, d}, w, o);
        store(dx + at, at::vec::fmadd(c, u.of[2 * k], at::vec::fmadd(a, w.of[2 * k], v.of[2 * k])),
              at::vec::fmadd(d, u.of[2 * k + 1], at::vec::fmadd(b, w.of[2 * k + 1], v.of[2 * k + 1])));
      }
  });
}

// Calls a template for the type of a tensor.
#define FOR_TYPE_OF(X, ...)                                                              \
  if (X.scalar_type() == at::kBFloat16) { using S = at::BFloat16; __VA_ARGS__; }         \
  else { TORCH_CHECK(X.scalar_type() == at::kFloat, "bf16 or fp32 is asked for"); using S = float; __VA_ARGS__; }

template <typename S> const S* values(const Tensor& t) { return t.const_data_ptr<S>(); }
template <typename S> const S* values(const std::optional<Tensor>& t) { return t ? t->const_data_ptr<S>() : nullptr; }
template <typename S> S* room(const Tensor& t) { return t.defined() ? t.data_ptr<S>() : nullptr; }

std::tuple<Tensor, Tensor, Tensor> forward(const Tensor& x, const std::optional<Tensor>& shortcut, const Tensor& weight,
                                           const Tensor& bias, const Tensor& running_mean, const Tensor& running_var,
                                           double momentum, double eps, bool relu) {
  const Shape shape(x);
  shape.same(shortcut, x);
  const Tensor y = at::empty_like(x), mean = at::empty_like(weight), inverse = at::empty_like(weight);
  std::vector<double> variance(shape.channels);
  FOR_TYPE_OF(x, normalise<S>(shape, values<S>(x), values<S>(shortcut), values<float>(weight), values<float>(bias), eps,
                              relu, room<S>(y), room<float>(mean), room<float>(inverse), variance.data()))
  const double unbiased = static_cast<double>(shape.count()) / std::max<int64_t>(1, shape.count() - 1);
  for (int64_t c = 0; c < shape.channels; ++c) {
    float &m = room<float>(running_mean)[c], &v = room<float>(running_var)[c];
    m += momentum * (values<float>(mean)[c] - m);
    v += momentum * (variance[c] * unbiased - v);
  }
  return {y, mean, inverse};
}

std::tuple<Tensor, Tensor, Tensor, Tensor> backward(const Tensor& dy, const std::optional<Tensor>& dz, const Tensor& x,
                                                    const std::optional<Tensor>& out, const Tensor& weight,
                                                    const Tensor& bias, const Tensor& mean, const Tensor& inverse,
                                                    bool relu, bool shortcut) {
  const Shape shape(x);
  shape.same(dy, x), shape.same(dz, x), shape.same(out, x);
  const Tensor dx = at::empty_like(x), dweight = at::empty_like(weight), dbias = at::empty_like(weight);
  const Tensor dshortcut = shortcut ? at::empty_like(x) : Tensor();
  FOR_TYPE_OF(x, differentiate<S>(shape, values<S>(dy), values<S>(dz), values<S>(x), values<S>(out),
                                  values<float>(weight), values<float>(bias), values<float>(mean),
                                  values<float>(inverse), relu, room<S>(dx), room<S>(dshortcut), room<float>(dweight),
                                  room<float>(dbias)))
  return {dx, dshortcut, dweight, dbias};
}

Tensor convolution(const Tensor& x, const Tensor& weight) {
  return winograd::convolve(x, weight.permute({2, 3, 1, 0}).contiguous());
}

std::tuple<Tensor, Tensor> convolution_backward(const Tensor& dy, const Tensor& x, const Tensor& weight) {
  return {winograd::convolve(dy, weight.flip({2, 3}).permute({2, 3, 0, 1}).contiguous()),
          winograd::differentiate_kernels(x, dy).permute({3, 2, 0, 1})};
}

TORCH_LIBRARY(resnet_lib, library) {
  library.def("convolution(Tensor x, Tensor weight) -> Tensor", &convolution);
  library.def("convolution_backward(Tensor dy, Tensor x, Tensor weight) -> (Tensor, Tensor)", &convolution_backward);
  library.def(
      "normalise(Tensor x, Tensor? shortcut, Tensor weight, Tensor bias, Tensor(a!) running_mean, "
      "Tensor(b!) running_var, float momentum, float eps, bool relu) -> (Tensor, Tensor, Tensor)",
      &forward);
  library.def(
      "normalise_backward(Tensor dy, Tensor? dz, Tensor x, Tensor? out, Tensor weight, Tensor bias, Tensor mean, "
      "Tensor inverse, bool relu, bool shortcut) -> (Tensor, Tensor, Tensor, Tensor)",
      &backward);
}
