#include "operators.hpp"

#include <c10/util/Exception.h>

#include <sstream>
#include <unordered_set>

namespace critical_sharpness::program {
namespace {

// Operators that compute: from their arguments, without randomness, files, raw memory, or trust in indices that were not checked.
// An entry stands for its overloads and for its variant that writes to its first argument (relu, relu_). Left out on purpose:
// what takes indices or sizes on faith (max_unpool, the backward passes of max pools and norms, embedding_bag, ctc_loss, packed sequences), what
// changes storage (set_, resize_), and everything sparse, quantized or of one kind of device.
const char* const allowed[] = {
    // elementwise
    "abs absolute acos acosh add addcdiv addcmul arccos arccosh arcsin arcsinh arctan arctan2 arctanh asin asinh atan atan2 atanh "
    "bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor __and__ __or__ __xor__ __iand__ __ior__ __ixor__ "
    "ceil celu clamp clamp_max clamp_min clip copysign cos cosh deg2rad digamma div divide elu eq erf erfc erfinv exp exp2 expm1 fill fix "
    "float_power floor floor_divide fmax fmin fmod frac ge gelu glu greater greater_equal gt hardshrink hardsigmoid hardswish hardtanh "
    "heaviside hypot i0 isclose isfinite isinf isnan isneginf isposinf isreal ldexp le leaky_relu lerp less less_equal lgamma log log10 log1p "
    "log2 log_sigmoid log_sigmoid_forward logaddexp logaddexp2 logical_and logical_not logical_or logical_xor logit lt masked_fill maximum "
    "minimum mish mul multiply nan_to_num ne neg negative not_equal positive pow prelu _prelu_kernel rad2deg reciprocal relu relu6 remainder "
    "round rsqrt rsub selu sgn sigmoid sign signbit silu sin sinc sinh softplus softshrink sqrt square sub subtract tan tanh threshold "
    "true_divide trunc where xlogy special_digamma special_entr special_erf special_erfc special_erfcx special_erfinv special_exp2 "
    "special_expit special_expm1 special_gammaln special_i0 special_i0e special_i1 special_i1e special_log1p special_log_ndtr special_logit "
    "special_ndtr special_ndtri special_psi special_round special_sinc special_xlog1py special_xlogy",
    // over an axis
    "all amax amin aminmax any argmax argmin argsort count_nonzero cummax cummin cumprod cumsum cumulative_trapezoid diff dist frobenius_norm "
    "kthvalue linalg_matrix_norm linalg_norm linalg_vector_norm log_softmax _log_softmax logcumsumexp logsumexp max mean median min msort "
    "nanmean nanmedian nansum norm prod quantile softmax _softmax _safe_softmax sort special_log_softmax special_logsumexp special_softmax std "
    "std_mean sum sum_to_size topk trace trapezoid trapz var var_mean cdist _cdist_forward _euclidean_dist pairwise_distance cosine_similarity",
    // shapes and places
    "adjoint alias as_strided atleast_1d atleast_2d atleast_3d block_diag broadcast_tensors broadcast_to cartesian_prod cat chunk clone "
    "column_stack combinations concat concatenate constant_pad_nd contiguous copy detach diag diag_embed diagflat diagonal diagonal_scatter "
    "dsplit dstack expand expand_as flatten flip fliplr flipud hsplit hstack lift lift_fresh lift_fresh_copy mT matrix_H meshgrid movedim "
    "moveaxis narrow numpy_T pad _pad_circular _pad_enum permute pixel_shuffle pixel_unshuffle channel_shuffle ravel reflection_pad1d "
    "reflection_pad2d reflection_pad3d repeat repeat_interleave replication_pad1d replication_pad2d replication_pad3d reshape reshape_as "
    "_reshape_alias resolve_conj resolve_neg roll rot90 row_stack select select_scatter slice slice_scatter split split_with_sizes squeeze "
    "stack _stack swapaxes swapdims t tensor_split tile to _to_copy transpose tril triu type_as unbind unflatten unfold unsafe_chunk "
    "unsafe_split unsafe_split_with_sizes _unsafe_view unsqueeze view view_as vsplit vstack",
    // made anew
    "arange empty empty_like empty_permuted empty_strided eye full full_like linspace logspace new_empty new_empty_strided new_full new_ones "
    "new_zeros one_hot ones ones_like scalar_tensor tril_indices triu_indices zero zeros zeros_like hann_window hamming_window",
    // by indices, which are checked
    "bucketize embedding gather index index_add index_copy index_fill index_put index_select isin masked_scatter "
    "masked_select nonzero argwhere scatter scatter_add scatter_reduce searchsorted take take_along_dim _unsafe_index _unsafe_index_put",
    // linear algebra
    "addbmm addmm _addmm_activation addmv addr baddbmm bilinear bmm chain_matmul cholesky cross det dot einsum ger inner inverse kron "
    "linalg_cholesky linalg_cholesky_ex linalg_cross linalg_det _linalg_det linalg_diagonal linalg_eigh _linalg_eigh linalg_eigvalsh "
    "linalg_inv linalg_inv_ex linalg_matmul linalg_matrix_exp linalg_matrix_power linalg_multi_dot linalg_qr linalg_slogdet _linalg_slogdet "
    "linalg_solve linalg_solve_ex _linalg_solve_ex linalg_solve_triangular linalg_svd _linalg_svd linalg_svdvals linalg_vecdot linear logdet "
    "matmul matrix_exp matrix_power mm mv outer slogdet tensordot vdot _trilinear",
    // layers
    "adaptive_avg_pool1d adaptive_avg_pool2d _adaptive_avg_pool2d adaptive_avg_pool3d _adaptive_avg_pool3d adaptive_max_pool1d "
    "adaptive_max_pool2d adaptive_max_pool3d affine_grid_generator avg_pool1d avg_pool2d avg_pool3d batch_norm _batch_norm_impl_index "
    "native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_functional _native_batch_norm_legit_no_training col2im conv1d conv2d "
    "conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution _convolution _convolution_mode alpha_dropout dropout "
    "feature_alpha_dropout feature_dropout grid_sampler grid_sampler_2d grid_sampler_3d group_norm native_group_norm gru gru_cell im2col "
    "instance_norm layer_norm native_layer_norm lstm lstm_cell max_pool1d max_pool1d_with_indices max_pool2d max_pool2d_with_indices "
    "max_pool3d max_pool3d_with_indices rms_norm _fused_rms_norm rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell scaled_dot_product_attention "
    "_scaled_dot_product_attention_math _scaled_dot_product_flash_attention_for_cpu upsample_bicubic2d _upsample_bicubic2d_aa "
    "upsample_bilinear2d _upsample_bilinear2d_aa upsample_linear1d upsample_nearest1d upsample_nearest2d upsample_nearest3d "
    "_upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d upsample_trilinear3d _weight_norm",
    // losses
    "binary_cross_entropy binary_cross_entropy_with_logits cosine_embedding_loss cross_entropy_loss hinge_embedding_loss huber_loss kl_div "
    "l1_loss margin_ranking_loss mse_loss multi_margin_loss multilabel_margin_loss nll_loss nll_loss2d nll_loss2d_forward nll_loss_forward "
    "nll_loss_nd poisson_nll_loss smooth_l1_loss soft_margin_loss triplet_margin_loss",
    // derivatives that are part of a loss
    "_adaptive_avg_pool2d_backward _adaptive_avg_pool3d_backward avg_pool2d_backward binary_cross_entropy_backward convolution_backward "
    "diagonal_backward elu_backward embedding_dense_backward gelu_backward glu_backward hardshrink_backward hardsigmoid_backward "
    "hardswish_backward hardtanh_backward huber_loss_backward infinitely_differentiable_gelu_backward leaky_relu_backward linear_backward "
    "log_sigmoid_backward _log_softmax_backward_data matmul_backward mish_backward mse_loss_backward select_backward sigmoid_backward silu_backward slice_backward smooth_l1_loss_backward "
    "soft_margin_loss_backward _softmax_backward_data softplus_backward softshrink_backward tanh_backward threshold_backward "
    "value_selecting_reduction_backward",
    // numbers and checks
    "item _local_scalar_dense _assert_async _assert_scalar _assert_tensor_metadata _functional_assert_async _functional_assert_scalar"};

const std::unordered_set<std::string>& names() {
  static const std::unordered_set<std::string> all = [] {
    const auto list = allowed_names();
    return std::unordered_set<std::string>(list.begin(), list.end());
  }();
  return all;
}

std::string without_namespace(const c10::FunctionSchema& schema) {
  const std::string prefix = "aten::", &name = schema.name();
  return name.compare(0, prefix.size(), prefix) == 0 ? name.substr(prefix.size()) : "";
}

std::optional<size_t> place_of(const c10::FunctionSchema& schema, const std::string& argument) {
  const auto index = schema.argumentIndexWithName(argument);
  return index ? std::optional<size_t>(*index) : std::nullopt;
}

}  // namespace

std::vector<std::string> allowed_names() {
  std::vector<std::string> list;
  for (const char* group : allowed) {
    std::istringstream words(group);
    for (std::string name; words >> name;) list.push_back(name);
  }
  return list;
}

bool is_allowed(const c10::FunctionSchema& schema) {
  std::string name = without_namespace(schema);
  for (const auto& argument : schema.arguments())
    if (argument.is_out()) return false;
  // The variants of packed sequences trust the sizes that they are given.
  if (schema.overload_name() == "data") return false;
  if (names().count(name)) return true;
  const bool writes = name.size() > 1 && name.back() == '_' && name[name.size() - 2] != '_';
  return writes && names().count(name.substr(0, name.size() - 1));
}

WrittenArguments written_arguments(const c10::FunctionSchema& schema) {
  WrittenArguments written;
  const auto& arguments = schema.arguments();
  for (size_t i = 0; i < arguments.size(); i++)
    if (const auto* alias = arguments[i].alias_info(); alias && alias->isWrite()) written.always.push_back(i);
  const std::string name = without_namespace(schema);
  if (name == "batch_norm" || name == "native_batch_norm" || name == "_batch_norm_impl_index") written.statistics_flag = place_of(schema, "training");
  if (name == "instance_norm") written.statistics_flag = place_of(schema, "use_input_stats");
  if (written.statistics_flag)
    for (const char* statistic : {"running_mean", "running_var"}) written.statistics.push_back(place_of(schema, statistic).value());
  return written;
}

bool may_return_argument(const c10::FunctionSchema& schema) {
  static const std::unordered_set<std::string> silent{
      "alpha_dropout", "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_tensors", "dropout",     "feature_alpha_dropout", "feature_dropout",
      "meshgrid",      "pad",        "resolve_conj", "resolve_neg", "sum_to_size",    "type_as",     "unsafe_chunk",          "unsafe_split",
      "unsafe_split_with_sizes", "_unsafe_view"};
  if (silent.count(without_namespace(schema))) return true;
  for (const auto& argument : schema.arguments())
    if (argument.alias_info()) return true;
  return false;
}

}  // namespace critical_sharpness::program
