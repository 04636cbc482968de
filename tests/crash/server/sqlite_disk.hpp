#pragma once

#include "core/base/kernel.hpp"

namespace fleet::crash {

/// SQLite's own layer for files, as it is built, over `kernel`: every system call of it is asked here in place of the machine. None of its connections may be open while it is changed.
/// What it maps (the index of a write-ahead log) is memory; its locks are always had: one process has the files.
void set_sqlite_disk(Kernel& kernel);

}  // namespace fleet::crash
