#include "ranks/nccl_endpoint.hpp"

#include <c10/core/DeviceGuard.h>

#include <utility>

namespace critical_sharpness::nccl {

Endpoint::Endpoint(const Functions& functions, at::Device device, const UniqueId& id, int rank, int size)
    : functions_(functions), device_(device) {
  const c10::DeviceGuard on(device_);  // NCCL takes the current one
  Config config;
  error_ = functions_.comm_init_rank_config(&communicator_, size, id, rank, &config);
}

void Endpoint::start(const std::vector<Transfer>& transfers, void* stream) {
  const std::lock_guard lock(mutex_);
  if (!communicator_) return;
  const c10::DeviceGuard on(device_);
  const auto note = [&](Result result) {
    if (error_ == success || error_ == in_progress) error_ = result;
  };
  note(functions_.group_start());
  for (const auto& [bytes, rank, direction] : transfers) {
    const auto count = static_cast<size_t>(bytes.numel());
    note(direction == Transfer::Direction::send ? functions_.send(bytes.const_data_ptr(), count, byte, rank, communicator_, stream)
                                                : functions_.receive(bytes.mutable_data_ptr(), count, byte, rank, communicator_, stream));
  }
  note(functions_.group_end());
}

Result Endpoint::state() {
  const std::lock_guard lock(mutex_);
  if (!communicator_) return error_;
  if (error_ != success && error_ != in_progress) return error_;
  Result of_communicator = success;
  const Result asked = functions_.comm_get_async_error(communicator_, &of_communicator);
  return asked == success ? of_communicator : asked;
}

bool Endpoint::is_aborted() {
  const std::lock_guard lock(mutex_);
  return !communicator_;
}

void Endpoint::abort() {
  const std::lock_guard lock(mutex_);
  if (!communicator_) return;
  const c10::DeviceGuard on(device_);
  functions_.comm_abort(std::exchange(communicator_, nullptr));
}

std::string Endpoint::name_of(Result error) const { return functions_.get_error_string(error); }

}  // namespace critical_sharpness::nccl
