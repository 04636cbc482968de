// Runs a program as a kernel of 2016 would: no system call that is younger than Linux 4.4 is known (ENOSYS). usage: old-kernel PROGRAM [ARGUMENT...]
// For amd64, whose calls are numbered by age; clone3, openat2, close_range and what else glibc tries first is refused as an old kernel refuses it.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: old-kernel PROGRAM [ARGUMENT...]\n", stderr);
    return 2;
  }
#ifdef __x86_64__
  constexpr unsigned kFirstYounger = 326;  // copy_file_range, Linux 4.5
  std::array filter{
      sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kFirstYounger, 0, 1),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog const program{static_cast<unsigned short>(filter.size()), filter.data()};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    std::fprintf(stderr, "old-kernel: seccomp: %s\n", std::strerror(errno));
    return 77;
  }
  ::execvp(argv[1], argv + 1);
  std::fprintf(stderr, "old-kernel: %s: %s\n", argv[1], std::strerror(errno));
  return 127;
#else
  std::fputs("old-kernel: for amd64\n", stderr);
  return 77;
#endif
}
