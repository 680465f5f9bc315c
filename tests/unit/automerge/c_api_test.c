/* peat/automerge.h as a C11 program meets it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peat/automerge.h"

static int failures = 0;

#define CHECK(condition)                                              \
  do {                                                                \
    if (!(condition)) {                                               \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      ++failures;                                                     \
    }                                                                 \
  } while (0)

#define DO(call)                                                           \
  do {                                                                     \
    peat_am_error failure = PEAT_AM_ERROR_INIT;                            \
    peat_am_error* e = &failure;                                           \
    if ((call) != 0) {                                                     \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, failure.message); \
      ++failures;                                                          \
    }                                                                      \
  } while (0)

static peat_am_doc* fresh(const char* actor) {
  peat_am_doc* doc = NULL;
  DO(peat_am_create(peat_am_str(actor), &doc, e));
  return doc;
}

static int is_json(peat_am_doc* doc, int form, const char* expected) {
  peat_am_buffer json = {NULL, 0};
  DO(peat_am_to_json(doc, form, &json, e));
  const int same = json.data != NULL && strcmp((const char*)json.data, expected) == 0;
  if (!same) fprintf(stderr, "got %s\nnot %s\n", (const char*)json.data, expected);
  peat_am_buffer_free(&json);
  return same;
}

static void every_kind_of_edit_is_there(void) {
  peat_am_doc* doc = fresh("a");
  const peat_am_value one = peat_am_int(1);
  const peat_am_value half = peat_am_double(0.5);
  const peat_am_value yes = peat_am_bool(1);
  const peat_am_value word = peat_am_text("w\xc3\xb6rd");
  const peat_am_value count = peat_am_counter(3);
  peat_am_object list;
  peat_am_object text;
  DO(peat_am_map_put(doc, PEAT_AM_ROOT, peat_am_str("one"), &one, e));
  DO(peat_am_map_put(doc, PEAT_AM_ROOT, peat_am_str("gone"), &yes, e));
  DO(peat_am_map_erase(doc, PEAT_AM_ROOT, peat_am_str("gone"), e));
  DO(peat_am_map_put(doc, PEAT_AM_ROOT, peat_am_str("count"), &count, e));
  DO(peat_am_map_increment(doc, PEAT_AM_ROOT, peat_am_str("count"), 4, e));
  DO(peat_am_map_put_object(doc, PEAT_AM_ROOT, peat_am_str("list"), PEAT_AM_LIST, &list, e));
  DO(peat_am_list_insert(doc, list, 0, &half, e));
  DO(peat_am_list_insert(doc, list, 1, &one, e));
  DO(peat_am_list_put(doc, list, 1, &word, e));
  DO(peat_am_list_insert(doc, list, 2, &count, e));
  DO(peat_am_list_increment(doc, list, 2, -1, e));
  DO(peat_am_list_insert(doc, list, 3, &yes, e));
  DO(peat_am_list_erase(doc, list, 3, e));
  DO(peat_am_list_insert_object(doc, list, 3, PEAT_AM_MAP, NULL, e));
  DO(peat_am_map_put_object(doc, PEAT_AM_ROOT, peat_am_str("text"), PEAT_AM_TEXT, &text, e));
  DO(peat_am_text_splice(doc, text, 0, 0, peat_am_str("hallo"), e));
  DO(peat_am_text_splice(doc, text, 1, 1, peat_am_str("e"), e));

  peat_am_commit_options commit = PEAT_AM_COMMIT_OPTIONS_INIT;
  commit.time = 1700000000;
  commit.message = peat_am_str("edits");
  peat_am_hash hash;
  peat_am_hash head;
  size_t heads = 0;
  DO(peat_am_commit(doc, &commit, &hash, e));
  DO(peat_am_heads(doc, &head, 1, &heads, e));
  CHECK(heads == 1 && memcmp(&hash, &head, sizeof hash) == 0);
  CHECK(peat_am_change_count(doc) == 1);
  CHECK(is_json(doc, PEAT_AM_JSON_PLAIN,
                "{\"count\":7,\"list\":[0.5,\"w\xc3\xb6rd\",2,{}],\"one\":1,\"text\":\"hello\"}"));
  CHECK(is_json(doc, PEAT_AM_JSON_TYPED,
                "{\"count\":{\"$counter\":7},\"list\":[0.5,\"w\xc3\xb6rd\",{\"$counter\":2},{}],"
                "\"one\":1,\"text\":{\"$text\":\"hello\"}}"));

  DO(peat_am_commit(doc, NULL, &hash, e));
  const peat_am_hash none = {{0}};
  CHECK(memcmp(&hash, &none, sizeof hash) == 0);
  peat_am_free(doc);
}

static int count_member(void* context, peat_am_bytes key, const peat_am_value* value) {
  char* seen = context;
  strncat(seen, (const char*)key.data, key.size);
  strcat(seen, value->type == PEAT_AM_INT ? "i" : "?");
  return 0;
}

static void values_are_read_with_their_types(void) {
  peat_am_doc* doc = fresh("a");
  DO(peat_am_from_json(doc,
                       peat_am_str("{\"a\":-5,\"b\":{\"$bytes\":\"AQI=\"},\"c\":{\"$uint\":7},"
                                   "\"d\":[1,2,3],\"e\":null,\"f\":{\"$timestamp\":9}}"),
                       PEAT_AM_JSON_UPDATE, PEAT_AM_JSON_TYPED, NULL, NULL, e));
  peat_am_value value;
  DO(peat_am_map_get(doc, PEAT_AM_ROOT, peat_am_str("a"), &value, e));
  CHECK(value.type == PEAT_AM_INT && value.as.integer == -5);
  DO(peat_am_map_get(doc, PEAT_AM_ROOT, peat_am_str("b"), &value, e));
  CHECK(value.type == PEAT_AM_BYTES && value.as.bytes.size == 2 && value.as.bytes.data[1] == 2);
  DO(peat_am_map_get(doc, PEAT_AM_ROOT, peat_am_str("c"), &value, e));
  CHECK(value.type == PEAT_AM_UINT && value.as.uint == 7);
  DO(peat_am_map_get(doc, PEAT_AM_ROOT, peat_am_str("f"), &value, e));
  CHECK(value.type == PEAT_AM_TIMESTAMP && value.as.integer == 9);
  DO(peat_am_map_get(doc, PEAT_AM_ROOT, peat_am_str("nowhere"), &value, e));
  CHECK(value.type == PEAT_AM_ABSENT);
  DO(peat_am_map_get(doc, PEAT_AM_ROOT, peat_am_str("d"), &value, e));
  CHECK(value.type == PEAT_AM_LIST);
  const peat_am_object list = value.as.object;
  size_t length = 0;
  DO(peat_am_length(doc, list, &length, e));
  CHECK(length == 3);
  DO(peat_am_list_get(doc, list, 2, &value, e));
  CHECK(value.type == PEAT_AM_INT && value.as.integer == 3);
  DO(peat_am_list_get(doc, list, 3, &value, e));
  CHECK(value.type == PEAT_AM_ABSENT);
  char seen[64] = "";
  DO(peat_am_map_each(doc, PEAT_AM_ROOT, count_member, seen, e));
  CHECK(strcmp(seen, "aib?c?d?e?f?") == 0);
  peat_am_free(doc);
}

static int keep_change(void* context, peat_am_bytes chunk) {
  return peat_am_apply(context, &chunk, 1, NULL, NULL);
}

static void documents_travel_as_files_changes_and_messages(void) {
  peat_am_doc* a = fresh("a");
  DO(peat_am_from_json(a, peat_am_str("{\"n\":1}"), PEAT_AM_JSON_UPDATE, PEAT_AM_JSON_PLAIN, NULL,
                       NULL, e));
  peat_am_buffer file;
  peat_am_save_options raw = PEAT_AM_SAVE_OPTIONS_INIT;
  raw.raw = 1;
  DO(peat_am_save(a, &raw, &file, e));
  peat_am_load_options options = PEAT_AM_LOAD_OPTIONS_INIT;
  options.actor = peat_am_str("b");
  peat_am_doc* b = NULL;
  const peat_am_bytes bytes = {file.data, file.size};
  DO(peat_am_load(bytes, &options, &b, e));
  peat_am_buffer_free(&file);
  CHECK(peat_am_actor(b).size == 1 && peat_am_actor(b).data[0] == 'b');

  peat_am_doc* c = fresh("c");
  DO(peat_am_from_json(a, peat_am_str("{\"m\":2}"), PEAT_AM_JSON_MERGE_PATCH, PEAT_AM_JSON_PLAIN,
                       NULL, NULL, e));
  DO(peat_am_changes(a, NULL, 0, keep_change, c, e));
  CHECK(is_json(c, PEAT_AM_JSON_PLAIN, "{\"m\":2,\"n\":1}"));

  peat_am_report report = PEAT_AM_REPORT_INIT;
  DO(peat_am_save_incremental(a, &file, e));
  const peat_am_bytes rest = {file.data, file.size};
  DO(peat_am_load_incremental(b, rest, &report, e));
  CHECK(report.applied == 1);
  peat_am_buffer_free(&file);

  peat_am_doc* d = NULL;
  DO(peat_am_fork(b, peat_am_str("d"), &d, e));
  DO(peat_am_from_json(d, peat_am_str("{\"n\":3}"), PEAT_AM_JSON_REPLACE, PEAT_AM_JSON_PLAIN, NULL,
                       NULL, e));
  DO(peat_am_merge(b, d, &report, e));
  CHECK(report.applied == 1);

  peat_am_sync* to_b = NULL;
  peat_am_sync* to_a = NULL;
  DO(peat_am_sync_create(PEAT_AM_NO_BYTES, &to_b, e));
  DO(peat_am_sync_create(PEAT_AM_NO_BYTES, &to_a, e));
  for (int quiet = 0, round = 0; quiet < 2 && round < 20; ++round) {
    peat_am_doc* from = round % 2 == 0 ? a : b;
    peat_am_doc* to = round % 2 == 0 ? b : a;
    peat_am_buffer message;
    DO(peat_am_sync_generate(from, round % 2 == 0 ? to_b : to_a, &message, e));
    quiet = message.data == NULL ? quiet + 1 : 0;
    if (message.data == NULL) continue;
    const peat_am_bytes sent = {message.data, message.size};
    DO(peat_am_sync_receive(to, round % 2 == 0 ? to_a : to_b, sent, NULL, e));
    peat_am_buffer_free(&message);
  }
  CHECK(is_json(a, PEAT_AM_JSON_PLAIN, "{\"n\":3}"));
  peat_am_buffer saved;
  DO(peat_am_sync_save(to_b, &saved, e));
  CHECK(saved.size == 2 + sizeof(peat_am_hash) && saved.data[0] == 0x43);
  peat_am_buffer_free(&saved);
  peat_am_sync_free(to_a);
  peat_am_sync_free(to_b);
  peat_am_free(a);
  peat_am_free(b);
  peat_am_free(c);
  peat_am_free(d);
}

static void errors_are_values(void) {
  peat_am_error error = PEAT_AM_ERROR_INIT;
  peat_am_doc* doc = NULL;
  CHECK(peat_am_load(peat_am_str("no file"), NULL, &doc, &error) == PEAT_CODE_malformed);
  CHECK(doc == NULL && error.code == PEAT_CODE_malformed && strlen(error.message) > 10);
  CHECK(strcmp(peat_am_code_name(error.code), "malformed") == 0);
  CHECK(strcmp(peat_am_code_name(12345), "unknown") == 0);
  CHECK(peat_am_load(PEAT_AM_NO_BYTES, NULL, NULL, NULL) == PEAT_CODE_invalid_argument);

  doc = fresh("a");
  const peat_am_value one = peat_am_int(1);
  CHECK(peat_am_list_insert(doc, PEAT_AM_ROOT, 0, &one, &error) == PEAT_CODE_wrong_type);
  CHECK(peat_am_map_put(doc, PEAT_AM_ROOT, peat_am_str("k"), NULL, NULL) ==
        PEAT_CODE_invalid_argument);
  // An edit that failed opened nothing, and what could not be filled can be freed.
  peat_am_buffer out = {NULL, 0};
  DO(peat_am_save(doc, NULL, &out, e));
  peat_am_buffer_free(&out);
  DO(peat_am_map_put(doc, PEAT_AM_ROOT, peat_am_str("k"), &one, e));
  memset(&out, 0x5a, sizeof out);
  CHECK(peat_am_save(doc, NULL, &out, &error) == PEAT_CODE_invalid_argument);
  CHECK(out.data == NULL);
  peat_am_rollback(doc);
  CHECK(is_json(doc, PEAT_AM_JSON_PLAIN, "{}"));

  peat_am_save_options unset = {0, 0, 0};
  CHECK(peat_am_save(doc, &unset, &out, &error) == PEAT_CODE_invalid_argument);
  CHECK(peat_am_from_json(doc, peat_am_str("[]"), 0, 0, NULL, NULL, &error) ==
        PEAT_CODE_invalid_argument);
  CHECK(peat_am_from_json(doc, peat_am_str("{}"), 9, 0, NULL, NULL, &error) ==
        PEAT_CODE_invalid_argument);
  CHECK(peat_am_to_json(doc, 7, &out, &error) == PEAT_CODE_invalid_argument);
  CHECK(peat_am_save(NULL, NULL, &out, &error) == PEAT_CODE_invalid_argument);
  peat_am_free(doc);
  peat_am_free(NULL);
  peat_am_sync_free(NULL);
  peat_am_buffer_free(NULL);
}

/* A caller compiled against a later header, or an earlier one. */
static void structures_may_grow(void) {
  peat_am_doc* doc = fresh("a");
  struct {
    peat_am_save_options known;
    int later;
  } longer = {PEAT_AM_SAVE_OPTIONS_INIT, 7};
  longer.known.size = sizeof longer;
  peat_am_buffer out;
  DO(peat_am_save(doc, &longer.known, &out, e));
  peat_am_buffer_free(&out);
  peat_am_commit_options shorter = PEAT_AM_COMMIT_OPTIONS_INIT;
  shorter.size = offsetof(peat_am_commit_options, message);
  shorter.allow_empty = 1; /* behind the size that it names: not looked at */
  peat_am_hash hash;
  DO(peat_am_commit(doc, &shorter, &hash, e));
  CHECK(peat_am_change_count(doc) == 0);
  peat_am_free(doc);
}

