#include <ATen/ops/all.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/full.h>

#include "arguments.hpp"
#include "devices.hpp"
#include "handles.hpp"
#include "job.hpp"
#include "ranks/gloo_group.hpp"

namespace critical_sharpness::binding {
namespace {

constexpr int64_t most_ranks = 1 << 16;

std::chrono::milliseconds read_time(const Napi::Object& given, const std::string& key) {
  return std::chrono::milliseconds(read_integer(given.Get(key), "options." + key, 1, int64_t{1} << 40));
}

Napi::Value join(const Napi::CallbackInfo& info) {
  const Napi::Object given = read_object(info[0], "options");
  Rendezvous where;
  where.host = read_string(given.Get("host"), "options.host");
  where.port = static_cast<uint16_t>(read_integer(given.Get("port"), "options.port", 0, 65535));
  where.size = static_cast<int>(read_integer(given.Get("size"), "options.size", 1, most_ranks));
  where.rank = static_cast<int>(read_integer(given.Get("rank"), "options.rank", 0, where.size - 1));
  where.local_rank = static_cast<int>(read_integer(given.Get("localRank"), "options.localRank", 0, most_ranks));
  where.has_store = given.Get("hasStore").ToBoolean();
  where.listening_socket = static_cast<int>(read_integer(given.Get("listeningSocket"), "options.listeningSocket", -1, 1 << 20));
  where.prefix = read_string(given.Get("prefix"), "options.prefix");
  where.interface = read_string(given.Get("interface"), "options.interface");
  where.name = read_string(given.Get("name"), "options.name");
  where.join_timeout = read_time(given, "joinTimeout");
  where.timeout = read_time(given, "timeout");
  return submit(
      info.Env(), [where] { return join_group(where); },
      [](Napi::Env env, const std::shared_ptr<Group>& group) -> Napi::Value {
        Environment::of(env).groups.push_back(group);
        return GroupHandle::make(env, group, 0);
      });
}

/// Of a wait for all ranks, milliseconds.
Napi::Value meet(const Napi::CallbackInfo& info) {
  const auto group = GroupHandle::core(info);
  return submit(
      info.Env(),
      [group] {
        const auto start = std::chrono::steady_clock::now();
        group->call({"meet", {}}, {}, [] { return 0; });
        return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
      },
      to_number);
}

Napi::Value any(const Napi::CallbackInfo& info) {
  const auto group = GroupHandle::core(info);
  const bool mine = info[0].ToBoolean();
  return submit(info.Env(), [=] { return group->call({"any", {}}, {}, [&] { return group->any(mine); }); }, to_boolean);
}

struct Transfer {
  double milliseconds;
  bool right, shared;
};

/// Of a gather of `length` bytes from every rank, on a device.
Napi::Value try_gather(const Napi::CallbackInfo& info) {
  const auto group = GroupHandle::core(info);
  const at::Device device = find_device(read_string(info[0], "device"), group->local_rank());
  const int64_t length = read_integer(info[1], "length", 1, int64_t{1} << 31);
  return submit(
      info.Env(),
      [=] {
        return group->call({"gather", {{"length", static_cast<uint64_t>(length)}}}, {}, [&]() -> Transfer {
          const auto bytes = at::TensorOptions(at::kByte).device(device);
          const at::Tensor mine = at::full({length}, group->rank(), bytes), all = at::empty({group->size(), length}, bytes);
          const auto start = std::chrono::steady_clock::now();
          Pending gather = group->start_all_gather(all, mine);
          group->wait(gather);
          const double milliseconds = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
          bool right = true;
          for (int rank = 0; rank < group->size(); rank++) right &= at::all(at::eq(all[rank], rank)).item<bool>();
          return {milliseconds, right, group->shared_rooms(device) != nullptr};
        });
      },
      [](Napi::Env env, const Transfer& found) -> Napi::Value {
        Napi::Object result = Napi::Object::New(env);
        result.Set("milliseconds", found.milliseconds);
        result.Set("right", found.right);
        result.Set("shared", found.shared);
        return result;
      });
}

}  // namespace

void GroupHandle::define(Napi::Env env) {
  Environment::of(env).group = define_class(env, [](Napi::Object& prototype) {
    getter(prototype, "rank", [](const Napi::CallbackInfo& info) -> Napi::Value { return Napi::Number::New(info.Env(), core(info)->rank()); });
    getter(prototype, "size", [](const Napi::CallbackInfo& info) -> Napi::Value { return Napi::Number::New(info.Env(), core(info)->size()); });
    getter(prototype, "waited", [](const Napi::CallbackInfo& info) -> Napi::Value { return Napi::Number::New(info.Env(), core(info)->waited()); });
    async_method(prototype, "meet", meet);
    async_method(prototype, "any", any);
    async_method(prototype, "tryGather", try_gather);
  });
}

void export_groups(Napi::Env env, Napi::Object& exports) {
  GroupHandle::define(env);
  async_method(exports, "joinGroup", join);
}

}  // namespace critical_sharpness::binding
