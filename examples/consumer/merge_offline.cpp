// Two people edit one record without a network, then merge: both edits survive.
#include <cstdio>
#include <peat/automerge/document.hpp>

using peat::automerge::Document;

int main() {
  Document depot;
  auto ok = depot.update_from_json(R"({"truck": "t7", "driver": "Ada", "fuel": 80})", {.time = 1});
  auto fork = depot.fork();
  if (!ok || !fork) return 1;
  auto& field = *fork;

  const auto here = depot.merge_patch(R"({"driver": "Grace"})", {.time = 2});
  const auto there = field.merge_patch(R"({"fuel": 35})", {.time = 2});
  const auto report = depot.merge(field);
  const auto json = depot.to_json();
  if (!here || !there || !report || !json) return 1;
  std::printf("%s\n", json->c_str());
  return *json == R"({"driver":"Grace","fuel":35,"truck":"t7"})" ? 0 : 1;
}
