// What of a file is loaded, what is saved after what, and who made it.
#include <gtest/gtest.h>

#include <algorithm>

#include "support.hpp"

namespace peat::automerge {
namespace {

using namespace test;

Document counting(int changes) {
  auto document = replica(1);
  for (int i = 0; i < changes; ++i) put(document, "n", std::int64_t{i});
  return document;
}

Bytes joined(const std::vector<Bytes>& chunks) {
  Bytes out;
  for (const auto& chunk : chunks) put_bytes(out, chunk);
  return out;
}

// --- save_after -----------------------------------------------------------------------------

TEST(SaveAfter, HoldsWhatTheOtherSideLacks) {
  auto document = counting(3);
  auto other = document.fork(actor(2)).value();
  const auto known = document.heads();
  put(document, "later", true);
  put(document, "later", false);
  const auto bytes = document.save_after(known).value();
  EXPECT_EQ(other.load_incremental(bytes)->applied, 2U);
  EXPECT_EQ(other.heads(), document.heads());
  EXPECT_TRUE(document.save_after(document.heads()).value().empty());
  EXPECT_EQ(document.save_after({}).value(), joined(all_changes(document)));
}

TEST(SaveAfter, DoesNotMoveTheMarkOfSaveIncremental) {
  auto document = counting(2);
  ASSERT_TRUE(document.save());
  put(document, "later", true);
  ASSERT_TRUE(document.save_after({}));
  EXPECT_FALSE(document.save_incremental().value().empty());
}

// --- partial loads --------------------------------------------------------------------------

TEST(PartialLoad, KeepsWhatStandsBeforeTheFault) {
  const auto document = counting(5);
  auto chunks = all_changes(document);
  const auto third = chunks[2];
  chunks[3].back() ^= 1;
  const auto file = joined(chunks);
  EXPECT_CODE(Document::load(file), Code::checksum_mismatch);
  const auto loaded = Document::load(file, {.on_partial = OnPartialLoad::ignore});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->change_count(), 3U);
  ASSERT_TRUE(loaded->load_fault());
  EXPECT_EQ(loaded->load_fault()->code, Code::checksum_mismatch);
}

TEST(PartialLoad, ADocumentSurvivesAnythingBehindIt) {
  const auto document = counting(4);
  const auto good = document.save().value();
  for (const auto* tail : {"00", "856f4a83", "856f4a83 00000000 01 7f"}) {
    auto file = good;
    put_bytes(file, hex(tail));
    EXPECT_FALSE(Document::load(file)) << tail;
    const auto loaded = Document::load(file, {.on_partial = OnPartialLoad::ignore});
    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_EQ(loaded->heads(), document.heads());
    EXPECT_TRUE(loaded->load_fault());
  }
}

TEST(PartialLoad, ChangesWithoutTheirDependenciesWait) {
  const auto chunks = all_changes(counting(3));
  const auto file = joined({chunks[0], chunks[2]});
  EXPECT_CODE(Document::load(file), Code::missing_dependency);
  auto loaded = Document::load(file, {.on_partial = OnPartialLoad::ignore});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->change_count(), 1U);
  EXPECT_EQ(loaded->missing_deps().size(), 1U);
  EXPECT_EQ(receive(*loaded, {chunks[1]})->applied, 2U);
}

TEST(PartialLoad, AWholeFileHasNoFault) {
  const auto loaded =
      Document::load(counting(3).save().value(), {.on_partial = OnPartialLoad::ignore});
  EXPECT_FALSE(loaded->load_fault());
}

TEST(PartialLoad, AFaultInTheFirstChunkIsStillAnError) {
  auto file = counting(3).save().value();
  file.back() ^= 1;
  EXPECT_CODE(Document::load(file, {.on_partial = OnPartialLoad::ignore}), Code::checksum_mismatch);
}

TEST(LoadErrors, NameTheRuleTheChunkAndTheByte) {
  const auto document = counting(3);
  auto file = document.save().value();
  const auto at = file.size();
  auto columns = put_one();
  columns[1].bytes = hex("01 01");
  put_bytes(file, change_chunk(columns));
  const auto loaded = Document::load(file);
  ASSERT_FALSE(loaded);
  const auto& message = loaded.error().message;
  EXPECT_NE(message.find("insert column"), std::string::npos) << message;
  EXPECT_NE(message.find("chunk 1, a change at byte " + std::to_string(at)), std::string::npos)
      << message;
}

// --- Verify::none ---------------------------------------------------------------------------

// A document whose heads are not those of its changes, as others write one when they have taken in
// a change that they cannot rebuild.
Bytes with_foreign_head(const Document& document) {
  const auto saved = raw(document);
  const auto view = read_chunk(saved, 0)->data;
  Bytes data(view.begin(), view.end());
  const auto head = document.heads()[0].bytes;
  const auto at = std::ranges::search(data, head).begin();
  *at ^= 0xff;
  return chunk(ChunkType::kDocument, data);
}

