// What a wholly static program must not do, although libraries in it could ask for it: load code at run time, and have glibc resolve a name by
// modules (nsswitch.conf(5)) that would have to be of the very glibc it was linked with. These stand before libc's own, so that neither they nor
// what they need is linked. Names are resolved by core/net's `lookup_cares.cpp`, users by `users_files.cpp`.
#include <dlfcn.h>
#include <netdb.h>

#include <cerrno>
#include <cstddef>

extern "C" {

void* dlopen(char const*, int) noexcept { return nullptr; }
void* dlsym(void* __restrict, char const* __restrict) noexcept { return nullptr; }
int dlclose(void*) noexcept { return -1; }
char* dlerror() noexcept {
  static char text[] = "a static program loads no code";
  return text;
}
int dladdr(void const*, Dl_info*) noexcept { return 0; }

int getaddrinfo(char const* __restrict, char const* __restrict, addrinfo const* __restrict, addrinfo** __restrict) { return EAI_FAIL; }
void freeaddrinfo(addrinfo*) noexcept {}
int getnameinfo(sockaddr const* __restrict, socklen_t, char* __restrict, socklen_t, char* __restrict, socklen_t, int) { return EAI_FAIL; }
hostent* gethostbyname(char const*) { return nullptr; }
servent* getservbyname(char const*, char const*) { return nullptr; }
int getservbyname_r(char const* __restrict, char const* __restrict, servent* __restrict, char* __restrict, size_t, servent** __restrict found) {
  *found = nullptr;
  return ENOENT;
}
int getservbyport_r(int, char const* __restrict, servent* __restrict, char* __restrict, size_t, servent** __restrict found) {
  *found = nullptr;
  return ENOENT;
}

}  // extern "C"
