// Keys: their order, their pages, their lengths.
#include <algorithm>

#include "store/record.hpp"
#include "store_fixture.hpp"

namespace peat::store {
namespace {

using Strings = std::vector<std::string>;

class Keys : public testing::TestWithParam<On> {
 protected:
  Keys() : disk(GetParam()) {}
  Disk disk;
};
INSTANTIATE_TEST_SUITE_P(Backends, Keys, testing::ValuesIn(kBackends), backend_name);

TEST_P(Keys, AreListedByPrefixInBytewiseOrder) {
  auto& store = disk.open();
  for (const auto* key : {"roads:b", "roads:a", "roads:", "roads:\xff", "roads;x", "road:z", "s:1",
                          "roads:ab", "roads:B"}) {
    put(store, key, "1");
  }
  const Strings expected{"roads:", "roads:B", "roads:a", "roads:ab", "roads:b", "roads:\xff"};
  EXPECT_EQ(store.keys("roads:", "", 100).value(), expected);
  disk.settle();
  EXPECT_EQ(store.keys("roads:", "", 100).value(), expected);
  EXPECT_EQ(store.keys("roads:", "roads:a", 2).value(), (Strings{"roads:ab", "roads:b"}));
  EXPECT_EQ(store.keys("roads:", "roads:aa", 1).value(), Strings{"roads:ab"});
  EXPECT_EQ(store.keys("roads:", "zzz", 100).value(), Strings{});
  EXPECT_EQ(store.keys("roads:", "aaa", 1).value(), Strings{"roads:"});
  EXPECT_EQ(store.keys("none:", "", 100).value(), Strings{});
  EXPECT_EQ(store.keys("roads:", "", 0).value(), Strings{});
  EXPECT_EQ(store.keys("", "", 100).value().size(), 9U);
}

// LMDB ends at 511 bytes; the wire allows 4,096.
TEST_P(Keys, LongOnesAreKeptApartAndListedInOrder) {
  auto& store = disk.open();
  Strings expected;
  const std::string stem = "roads:" + std::string(473, 'x');  // 479: the longest stored plainly
  for (const auto& tail : {"", "a", "ab", "b", "c", "d"}) expected.push_back(stem + tail);
  expected.push_back(stem + std::string(3617, 'y'));  // 4,096: the longest allowed
  expected.push_back("roads:" + std::string(472, 'x') + "y");
  expected.push_back("roads:" + std::string(472, 'x') + "yz");
  for (const auto& key : expected) put(store, key, key);
  std::ranges::sort(expected);
  for (const bool durable : {false, true}) {
    if (durable) disk.settle();
    EXPECT_EQ(store.keys("roads:", "", 100).value(), expected);
    for (const auto& key : expected) EXPECT_EQ(content(store, key), key);
    // Pages of every size end where the next begins.
    for (const std::size_t page : {1U, 2U, 3U}) {
      Strings paged;
      std::string after;
      for (;;) {
        const auto keys = store.keys("roads:", after, page).value();
        if (keys.empty()) break;
        paged.insert(paged.end(), keys.begin(), keys.end());
        after = keys.back();
      }
      EXPECT_EQ(paged, expected);
    }
    EXPECT_EQ(store.keys(stem + "a", "", 100).value(), (Strings{stem + "a", stem + "ab"}));
    EXPECT_EQ(store.keys(stem + "a", stem + "a", 100).value(), Strings{stem + "ab"});
  }
  EXPECT_EQ(store.feed(0, 100).value()[3].key, stem + "b");
  WriteBatch batch;
  batch.erase(expected[2], std::nullopt);
  const auto id = expected[3].substr(6);
  batch.bury(expected[3], tombstone("roads", id, 1), {}, std::nullopt);
  ASSERT_TRUE(store.write(std::move(batch)));
  EXPECT_EQ(store.keys("roads:", "", 100).value().size(), expected.size() - 2);
  EXPECT_EQ(store.tombstone(expected[3]).value()->tombstone.id, id);
  EXPECT_EQ(store.count("roads"), expected.size() - 2);
}

TEST_P(Keys, CollectionsWithLongNamesAreCounted) {
  const std::string collection(1000, 'c');
  {
    auto& store = disk.open();
    put(store, collection + ":1", "1");
    put(store, collection + "d:1", "1");
    put(store, ":empty name", "1");
    disk.close();
  }
  auto& store = disk.open();
  EXPECT_EQ(store.collections(), (Strings{"", collection, collection + 'd'}));
  EXPECT_EQ(store.count(collection), 1U);
  EXPECT_EQ(store.count(""), 1U);
}

// Limit wire_key_bytes.
TEST_P(Keys, TooLongAndEmptyOnesAreRefused) {
  auto& store = disk.open();
  WriteBatch batch;
  batch.replace("roads:" + std::string(4091, 'x'), {}, {}, std::nullopt);
  const auto result = store.write(std::move(batch));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::limit_exceeded);
  EXPECT_NE(result.error().message.find("4097"), std::string::npos) << result.error().message;
  WriteBatch empty;
  empty.append("", {bytes_of("x")}, {}, std::nullopt);
  EXPECT_EQ(store.write(std::move(empty)).error().code, Code::invalid_argument);
  EXPECT_EQ(store.count(), 0U);
}

TEST(StoredKey, FitsLmdbAndKeepsDifferentKeysApart) {
  const std::string longest(479, 'k');
  EXPECT_EQ(stored_key(longest), longest);
  const auto hashed = stored_key(longest + 'x');
  EXPECT_EQ(hashed.size(), 511U);
  EXPECT_EQ(hashed.substr(0, 479), longest);
  EXPECT_EQ(as_text(sha256(as_bytes(longest + 'x'))), hashed.substr(479));
  EXPECT_NE(hashed, stored_key(longest + 'y'));
  EXPECT_EQ(sync_state_key(peer(1), longest).size(), 511U);
}

TEST_P(Keys, RowsOfAnIndexAreListedInBothDirectionsAcrossAllLayers) {
  using Direction = DocumentStore::Direction;
  auto& store = disk.open();
  const auto listed = [&store](std::string_view prefix, std::string_view from, Direction direction,
                               std::size_t limit = 100) {
    Strings names;
    const auto rows = store.index_rows(prefix, from, direction, limit).value();
    for (const auto& row : rows) {
      names.push_back(row.name);
    }
    return names;
  };
  const auto write = [&store](const Strings& puts, const Strings& erasures) {
    WriteBatch batch;
    for (const auto& name : puts) batch.put_index(name, bytes_of("of " + name));
    for (const auto& name : erasures) batch.erase_index(name);
    ASSERT_TRUE(store.write(std::move(batch)));
  };
  write({"v1", "v3", "v5", "w", "v\xff\xff", "u9"}, {});
  disk.settle();
  write({"v2", "v4"}, {"v3", "v5"});  // over what is committed
  for (const bool durable : {false, true}) {
    if (durable) disk.settle();
    EXPECT_EQ(listed("v", "", Direction::up), (Strings{"v1", "v2", "v4", "v\xff\xff"}));
    EXPECT_EQ(listed("v", "", Direction::down), (Strings{"v\xff\xff", "v4", "v2", "v1"}));
    EXPECT_EQ(listed("v", "v2", Direction::up, 1), Strings{"v4"});
    EXPECT_EQ(listed("v", "v4", Direction::down, 1), Strings{"v2"});
    EXPECT_EQ(listed("v", "v3", Direction::down), (Strings{"v2", "v1"}));
    EXPECT_EQ(listed("x", "", Direction::down), Strings{});
    EXPECT_EQ(listed("u", "", Direction::down), Strings{"u9"});
    EXPECT_EQ(text_of(store.index_row("v2").value().value()), "of v2");
    EXPECT_FALSE(store.index_row("v3").value());
  }
  WriteBatch nameless;
  nameless.put_index("", {});
  EXPECT_EQ(store.write(std::move(nameless)).error().code, Code::invalid_argument);
  WriteBatch long_name;
  long_name.put_index(std::string(480, 'x'), {});
  EXPECT_EQ(store.write(std::move(long_name)).error().code, Code::invalid_argument);
  disk.close();
  EXPECT_EQ(disk.open().index_rows("v", "", Direction::up, 100)->size(), 4U);
}

}  // namespace
}  // namespace peat::store
