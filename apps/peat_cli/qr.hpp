// QR codes made of characters, for a terminal.
#pragma once

#include <string>
#include <string_view>

#include "peat/error.hpp"

namespace peat::cli {

// Half blocks, two modules high, dark on light whatever the terminal's colours are.
// Code::limit_exceeded for a text that no QR code holds (2953 bytes).
Result<std::string> qr_code(std::string_view text);

}  // namespace peat::cli