struct seen {
  char text[512];
};

static void note(struct seen* seen, const char* format, ...) {
  const size_t used = strlen(seen->text);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(seen->text + used, sizeof seen->text - used, format, arguments);
  va_end(arguments);
}

static int note_mark(void* context, const peat_am_mark_range* mark) {
  note(context, "%zu-%zu %.*s=%d;", mark->start, mark->end, (int)mark->name.size,
       (const char*)mark->name.data, mark->value.as.boolean);
  return 0;
}

static int note_span(void* context, peat_am_bytes content, peat_am_object block,
                     const peat_am_mark_range* marks, size_t count) {
  if (block.id != 0) {
    note(context, "[block]");
    return 0;
  }
  note(context, "%.*s", (int)content.size, (const char*)content.data);
  for (size_t i = 0; i < count; ++i) note(context, "<%zu-%zu>", marks[i].start, marks[i].end);
  return 0;
}

static int note_value(void* context, const peat_am_value* value, peat_am_bytes actor,
                      const peat_am_hash* change, int64_t time) {
  const peat_am_hash none = {{0}};
  CHECK(memcmp(change, &none, sizeof none) != 0);
  note(context, "%d by %.*s at %d;", (int)value->as.integer, (int)actor.size,
       (const char*)actor.data, (int)time);
  return 0;
}

