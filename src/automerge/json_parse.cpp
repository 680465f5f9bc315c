#include "automerge/json_parse.hpp"

#include <boost/json/basic_parser_impl.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/limits.hpp"

namespace peat::automerge {
namespace {

// Builds the value from the parser's events. The parser's own doubles may be off by one unit in
// the last place, so they are read again from their text.
class Builder {
 public:
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);
  using Ec = boost::json::error_code;
  using View = boost::json::string_view;

  bool on_document_begin(Ec&) { return true; }
  bool on_document_end(Ec&) { return true; }
  bool on_object_begin(Ec&) { return open(Json::Object{}); }
  bool on_object_end(std::size_t, Ec& ec) {
    sort_unique(std::get<Json::Object>(open_.back().value.data));
    return close(ec);
  }
  bool on_array_begin(Ec&) { return open(Json::Array{}); }
  bool on_array_end(std::size_t, Ec& ec) { return close(ec); }
  bool on_key_part(View part, std::size_t, Ec&) { return append(part); }
  bool on_key(View part, std::size_t, Ec&) {
    append(part);
    open_.back().key = std::exchange(text_, {});
    return true;
  }
  bool on_string_part(View part, std::size_t, Ec&) { return append(part); }
  bool on_string(View part, std::size_t, Ec& ec) {
    append(part);
    return add({std::exchange(text_, {})}, ec);
  }
  bool on_number_part(View part, Ec&) { return append(part); }
  bool on_int64(std::int64_t value, View, Ec& ec) { return add_number({value}, ec); }
  bool on_uint64(std::uint64_t value, View, Ec& ec) { return add_number({value}, ec); }
  bool on_double(double nearly, View part, Ec& ec) {
    append(part);
    double value = 0;
    const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
    if (error == std::errc::result_out_of_range) {
      if (std::abs(nearly) > 1) {
        ec = boost::json::error::exponent_overflow;
        return false;
      }
      value = std::copysign(0.0, nearly);
    }
    return add_number({value}, ec);
  }
  bool on_bool(bool value, Ec& ec) { return add({value}, ec); }
  bool on_null(Ec& ec) { return add({nullptr}, ec); }
  bool on_comment_part(View, Ec&) { return true; }
  bool on_comment(View, Ec&) { return true; }

  bool too_many() const { return values_ > Limits{}.json_values; }
  Json take() { return std::move(root_); }

 private:
  struct Open {
    Json value;
    std::string key;
  };

  bool append(View part) {
    text_.append(part.data(), part.size());
    return true;
  }
  // By key; of equal keys the last stays.
  static void sort_unique(Json::Object& members) {
    const auto not_before = [](const auto& a, const auto& b) { return a.key >= b.key; };
    if (std::ranges::adjacent_find(members, not_before) == members.end()) return;
    std::vector<std::size_t> order(members.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
      const int by_key = members[a].key.compare(members[b].key);
      return by_key != 0 ? by_key < 0 : a < b;
    });
    Json::Object sorted;
    for (const auto at : order) {
      if (!sorted.empty() && sorted.back().key == members[at].key) sorted.pop_back();
      sorted.push_back(std::move(members[at]));
    }
    members = std::move(sorted);
  }
  template <class Container>
  bool open(Container container) {
    open_.push_back({{std::move(container)}, {}});
    return true;
  }
  bool close(Ec& ec) {
    Json value = std::move(open_.back().value);
    open_.pop_back();
    return add(std::move(value), ec);
  }
  bool add_number(Json value, Ec& ec) {
    text_.clear();
    return add(std::move(value), ec);
  }
  bool add(Json value, Ec& ec) {
    if (++values_ > Limits{}.json_values) {
      ec = boost::json::error::array_too_large;
      return false;
    }
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (auto* array = std::get_if<Json::Array>(&open_.back().value.data)) {
      array->push_back(std::move(value));
    } else {
      auto& object = std::get<Json::Object>(open_.back().value.data);
      object.push_back({std::move(open_.back().key), std::move(value)});
    }
    return true;
  }

  Json root_;
  std::vector<Open> open_;
  std::string text_;
  std::uint64_t values_ = 0;
};

}  // namespace

Result<Json> parse_json(std::string_view text) {
  boost::json::parse_options options;
  options.max_depth = Limits{}.json_depth;
  boost::json::basic_parser<Builder> parser(options);
  boost::json::error_code error;
  const auto used = parser.write_some(false, text.data(), text.size(), error);
  if (!error && used < text.size()) error = boost::json::error::extra_data;
  const std::string place = " at byte " + std::to_string(used);
  if (parser.handler().too_many()) {
    return fail(Code::limit_exceeded, "JSON text: more than " +
                                          std::to_string(Limits{}.json_values) + " values" + place +
                                          "; split it into several documents");
  }
  if (error == boost::json::error::too_deep) {
    return fail(Code::limit_exceeded, "JSON text: nested deeper than " +
                                          std::to_string(options.max_depth) + " levels" + place +
                                          "; flatten it");
  }
  if (error) return fail(Code::malformed, "JSON text: " + error.message() + place);
  return parser.handler().take();
}

}  // namespace peat::automerge
