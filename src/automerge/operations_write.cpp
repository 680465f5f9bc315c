#include "automerge/operations.hpp"

namespace peat::automerge {

void OpWriter::clear() {
  for (auto* e : {&obj_actor_, &obj_counter_, &key_actor_, &id_actor_, &action_, &meta_, &links_,
                  &link_actor_}) {
    e->clear();
  }
  for (auto* e : {&key_counter_, &id_counter_, &link_counter_}) e->clear();
  for (auto* e : {&key_, &mark_name_}) e->clear();
  for (auto* e : {&insert_, &expand_}) e->clear();
  value_.clear();
}

// Where in a sequence: the first operation as it says, those after it as the form of the run.
void OpWriter::append_element(const OpView& op, OpId id) {
  const auto more = op.count - 1;
  if (op.elem.none()) {
    key_actor_.append_null();
  } else {
    key_actor_.append(op.elem.actor());
  }
  key_counter_.append(op.elem.counter());
  key_.append_null(op.count);
  if (more == 0) return;
  if (op.insert) {
    key_actor_.append(id.actor(), more);
    key_counter_.append(id.counter());
    key_counter_.append_steps(1, more - 1);
  } else {
    key_actor_.append(op.elem.actor(), more);
    key_counter_.append_steps(op.step, more);
  }
}

void OpWriter::append_links(const OpView& op) {
  links_.append(op.links.size(), op.count);
  for (const auto link : op.links) {
    link_actor_.append(link.actor(), op.count);
    link_counter_.append(link.counter());
    link_counter_.append_steps(op.step, op.count - 1);
  }
}

void OpWriter::append(const OpView& op, OpId id) {
  const auto n = op.count;
  if (op.object.none()) {
    obj_actor_.append_null(n);
    obj_counter_.append_null(n);
  } else {
    obj_actor_.append(op.object.actor(), n);
    obj_counter_.append(op.object.counter(), n);
  }
  if (op.has_key) {
    key_actor_.append_null();
    key_counter_.append_null();
    key_.append(op.key);
  } else {
    append_element(op, id);
  }
  if (table_ == Table::kDocument) {
    id_actor_.append(id.actor(), n);
    id_counter_.append(id.counter());
    id_counter_.append_steps(1, n - 1);
  }
  insert_.append(op.insert, n);
  action_.append(static_cast<std::uint64_t>(op.action), n);
  meta_.append(op.meta, n);
  put_bytes(value_, op.value);
  append_links(op);
  expand_.append(op.expand, n);
  if (op.has_mark_name) {
    mark_name_.append(op.mark_name);
  } else {
    mark_name_.append_null(n);
  }
}

std::span<const OpWriter::Column> OpWriter::finish() {
  static const Bytes kEmpty;
  const std::array<const Bytes*, kOpColumns> all{&obj_actor_.finish(),
                                                 &obj_counter_.finish(),
                                                 &key_actor_.finish(),
                                                 &key_counter_.finish(),
                                                 &key_.finish(),
                                                 &id_actor_.finish(),
                                                 &id_counter_.finish(),
                                                 &insert_.finish(),
                                                 &action_.finish(),
                                                 &meta_.finish(),
                                                 &value_,
                                                 &links_.finish(),
                                                 &link_actor_.finish(),
                                                 &link_counter_.finish(),
                                                 expand_.any_true() ? &expand_.finish() : &kEmpty,
                                                 &mark_name_.finish()};
  std::size_t n = 0;
  for (std::size_t i = 0; i < kOpColumns; ++i) {
    if (!all[i]->empty()) finished_[n++] = Column{op_column_specs(table_)[i], *all[i]};
  }
  return std::span(finished_).first(n);
}

}  // namespace peat::automerge
