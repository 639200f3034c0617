#pragma once
#include <deque>
#include <memory>

#include "ranks/copy_stream.hpp"
#include "ranks/group.hpp"
#include "ranks/membership.hpp"
#include "ranks/nccl_endpoint.hpp"

namespace critical_sharpness {

/// Copies between CUDA devices, by NCCL on a stream of their own. The host waits for them, and gives up once the group has ended.
class NcclLink final : public Link, public std::enable_shared_from_this<NcclLink> {
 public:
  /// Opens it: on every rank of the group at the same place. Throws ERR_GROUP where NCCL cannot join them.
  static std::shared_ptr<Link> open(const nccl::Functions& functions, std::shared_ptr<Membership> membership, Group& group,
                                    at::Device device, std::unique_ptr<CopyStream> stream);

  ~NcclLink() override;

  Pending start(const std::vector<Transfer>& transfers, uint32_t tag) override;
  /// NCCL's threads go on sending when a stream is through.
  bool arrives_without_sender() const override { return false; }
  void close(const std::string& why) override { membership_->end(why); }
  void leave() override { membership_->leave(); }

 private:
  struct Flight {
    std::vector<Transfer> transfers;
    std::function<bool()> is_over;
  };

  NcclLink(std::shared_ptr<Membership> membership, std::shared_ptr<nccl::Endpoint> endpoint, std::unique_ptr<CopyStream> stream);
  /// What is wrong, if not the group's end. Empty: nothing.
  std::string problem();
  /// Until is_ready().
  template <class IsReady>
  void wait_until(const IsReady& is_ready);

  std::shared_ptr<Membership> membership_;
  std::unique_ptr<CopyStream> stream_;
  /// What may still be read and written, whether or not anyone waits for it. Let go of once the endpoint has nothing under way.
  std::deque<std::shared_ptr<Flight>> flying_;
  std::shared_ptr<nccl::Endpoint> endpoint_;
};

}  // namespace critical_sharpness