static void cursors_and_marks_stay_with_their_text(void) {
  peat_am_doc* doc = fresh("a");
  const peat_am_value yes = peat_am_bool(1);
  peat_am_object text;
  peat_am_object block;
  DO(peat_am_map_put_object(doc, PEAT_AM_ROOT, peat_am_str("t"), PEAT_AM_TEXT, &text, e));
  DO(peat_am_text_splice(doc, text, 0, 0, peat_am_str("one two"), e));
  peat_am_buffer as_text;
  peat_am_buffer as_bytes;
  DO(peat_am_cursor(doc, text, 4, PEAT_AM_MOVE_AFTER, PEAT_AM_CURSOR_TEXT, &as_text, e));
  DO(peat_am_cursor(doc, text, 4, PEAT_AM_MOVE_AFTER, PEAT_AM_CURSOR_BYTES, &as_bytes, e));
  CHECK(strchr((const char*)as_text.data, '@') != NULL);
  DO(peat_am_mark(doc, text, 4, 7, peat_am_str("bold"), &yes, PEAT_AM_EXPAND_AFTER, e));
  DO(peat_am_text_splice(doc, text, 0, 0, peat_am_str("\xf0\x9f\x90\x9d "), e));
  size_t place = 0;
  DO(peat_am_position(doc, text, (peat_am_bytes){as_text.data, as_text.size}, &place, e));
  CHECK(place == 6);
  DO(peat_am_set_text_unit(doc, PEAT_AM_UNIT_UTF16, e));
  DO(peat_am_position(doc, text, (peat_am_bytes){as_bytes.data, as_bytes.size}, &place, e));
  CHECK(place == 7);
  DO(peat_am_set_text_unit(doc, PEAT_AM_UNIT_CODE_POINT, e));
  DO(peat_am_split_block(doc, text, 2, &block, e));
  CHECK(block.id != 0);
  struct seen marks = {{0}};
  struct seen spans = {{0}};
  DO(peat_am_marks(doc, text, note_mark, &marks, e));
  DO(peat_am_spans(doc, text, note_span, &spans, e));
  CHECK(strcmp(marks.text, "7-10 bold=1;") == 0);
  CHECK(strcmp(spans.text, "\xf0\x9f\x90\x9d [block]one two<7-10>") == 0);
  DO(peat_am_join_block(doc, text, 2, e));
  DO(peat_am_unmark(doc, text, 6, 9, peat_am_str("bold"), PEAT_AM_EXPAND_NONE, e));
  marks.text[0] = '\0';
  DO(peat_am_marks(doc, text, note_mark, &marks, e));
  CHECK(strcmp(marks.text, "") == 0);

  peat_am_error error = PEAT_AM_ERROR_INIT;
  CHECK(peat_am_position(doc, text, peat_am_str("no cursor"), &place, &error) ==
        PEAT_CODE_malformed);
  peat_am_buffer none;
  CHECK(peat_am_cursor(doc, text, 0, 9, 0, &none, &error) == PEAT_CODE_invalid_argument);
  CHECK(peat_am_mark(doc, text, 0, 1, peat_am_str("x"), &yes, 9, &error) ==
        PEAT_CODE_invalid_argument);
  CHECK(peat_am_set_text_unit(doc, 9, &error) == PEAT_CODE_invalid_argument);
  peat_am_buffer_free(&as_text);
  peat_am_buffer_free(&as_bytes);
  peat_am_free(doc);
}

