// Marks what the shared libraries export; everything else is hidden.
#pragma once

#if defined(__GNUC__)
#define PEAT_API __attribute__((visibility("default")))
#else
#define PEAT_API
#endif
