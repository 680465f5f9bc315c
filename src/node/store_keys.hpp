// The keys of the store from the files that the settings name.
//
// A key file holds 32 bytes, or their base64 ('peat secret new' prints some); a passphrase file its
// first line. Of each pair one at most. Errors: bad_key_file, bad_setting, with the setting's name.
#pragma once

#include "node/settings.hpp"
#include "store/sealing.hpp"

namespace peat::node {

Result<store::StoreKeys> load_store_keys(const Settings& settings);
// With what to do about it in terms of the settings.
Error explain_store_error(const Settings& settings, Error error);

}  // namespace peat::node
