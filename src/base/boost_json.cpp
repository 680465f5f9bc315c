// Boost.JSON, compiled once for all modules that use it: Debian's shared library would be one more
// run-time dependency of every program, and its symbols stay hidden this way.
#include <boost/json/src.hpp>
