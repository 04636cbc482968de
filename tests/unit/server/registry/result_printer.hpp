#pragma once

#include "core/base/result.hpp"

#include <doctest/doctest.h>

/// A result in a failed check shows its error, not its value.
template <class T>
struct doctest::StringMaker<boost::system::result<T, fleet::Error>> {
  static String convert(boost::system::result<T, fleet::Error> const& result) {
    return result ? String("a value") : String((result.error().code + ": " + result.error().detail).c_str());
  }
};
