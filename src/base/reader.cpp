#include "base/reader.hpp"

namespace peat {

std::unexpected<Error> Reader::truncated(std::size_t needed, std::string_view what) const {
  std::string text(what);
  text += " needs " + std::to_string(needed) + " bytes at offset " + std::to_string(offset_) +
          ", but only " + std::to_string(remaining()) + " remain";
  return fail(Code::truncated, std::move(text));
}

}  // namespace peat
