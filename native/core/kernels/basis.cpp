#include "basis.hpp"

#include "device.hpp"
#include "operands.hpp"
#include "rows.hpp"

namespace critical_sharpness::kernels {
namespace {

template <class T>
CS_INLINE void add_scaled(T* __restrict out, const T* __restrict x, T k, int64_t n) {
  for (int64_t i = 0; i < n; i++) out[i] += k * x[i];
}
template <class T>
CS_INLINE double dot(const T* a, const T* b, int64_t n) {
  return row_sum<double>(n, [&](int64_t i) { return static_cast<double>(a[i]) * static_cast<double>(b[i]); });
}
CS_SIMD void add_loop(float* out, const float* x, float k, int64_t n) { add_scaled(out, x, k, n); }
CS_SIMD void add_loop(double* out, const double* x, double k, int64_t n) { add_scaled(out, x, k, n); }
CS_SIMD double dot_loop(const float* a, const float* b, int64_t n) { return dot(a, b, n); }
CS_SIMD double dot_loop(const double* a, const double* b, int64_t n) { return dot(a, b, n); }

}  // namespace

std::vector<double> subtract_and_project_chunks(const Basis& basis, const std::vector<at::Tensor>& w,
                                                const std::vector<double>& subtract, bool project) {
  CS_ON_CUDA(w.front(), subtract_and_project_chunks(basis, w, subtract, project));
  const auto chunks = chunks_of(w);
  const size_t projected = project ? basis.size() : 0, sums = projected + 1;
  std::vector<double> partial(chunks.size() * sums, 0.0);
  with_element_type(w, [&](auto type) {
    using T = decltype(type);
    for_each_chunk(chunks, [&](const Chunk& c, size_t k) {
      T* to = write<T>(w[c.tensor], c);
      for (size_t j = 0; j < subtract.size(); j++)
        add_loop(to, read<T>(basis[j][c.tensor], c), static_cast<T>(-subtract[j]), c.length);
      for (size_t j = 0; j < projected; j++) partial[k * sums + j] = dot_loop(read<T>(basis[j][c.tensor], c), to, c.length);
      partial[k * sums + projected] = dot_loop(to, to, c.length);
    });
  });
  return partial;
}

std::vector<double> subtract_and_project(const Basis& basis, const std::vector<at::Tensor>& w,
                                         const std::vector<double>& subtract, bool project) {
  CS_ON_CUDA(w.front(), subtract_and_project(basis, w, subtract, project));
  const auto partial = subtract_and_project_chunks(basis, w, subtract, project);
  std::vector<double> total((project ? basis.size() : 0) + 1, 0.0);
  for (size_t k = 0; k < partial.size(); k++) total[k % total.size()] += partial[k];
  return total;
}

void rotate(const Basis& basis, const std::vector<double>& combination, size_t kept) {
  CS_ON_CUDA(basis.front().front(), rotate(basis, combination, kept));
  const size_t size = basis.size();
  with_element_type(basis.front(), [&](auto type) {
    using T = decltype(type);
    for_each_chunk(chunks_of(basis.front()), [&](const Chunk& c, size_t) {
      const auto length = static_cast<size_t>(c.length);
      std::vector<T> made(kept * length, T(0));
      for (size_t i = 0; i < kept; i++)
        for (size_t j = 0; j < size; j++)
          add_loop(made.data() + i * length, read<T>(basis[j][c.tensor], c), static_cast<T>(combination[i * size + j]), c.length);
      for (size_t i = 0; i < kept; i++)
        std::copy_n(made.data() + i * length, length, write<T>(basis[i][c.tensor], c));
    });
  });
}

void combine(const std::vector<at::Tensor>& out, const Basis& vectors, const std::vector<double>& coefficients,
             const Cancellation& cancel) {
  CS_ON_CUDA(out.front(), combine(out, vectors, coefficients));
  with_element_type(out, [&](auto type) {
    using T = decltype(type);
    for_each_chunk(chunks_of(out), cancel, [&](const Chunk& c, size_t) {
      T* to = write<T>(out[c.tensor], c);
      std::fill_n(to, c.length, T(0));
      for (size_t j = 0; j < vectors.size(); j++)
        if (vectors[j][c.tensor].defined())
          add_loop(to, read<T>(vectors[j][c.tensor], c), static_cast<T>(coefficients[j]), c.length);
    });
  });
}

}  // namespace critical_sharpness::kernels
