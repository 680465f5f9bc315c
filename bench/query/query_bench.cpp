// What queries cost on a node of 100,000 documents of about 0.4 KiB: scans, an index made, points,
// ranges and orders by it, and what live queries add to a write.
//
//   bench_query [DOCUMENTS]        default: 100000
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <unistd.h>

#include "node/node.hpp"
#include "query/run.hpp"

namespace {

using namespace peat;
using Clock = std::chrono::steady_clock;

class Bench {
 public:
  explicit Bench(int documents) : documents_(documents) {
    auto name = (std::filesystem::temp_directory_path() / "peat-bench-XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
    settings_.node_id = "bench";
    settings_.data_dir = directory_;
    settings_.bind = {"127.0.0.1", 0};
    settings_.formation_secret = node::Secret("x3hEJ0Jw2mVt0qk8bqk5Yw3Qn0c6dX1Zr7sV9uLp4aE=");
    settings_.formation_id = "bench";
    node_ = take(node::Node::open(executor_, settings_, [](auto, auto) {}));
  }
  ~Bench() {
    bool closed = false;
    node_->shutdown([&](Status) { closed = true; });
    run_until([&] { return closed; });
    node_.reset();
    std::filesystem::remove_all(directory_);
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  void run() {
    fill();
    query("scan, 1 of 100 matches, all pages", "from t where grade = 7", 1);
    query("scan, ordered, the first 20", "from t order by score desc limit 20", 1);
    query("scan, the first 20 that match", "from t where grade = 7 limit 20", 100);
    query("by id", "from t where _id = 'd0050000'", 1000);
    make_index();
    query("index, one document", "from t where score = 50000", 1000);
    query("index, a range of 100", "from t where score between 50000 and 50099", 100);
    query("index, a place of 1 km", "from t where pos within 1 km of 45, 4", 100);
    query("index as the order, the first 20", "from t order by score desc limit 20", 100);
    live();
  }

 private:
  template <class T>
  static T take(Result<T> result) {
    if (result) return std::move(*result);
    std::fprintf(stderr, "%s\n", result.error().message.c_str());
    std::exit(1);
  }
  template <class Done>
  void run_until(Done done) {
    while (!done()) executor_.loop().run_one();
  }
  template <class Work>
  double milliseconds(Work work) {
    const auto start = Clock::now();
    work();
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  }

  std::string document(int i) const {
    return fmt::format(
        R"({{"name":"vehicle {}","score":{},"grade":{},"ready":{},"pos":{{"lat":{},"lon":4}},)"
        R"("tags":["a{}","b"],"note":"{}"}})",
        i, i, i % 100, i % 2 == 0, i * 90.0 / documents_, i % 10, std::string(220, 'x'));
  }
  void put(int i, const std::string& json) {
    ++waiting_;
    node_->put(fmt::format("t:d{:07}", i), json, {}, [this](const auto& result) {
      if (!result) std::exit(1);
      --waiting_;
    });
    run_until([this] { return waiting_ < 1000; });
  }
  void settle() {
    run_until([this] { return waiting_ == 0; });
  }

  void fill() {
    const auto took = milliseconds([this] {
      for (int i = 0; i < documents_; ++i) put(i, document(i));
      settle();
    });
    std::printf("%-44s %10.1f ms\n", fmt::format("{} documents written", documents_).c_str(), took);
  }

  void make_index() {
    settings_.collections.push_back(
        take(node::CollectionSetting::parse("t:index=score,index=pos.lat")));
    const auto took = milliseconds([this] {
      node_->reload(settings_);
      run_until([this] { return node_->queries().find_index("t", "pos.lat").has_value(); });
    });
    std::printf("%-44s %10.1f ms\n", "two indexes made", took);
  }

  void query(const char* what, std::string_view text, int times) {
    const auto parsed = take(Query::parse(text));
    std::uint64_t rows_found = 0;
    std::uint64_t examined = 0;
    double longest = 0;
    const auto took = milliseconds([&] {
      for (int i = 0; i < times; ++i) {
        auto run = take(query::Run::begin(parsed, node_->queries(), "", 10'000));
        for (auto state = query::Run::State::more; state == query::Run::State::more;) {
          std::vector<query::Row> rows;
          longest = std::max(longest, milliseconds([&] { state = take(run.step(rows)); }));
          rows_found += rows.size();
        }
        examined = run.examined();
      }
    });
    std::printf("%-44s %10.3f ms   %llu rows, %llu read, longest step %.2f ms\n", what,
                took / times, static_cast<unsigned long long>(rows_found / times),
                static_cast<unsigned long long>(examined), longest);
  }

  void live() {
    constexpr int kWrites = 2000;
    int version = 0;
    const auto writes = [&] {
      ++version;
      for (int i = 0; i < kWrites; ++i) {
        put(i, fmt::format(R"({{"score":{},"version":{}}})", i, version));
      }
      settle();
    };
    const auto without = milliseconds(writes);
    for (const int count : {1, 16}) {
      std::vector<std::unique_ptr<node::LiveQuery>> queries;
      std::uint64_t lines_told = 0;
      const auto follow = [&] {
        for (auto& one : queries) {
          std::vector<node::LiveLine> lines;
          while (take(one->step(lines)) == node::LiveQuery::State::more) {
          }
          lines_told += lines.size();
        }
      };
      for (int i = 0; i < count; ++i) {
        queries.push_back(take(node_->live().begin(
            take(Query::parse("from t where score < 1000 and version > 0")), "")));
      }
      const auto snapshot = milliseconds(follow);
      lines_told = 0;
      const auto wake = node_->events().on_event(follow);
      const auto with = milliseconds(writes);
      node_->events().off_event(wake);
      std::printf("%-44s %10.3f us   a change and live query; snapshot %.0f ms each, %llu lines\n",
                  fmt::format("{} live queries, {} writes", count, kWrites).c_str(),
                  (with - without) * 1000 / kWrites / count, snapshot / count,
                  static_cast<unsigned long long>(lines_told));
    }
  }

  int documents_;
  std::filesystem::path directory_;
  node::AsioExecutor executor_;
  node::Settings settings_;
  std::unique_ptr<node::Node> node_;
  int waiting_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  Bench(argc > 1 ? std::atoi(argv[1]) : 100'000).run();
  return 0;
}