static void a_document_is_read_as_it_was(void) {
  peat_am_doc* doc = fresh("a");
  peat_am_hash first;
  DO(peat_am_from_json(doc, peat_am_str("{\"n\":1,\"l\":[1,2]}"), PEAT_AM_JSON_UPDATE, 0, NULL,
                       &first, e));
  DO(peat_am_from_json(doc, peat_am_str("{\"n\":2,\"l\":[2]}"), PEAT_AM_JSON_UPDATE, 0, NULL, NULL,
                       e));
  DO(peat_am_read_at(doc, &first, 1, e));
  CHECK(is_json(doc, PEAT_AM_JSON_PLAIN, "{\"l\":[1,2],\"n\":1}"));
  peat_am_value value;
  DO(peat_am_map_get(doc, PEAT_AM_ROOT, peat_am_str("n"), &value, e));
  CHECK(value.type == PEAT_AM_INT && value.as.integer == 1);
  const peat_am_value three = peat_am_int(3);
  DO(peat_am_map_put(doc, PEAT_AM_ROOT, peat_am_str("n"), &three, e));
  DO(peat_am_commit(doc, NULL, NULL, e));
  CHECK(is_json(doc, PEAT_AM_JSON_PLAIN, "{\"l\":[1,2],\"n\":1}"));
  DO(peat_am_read_at(doc, NULL, 0, e));
  CHECK(is_json(doc, PEAT_AM_JSON_PLAIN, "{\"l\":[2],\"n\":3}"));
  const peat_am_hash nobodys = {{7}};
  peat_am_error error = PEAT_AM_ERROR_INIT;
  CHECK(peat_am_read_at(doc, &nobodys, 1, &error) == PEAT_CODE_not_found);
  CHECK(is_json(doc, PEAT_AM_JSON_PLAIN, "{\"l\":[2],\"n\":3}"));
  peat_am_free(doc);
}

