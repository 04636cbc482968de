#pragma once

#include "agent/unpack/entries.hpp"
#include "agent/unpack/names.hpp"

namespace fleet::agent {

/// Reads an archive of this format and no other, and tells what it holds. Names lose a leading `./` and a folder's slash at the end, nothing else.
/// Refused: names that check_entry_name refuses; hard links, devices, pipes, sockets; setuid and setgid bits and file capabilities; encrypted files; more than `limits`;
/// a filter within a filter; whatever libarchive warns of. What clashes, and where links lead, is for the sink.
/// @param fd  where it is read from; it can seek
/// @errors unprocessable (code `bad_archive`), io, what the sink says
Result<void> read_archive(int fd, ArchiveFormat format, ArchiveLimits const& limits, EntrySink& sink);
/// The same from memory.
Result<void> read_archive(BytesView bytes, ArchiveFormat format, ArchiveLimits const& limits, EntrySink& sink);

}  // namespace fleet::agent
