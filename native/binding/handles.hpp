#pragma once
#include "batch.hpp"
#include "cancellation.hpp"
#include "handle.hpp"
#include "krylov.hpp"
#include "model.hpp"
#include "optimizer.hpp"

namespace critical_sharpness::binding {

// The handle classes. A tag tells them apart; the numbers are random and mean nothing. `define` makes an environment's class.

class ModelHandle final : public Handle<ModelHandle, Model> {
 public:
  using Handle::Handle;
  static constexpr const char* name = "NativeModel";
  static constexpr napi_type_tag tag{0x5a0c1f3be24d4c6aULL, 0x90e77b1a3f0d8811ULL};
  static constexpr bool holds_memory = true;
  static Napi::FunctionReference& constructor(Environment& e) { return e.model; }
  static void define(Napi::Env env);
};

class BatchHandle final : public Handle<BatchHandle, const Batch> {
 public:
  using Handle::Handle;
  static constexpr const char* name = "NativeBatch";
  static constexpr napi_type_tag tag{0x13b7d5f0c9a84e22ULL, 0x8d4f6a0be1c25733ULL};
  static constexpr bool holds_memory = true;
  static Napi::FunctionReference& constructor(Environment& e) { return e.batch; }
  static void define(Napi::Env env);
};

class VectorHandle final : public Handle<VectorHandle, const Direction> {
 public:
  using Handle::Handle;
  static constexpr const char* name = "NativeVector";
  static constexpr napi_type_tag tag{0xc1e8b2a47d3f4906ULL, 0xa67c90d15e2b4f88ULL};
  static constexpr bool holds_memory = true;
  static Napi::FunctionReference& constructor(Environment& e) { return e.vector; }
  static void define(Napi::Env env);
  static Napi::Value wrap(Napi::Env env, const std::shared_ptr<const Direction>& vector) {
    return make(env, vector, vector->byte_length());
  }
  /// The core of an argument that must be stored.
  static std::shared_ptr<const ParameterVector> stored(const Napi::Value& value, const std::string& subject) {
    const auto direction = core(value, subject);
    return {direction, &require_stored(*direction, subject.c_str())};
  }
};

class OptimizerHandle final : public Handle<OptimizerHandle, Optimizer> {
 public:
  using Handle::Handle;
  static constexpr const char* name = "NativeOptimizer";
  static constexpr napi_type_tag tag{0x77f0a93c5be14d10ULL, 0xb2d86e4f01a79c55ULL};
  static constexpr bool holds_memory = true;
  static Napi::FunctionReference& constructor(Environment& e) { return e.optimizer; }
  static void define(Napi::Env env);
};

class CurvatureHandle final : public Handle<CurvatureHandle, Curvature> {
 public:
  using Handle::Handle;
  static constexpr const char* name = "NativeCurvature";
  static constexpr napi_type_tag tag{0x8c41f6a29d7e4b35ULL, 0xd07b39e5a16c8f24ULL};
  static constexpr bool holds_memory = true;
  static Napi::FunctionReference& constructor(Environment& e) { return e.curvature; }
  static void define(Napi::Env env);
};

class KrylovHandle final : public Handle<KrylovHandle, Krylov> {
 public:
  using Handle::Handle;
  static constexpr const char* name = "NativeKrylov";
  static constexpr napi_type_tag tag{0x3d92c7e1b05f4a68ULL, 0xbe41d9027fa3c651ULL};
  static constexpr bool holds_memory = true;
  static Napi::FunctionReference& constructor(Environment& e) { return e.krylov; }
  static void define(Napi::Env env);
};

class GroupHandle final : public Handle<GroupHandle, Group> {
 public:
  using Handle::Handle;
  static constexpr const char* name = "NativeGroup";
  static constexpr napi_type_tag tag{0x2f6d81c4a93b4e07ULL, 0x95c2e0f74b18da36ULL};
  static constexpr bool holds_memory = false;
  static Napi::FunctionReference& constructor(Environment& e) { return e.group; }
  static void define(Napi::Env env);
};

class CancelTokenHandle final : public Handle<CancelTokenHandle, const Cancellation> {
 public:
  using Handle::Handle;
  static constexpr const char* name = "NativeCancelToken";
  static constexpr napi_type_tag tag{0xe94b06d72c8a4f31ULL, 0x84a1f5c37e60b9d2ULL};
  static constexpr bool holds_memory = false;
  static Napi::FunctionReference& constructor(Environment& e) { return e.cancel_token; }
  static void define(Napi::Env env);
};

/// This process's among those that share the layout's parameters; 0 alone.
inline int rank_in(const Layout& layout) { return layout.group ? layout.group->rank() : 0; }
inline int ranks_in(const Layout& layout) { return layout.group ? layout.group->size() : 1; }

/// What spares a job its turn: nothing, in a group, whose ranks all take part and hear of the wish to stop then.
inline Cancellation before_turn(const Layout& layout, const Cancellation& cancel) { return layout.group ? Cancellation() : cancel; }

// Factories and functions of the addon's object; see NativeAddon in lib/torch/surface.ts.

void export_models(Napi::Env env, Napi::Object& exports);
void export_batches(Napi::Env env, Napi::Object& exports);
void export_vectors(Napi::Env env, Napi::Object& exports);
void export_optimizers(Napi::Env env, Napi::Object& exports);
void export_curvature(Napi::Env env, Napi::Object& exports);
void export_krylov(Napi::Env env, Napi::Object& exports);
void export_groups(Napi::Env env, Napi::Object& exports);
void export_process(Napi::Env env, Napi::Object& exports);

}  // namespace critical_sharpness::binding