static void conflicts_are_told_and_settled(void) {
  peat_am_doc* one = fresh("a");
  peat_am_doc* two = fresh("b");
  peat_am_commit_options at = PEAT_AM_COMMIT_OPTIONS_INIT;
  at.time = 10;
  DO(peat_am_from_json(one, peat_am_str("{\"n\":1}"), PEAT_AM_JSON_UPDATE, 0, &at, NULL, e));
  at.time = 20;
  DO(peat_am_from_json(two, peat_am_str("{\"n\":2}"), PEAT_AM_JSON_UPDATE, 0, &at, NULL, e));
  DO(peat_am_merge(one, two, NULL, e));
  struct seen seen = {{0}};
  DO(peat_am_map_conflicts(one, PEAT_AM_ROOT, peat_am_str("n"), note_value, &seen, e));
  CHECK(strcmp(seen.text, "1 by a at 10;2 by b at 20;") == 0);
  DO(peat_am_from_json(one, peat_am_str("[{\"path\":[\"n\"],\"value\":1}]"), PEAT_AM_JSON_SETTLE, 0,
                       NULL, NULL, e));
  CHECK(is_json(one, PEAT_AM_JSON_PLAIN, "{\"n\":1}"));
  DO(peat_am_merge(two, one, NULL, e));
  seen.text[0] = '\0';
  DO(peat_am_map_conflicts(two, PEAT_AM_ROOT, peat_am_str("n"), note_value, &seen, e));
  CHECK(strcmp(seen.text, "1 by a at 0;") == 0);
  DO(peat_am_map_keep_winner(two, PEAT_AM_ROOT, peat_am_str("n"), e));
  peat_am_hash hash;
  const peat_am_hash none = {{0}};
  DO(peat_am_commit(two, NULL, &hash, e));
  CHECK(memcmp(&hash, &none, sizeof hash) == 0); /* nothing was in conflict any more */
  peat_am_free(one);
  peat_am_free(two);
}

int main(void) {
  every_kind_of_edit_is_there();
  values_are_read_with_their_types();
  documents_travel_as_files_changes_and_messages();
  errors_are_values();
  structures_may_grow();
  cursors_and_marks_stay_with_their_text();
  a_document_is_read_as_it_was();
  conflicts_are_told_and_settled();
  if (failures != 0) fprintf(stderr, "%d checks failed\n", failures);
  return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
