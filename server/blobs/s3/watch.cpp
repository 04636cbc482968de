#include "server/blobs/s3/watch.hpp"

namespace fleet::s3 {

void Watch::stumbled(Error const& error, bool comes_again) {
  std::lock_guard const lock(mutex_);
  if (comes_again) ++figures_.again;
  if (error.code == "blobs_throttled") ++figures_.throttled;
  if (error.code == "blobs_altered" || error.code == "blobs_cut") ++figures_.altered;
}

void Watch::ended(std::optional<Error> const& error, SysTime now) {
  std::lock_guard const lock(mutex_);
  ++figures_.asked;
  if (!error) {
    trouble_.reset();
    return;
  }
  ++figures_.failed;
  trouble_ = Trouble{*error, trouble_ ? trouble_->since : now};
}

void Watch::carried(std::uint64_t in, std::uint64_t out) {
  std::lock_guard const lock(mutex_);
  figures_.bytes_in += in;
  figures_.bytes_out += out;
}

Watch::Figures Watch::figures() const {
  std::lock_guard const lock(mutex_);
  return figures_;
}

std::optional<Watch::Trouble> Watch::trouble() const {
  std::lock_guard const lock(mutex_);
  return trouble_;
}

}  // namespace fleet::s3
