#include "delta_at.cuh"
#include "each_number.cuh"
#include "kernels.hpp"

namespace critical_sharpness::cuda {
namespace {

/// out = θ − ηΔ, rounded once to Out.
template <class T, class Out>
struct Perturb {
  Out* out;
  WeightAt<T> weight;
  DeltaAt<T> delta;
  T learning_rate;
  __device__ void operator()(int64_t i) const { out[i] = static_cast<Out>(weight(i) - learning_rate * delta(i)); }
};

/// out = θ rounded: no −0 for a 0, nor NaN for 0·∞.
template <class T, class Out>
struct Convert {
  Out* out;
  WeightAt<T> weight;
  __device__ void operator()(int64_t i) const { out[i] = static_cast<Out>(weight(i)); }
};

struct NegativeStep {
  c10::BFloat16* out;
  DeltaAt<float> delta;
  float learning_rate;
  __device__ void operator()(int64_t i) const { out[i] = c10::BFloat16(-learning_rate * delta(i)); }
};

/// rows[i] −= ηΔ[ids[row of i]]
template <class T>
struct PerturbRow {
  T* rows;
  const int64_t* ids;
  int64_t width;
  DeltaAt<T> delta;
  T learning_rate;
  __device__ void operator()(int64_t i) const {
    const int64_t row = i / width;
    rows[i] = rows[i] - learning_rate * delta(ids[row] * width + (i - row * width));
  }
};

template <class T>
struct Write {
  T* out;
  DeltaAt<T> delta;
  __device__ void operator()(int64_t i) const { out[i] = delta(i); }
};

template <class T, class Out>
void perturb_as(const at::Tensor& out, const at::Tensor& weight, const Delta& delta, double learning_rate) {
  Out* to = out.mutable_data_ptr<Out>();
  const WeightAt<T> from(weight);
  if (kernels::is_zero(delta)) return for_each_number<Convert<T, Out>>({{to, from}}, {out.numel()});
  for_each_number<Perturb<T, Out>>({{to, from, DeltaAt<T>(delta), static_cast<T>(learning_rate)}}, {out.numel()});
}

}  // namespace

void perturb(const at::Tensor& out, const at::Tensor& weight, const Delta& delta, double learning_rate) {
  if (out.scalar_type() == at::kBFloat16) return perturb_as<float, c10::BFloat16>(out, weight, delta, learning_rate);
  with_type(out.scalar_type(), [&](auto type) { perturb_as<decltype(type), decltype(type)>(out, weight, delta, learning_rate); });
}

void negative_step(const at::Tensor& out, const Delta& delta, double learning_rate) {
  const NegativeStep work{out.mutable_data_ptr<c10::BFloat16>(), DeltaAt<float>(delta), static_cast<float>(learning_rate)};
  for_each_number<NegativeStep>({work}, {out.numel()});
}

void perturb_rows(const at::Tensor& rows, const at::Tensor& ids, const Delta& delta, double learning_rate) {
  with_type(rows.scalar_type(), [&](auto type) {
    using T = decltype(type);
    const PerturbRow<T> work{rows.mutable_data_ptr<T>(), ids.const_data_ptr<int64_t>(), rows.size(-1), DeltaAt<T>(delta),
                             static_cast<T>(learning_rate)};
    for_each_number<PerturbRow<T>>({work}, {rows.numel()});
  });
}

void write(const TensorList& out, const std::vector<Delta>& deltas) {
  const auto all = [&](auto type) {
    using T = decltype(type);
    std::vector<Write<T>> work;
    std::vector<int64_t> lengths;
    for (size_t i = 0; i < out.size(); i++) {
      if (!out[i].defined() || kernels::is_zero(deltas[i])) continue;
      work.push_back({out[i].mutable_data_ptr<T>(), DeltaAt<T>(deltas[i])});
      lengths.push_back(out[i].numel());
    }
    for_each_number(work, lengths);
  };
  for (const auto& t : out)
    if (t.defined()) return with_type(t.scalar_type(), all);
}

}  // namespace critical_sharpness::cuda
