# FLEET_AGENT_ONLY: what makes the device's program small and, with FLEET_STATIC, free of everything but the kernel.
if(NOT FLEET_SANITIZE AND NOT FLEET_UNITS)
  set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-Os")  # asserts stay on
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)  # a package has the two programs, whatever else could be built
if(FLEET_STATIC)
  add_link_options(-Wl,-u,dlopen -Wl,-u,getaddrinfo)
  # ld warns of libc's dlopen wherever it sees the name; core/base/static_libc.cpp has the one that is linked, and .ci/agent looks at what came of it.
  add_link_options(-Wl,--no-warnings)
  if(CMAKE_SYSTEM_PROCESSOR STREQUAL arm)
    add_compile_options(-fno-pie)
    add_link_options(-static -no-pie)  # Debian's glibc has no rcrt1.o there, with which a static program starts at any position
  else()
    add_link_options(-static-pie)  # a position of its own each time it starts, as a dynamic one has
    set(CMAKE_POSITION_INDEPENDENT_CODE ON)
  endif()
  if(CMAKE_SYSTEM_PROCESSOR STREQUAL x86_64)
    add_link_options(-Wl,-z,pack-relative-relocs)  # half a megabyte; ld of Debian 12 knows it for x86 alone
  endif()
  set(CMAKE_FIND_LIBRARY_SUFFIXES .a)
  set(OPENSSL_USE_STATIC_LIBS ON)
  set(Boost_USE_STATIC_LIBS ON)
  set(fleet_fmt fmt::fmt-header-only)  # Debian has no libfmt.a
  find_library(YAML_CPP_STATIC yaml-cpp REQUIRED)
  set(fleet_yaml ${YAML_CPP_STATIC})
  # What of libarchive's needs its readers of tar and zip have.
  foreach(library z zstd bz2 lzma nettle)
    find_library(FLEET_STATIC_${library} ${library} REQUIRED)
    list(APPEND fleet_archive ${FLEET_STATIC_${library}})
  endforeach()
endif()
