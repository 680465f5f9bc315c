// Two nodes in one program: what one writes, the other is told of and can read.
#include <cstdio>
#include <filesystem>
#include <future>
#include <peat/mesh.hpp>

namespace {

// Every formation has a secret of its own, from `peat secret new`.
constexpr const char* kSecret = "x3hEJ0Jw2mVt0qk8bqk5Yw3Qn0c6dX1Zr7sV9uLp4aE=";

int report(const peat::Error& error) {
  std::fprintf(stderr, "%s\n", error.message.c_str());
  return 1;
}

peat::Result<peat::Mesh> open(const char* name, const std::filesystem::path& directory) {
  return peat::Mesh::open({.node_id = name,
                           .data_dir = directory / name,
                           .bind = "127.0.0.1:0",
                           .formation_secret = kSecret});
}

}  // namespace

int main(int argc, char** argv) {
  const std::filesystem::path directory = argc > 1 ? argv[1] : "peat-example";
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory);
  auto depot = open("depot", directory);
  if (!depot) return report(depot.error());
  auto truck = open("truck", directory);
  if (!truck) return report(truck.error());

  std::promise<peat::Change> arrived;
  auto watch = depot->watch({.collection = "positions"}, [&arrived](const peat::Change& change) {
    if (change.origin) arrived.set_value(change);
  });
  if (!watch) return report(watch.error());

  const auto address = depot->status();
  if (!address) return report(address.error());
  const auto connected = truck->connect(address->endpoint_id, address->bind);
  if (!connected) return report(connected.error());
  const auto written = truck->put("positions", "t7", R"({"lat":52.1,"lon":4.3})");
  if (!written) return report(written.error());

  const auto change = arrived.get_future().get();
  watch->cancel();
  const auto document = depot->get(change.collection, change.id);
  if (!document) return report(document.error());
  std::printf("%s/%s: %s\n", change.collection.c_str(), change.id.c_str(),
              (*document)->json.c_str());

  const auto truck_closed = truck->close();
  if (!truck_closed) return report(truck_closed.error());
  const auto depot_closed = depot->close();
  return depot_closed ? 0 : report(depot_closed.error());
}
