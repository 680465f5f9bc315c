#include "peat/query.hpp"

#include "query/ast.hpp"
#include "query/lexer.hpp"

namespace peat {

Query Query::all(std::string_view collection) {
  auto ast = std::make_shared<query::Ast>();
  ast->collection = collection;
  static_cast<void>(query::finish(*ast));
  return Query(std::move(ast));
}

const std::string& Query::collection() const { return ast_->collection; }
std::optional<std::uint64_t> Query::limit() const { return ast_->limit; }

bool Query::is_page() const {
  return !ast_->order.empty() || ast_->limit.has_value() || ast_->offset > 0;
}

bool Query::matches(std::string_view id, std::string_view json) const {
  return query::matches(*ast_, query::read_fields(*ast_, id, json));
}

std::string Query::to_string() const { return query::print(*ast_); }

std::string query_literal(std::string_view text) { return query::quoted(text); }

}  // namespace peat