TEST(VerifyNone, OpensADocumentWhoseHeadsAreNotItsOwn) {
  for (const int changes : {3, 100}) {
    const auto document = counting(changes);
    const auto file = with_foreign_head(document);
    EXPECT_CODE(Document::load(file), Code::hash_mismatch);
    auto loaded = Document::load(file, {.verify = Verify::none});
    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_EQ(loaded->heads(), document.heads()) << "those of the changes";
    EXPECT_EQ(loaded->to_json().value(), document.to_json().value());
    put(*loaded, "later", true);
    EXPECT_TRUE(Document::load(loaded->save().value()));
  }
}

// --- authors --------------------------------------------------------------------------------

const Bytes kAda = hex("ad a0");

TEST(Authors, AreWrittenWithTheActorsFirstChangeAndReadByEveryReplica) {
  auto document = replica(1);
  ASSERT_TRUE(document.set_author(kAda));
  EXPECT_EQ(document.author(), kAda);
  const auto first = put(document, "n", std::int64_t{1});
  const auto second = put(document, "n", std::int64_t{2});
  auto other = replica(2);
  ASSERT_TRUE(receive(other, all_changes(document)));
  const auto loaded = Document::load(document.save().value());
  ASSERT_TRUE(loaded);
  for (const Document* reader : {&std::as_const(document), &std::as_const(other), &*loaded}) {
    EXPECT_EQ(reader->change(first)->author, kAda);
    EXPECT_EQ(reader->change(second)->author, std::nullopt);
    EXPECT_EQ(reader->author_of(actor(1)), kAda);
    EXPECT_EQ(reader->author_of(actor(2)), std::nullopt);
  }
}

TEST(Authors, TheFooterIsOneThenLengthThenBytes) {
  auto document = replica(1);
  ASSERT_TRUE(document.set_author(kAda));
  put(document, "n", std::int64_t{1});
  const auto change = all_changes(document)[0];
  EXPECT_TRUE(std::ranges::equal(ByteView(change).last(4), hex("01 02 ad a0")));
}

TEST(Authors, ADocumentThatIsFilledLaterKeepsItsAuthor) {
  auto document = replica(2);
  ASSERT_TRUE(document.set_author(kAda));
  ASSERT_TRUE(document.load_incremental(counting(2).save().value()));
  put(document, "n", std::int64_t{7});
  EXPECT_EQ(document.author_of(actor(2)), kAda);
  EXPECT_EQ(document.author_of(actor(1)), std::nullopt);
  EXPECT_EQ(document.fork()->author(), kAda);
}

TEST(Authors, AnActorKeepsItsAuthor) {
  auto document = counting(1);
  EXPECT_CODE(document.set_author(kAda), Code::invalid_argument);
  ASSERT_TRUE(document.set_actor(actor(3)));
  EXPECT_TRUE(document.set_author(kAda));
  put(document, "n", std::int64_t{9});
  EXPECT_EQ(document.author_of(actor(3)), kAda);
  EXPECT_TRUE(document.set_author(kAda)) << "nothing changes";
  EXPECT_CODE(document.set_author(Bytes(70000, 1)), Code::invalid_argument);
}

TEST(Authors, ASecondAuthorOfAnActorIsRefused) {
  auto document = replica(1);
  ASSERT_TRUE(document.set_author(kAda));
  put(document, "n", std::int64_t{1});
  const auto deps = document.heads();
  // The actor's second change, with a footer.
  Bytes data = hex("01");
  put_bytes(data, deps[0].bytes);
  put_bytes(data, hex("10 01010101010101010101010101010101 | 02 02 00 00 00 00 | 01 01 bb"));
  auto other = replica(2);
  ASSERT_TRUE(receive(other, all_changes(document)));
  EXPECT_CODE(receive(other, {chunk(ChunkType::kChange, data)}), Code::malformed);
  EXPECT_EQ(other.change_count(), 1U);
  auto both = replica(2);
  auto all = all_changes(document);
  all.push_back(chunk(ChunkType::kChange, data));
  EXPECT_CODE(receive(both, all), Code::malformed);
}

TEST(Authors, OtherExtraBytesAreNone) {
  auto document = replica(2);
  for (const auto* extra : {"", "02 01 aa", "01 05 aa", "ff"}) {
    auto reader = replica(3);
    ASSERT_TRUE(receive(reader, {change_chunk(put_one(), {}, hex(extra))}));
    EXPECT_EQ(reader.author_of(actor(1)), std::nullopt) << extra;
  }
}

}  // namespace
}  // namespace peat::automerge
