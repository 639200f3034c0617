#include "state_direction.hpp"

#include "errors.hpp"
#include "parameter_vector.hpp"

namespace critical_sharpness {
namespace {

class StateDirection final : public Direction {
 public:
  StateDirection(std::shared_ptr<const Optimizer> optimizer, bool weight_decay)
      : optimizer_(std::move(optimizer)),
        weight_decay_(weight_decay),
        state_version_(optimizer_->version()),
        weights_version_(optimizer_->model()->version()),
        keep_(layout()->size()) {
    for (size_t i = 0; i < keep_.size(); i++) keep_[i] = layout()->is_trainable(i);
  }

  const std::shared_ptr<const Layout>& layout() const override { return optimizer_->model()->layout(); }
  bool has(size_t parameter) const override { return keep_[parameter]; }
  kernels::Delta delta(size_t parameter) const override {
    return keep_[parameter] ? optimizer_->delta(parameter, weight_decay_) : kernels::Delta();
  }

  void require_current() const override {
    const bool weights_moved = optimizer_->model()->version() != weights_version_;
    if (optimizer_->version() == state_version_ && !weights_moved) return optimizer_->require_gradient();
    throw InputError(InputError::Kind::state, "ERR_STALE_DIRECTION",
                     std::string("Expected the optimizer's state and the weights of the moment when the direction was asked for but ") +
                         "received " + (weights_moved ? "other weights" : "a state that has moved on") +
                         ": ask for the direction again, or for a stored one, which keeps");
  }

  std::shared_ptr<const Direction> masked(const std::vector<bool>& keep) const override {
    auto part = std::make_shared<StateDirection>(*this);
    for (size_t i = 0; i < keep_.size(); i++) part->keep_[i] = keep_[i] && keep.at(i);
    return part;
  }

  int64_t byte_length() const override { return 0; }

 private:
  std::shared_ptr<const Optimizer> optimizer_;
  bool weight_decay_;
  uint64_t state_version_, weights_version_;
  std::vector<bool> keep_;
};

}  // namespace

std::shared_ptr<const Direction> state_direction(std::shared_ptr<const Optimizer> optimizer, bool weight_decay) {
  optimizer->require_gradient();
  return std::make_shared<StateDirection>(std::move(optimizer), weight_decay);
}

}  // namespace critical_sharpness
