/* Automerge documents for C, and for every language that can call C.
 *
 *   peat_am_error error = PEAT_AM_ERROR_INIT;
 *   peat_am_doc* doc;
 *   if (peat_am_create(PEAT_AM_NO_BYTES, &doc, &error) != 0) return complain(error.message);
 *   peat_am_value name = peat_am_text("north depot");
 *   peat_am_map_put(doc, PEAT_AM_ROOT, peat_am_str("name"), &name, &error);
 *   peat_am_commit(doc, NULL, NULL, &error);
 *   peat_am_buffer bytes;
 *   peat_am_save(doc, NULL, &bytes, &error);
 *   …
 *   peat_am_buffer_free(&bytes);
 *   peat_am_free(doc);
 *
 * The C++ header peat/automerge/document.hpp is the manual of what the calls mean; here is how they
 * are said in C.
 *
 * Errors. Every call that can fail returns 0, or a code of PEAT_CODE_… and fills `error` if that is
 * not NULL. A failed call leaves its document as it was. No exception and no signal leaves the
 * library; running out of memory is PEAT_CODE_out_of_memory. A NULL where something is needed is
 * PEAT_CODE_invalid_argument.
 *
 * Memory. A peat_am_buffer is yours: peat_am_buffer_free. A peat_am_bytes is borrowed: one that a
 * document returns is good until the next call that changes that document. Handles end with their
 * …_free, which takes NULL.
 *
 * Transactions. The first edit opens one, peat_am_commit makes it a change, peat_am_rollback
 * undoes it. Reading sees the edits. Calls that take or give changes (save, load_incremental,
 * apply, merge, fork, changes, heads, sync, JSON updates) refuse while one is open.
 *
 * Reading at heads. peat_am_read_at turns every call that reads values, texts, marks, cursors or
 * JSON to the document as it was; edits go on where it is.
 *
 * Options. Structures that may grow begin with their size. Set it, and everything else to 0, which
 * is the default; the …_INIT macros do so. NULL means all defaults.
 *
 * Threading. A document belongs to one thread at a time; different ones are independent.
 */
#ifndef PEAT_AUTOMERGE_H
#define PEAT_AUTOMERGE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define PEAT_AM_API __attribute__((visibility("default")))
#else
#define PEAT_AM_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* --- errors and bytes -------------------------------------------------------------------- */

enum {
  PEAT_CODE_ok = 0,
#define PEAT_ERROR(name, number, retry, http, exit_code, text) PEAT_CODE_##name = number,
#include "peat/error_codes.def"
#undef PEAT_ERROR
};

typedef struct peat_am_error {
  size_t size;
  int code;
  char message[512]; /* names the input, the place and the remedy; cut if it is longer */
} peat_am_error;
#define PEAT_AM_ERROR_INIT {sizeof(peat_am_error), 0, {0}}
/* "checksum_mismatch" and the like; "unknown" for what is no code. */
PEAT_AM_API const char* peat_am_code_name(int code);

typedef struct peat_am_bytes {
  const uint8_t* data;
  size_t size;
} peat_am_bytes;
#define PEAT_AM_NO_BYTES (peat_am_str(NULL))
PEAT_AM_API peat_am_bytes peat_am_str(const char* text); /* without its final 0; NULL is empty */

/* Behind `data` stands a 0 that `size` does not count. */
typedef struct peat_am_buffer {
  uint8_t* data;
  size_t size;
} peat_am_buffer;
PEAT_AM_API void peat_am_buffer_free(peat_am_buffer* buffer);

typedef struct peat_am_hash {
  uint8_t bytes[32];
} peat_am_hash;

/* --- documents --------------------------------------------------------------------------- */

typedef struct peat_am_doc peat_am_doc;

/* `actor`: 1 to 65,535 bytes; none: random. */
PEAT_AM_API int peat_am_create(peat_am_bytes actor, peat_am_doc** out, peat_am_error* error);
PEAT_AM_API void peat_am_free(peat_am_doc* doc);

enum { PEAT_AM_VERIFY_FULL = 0, PEAT_AM_VERIFY_LAZY = 1, PEAT_AM_VERIFY_NONE = 2 };
enum { PEAT_AM_PARTIAL_ERROR = 0, PEAT_AM_PARTIAL_IGNORE = 1 };
typedef struct peat_am_load_options {
  size_t size;
  int verify;
  int on_partial;
  peat_am_bytes actor;  /* of later edits; none: random */
  uint64_t input_bytes; /* limits; 0: the default */
  uint64_t inflated_bytes;
  uint64_t ops;
  uint64_t changes;
} peat_am_load_options;
#define PEAT_AM_LOAD_OPTIONS_INIT {sizeof(peat_am_load_options), 0, 0, {NULL, 0}, 0, 0, 0, 0}
PEAT_AM_API int peat_am_load(peat_am_bytes input, const peat_am_load_options* options,
                             peat_am_doc** out, peat_am_error* error);

typedef struct peat_am_save_options {
  size_t size;
  int raw;          /* do not deflate columns */
  int drop_orphans; /* leave out changes that wait for dependencies */
} peat_am_save_options;
#define PEAT_AM_SAVE_OPTIONS_INIT {sizeof(peat_am_save_options), 0, 0}
PEAT_AM_API int peat_am_save(peat_am_doc* doc, const peat_am_save_options* options,
                             peat_am_buffer* out, peat_am_error* error);
PEAT_AM_API int peat_am_save_incremental(peat_am_doc* doc, peat_am_buffer* out,
                                         peat_am_error* error);

/* What taking changes did. */
typedef struct peat_am_report {
  size_t size;
  size_t applied;
  size_t queued; /* wait for dependencies */
  size_t known;
} peat_am_report;
#define PEAT_AM_REPORT_INIT {sizeof(peat_am_report), 0, 0, 0}
/* `report` may be NULL in these. */
PEAT_AM_API int peat_am_load_incremental(peat_am_doc* doc, peat_am_bytes input,
                                         peat_am_report* report, peat_am_error* error);
PEAT_AM_API int peat_am_apply(peat_am_doc* doc, const peat_am_bytes* chunks, size_t count,
                              peat_am_report* report, peat_am_error* error);
PEAT_AM_API int peat_am_merge(peat_am_doc* doc, peat_am_doc* other, peat_am_report* report,
                              peat_am_error* error);
PEAT_AM_API int peat_am_fork(peat_am_doc* doc, peat_am_bytes actor, peat_am_doc** out,
                             peat_am_error* error);

/* --- history ----------------------------------------------------------------------------- */

PEAT_AM_API peat_am_bytes peat_am_actor(const peat_am_doc* doc);
PEAT_AM_API size_t peat_am_change_count(const peat_am_doc* doc);
/* Copies at most `room` heads to `out`; `*count` tells how many there are. */
PEAT_AM_API int peat_am_heads(const peat_am_doc* doc, peat_am_hash* out, size_t room, size_t* count,
                              peat_am_error* error);
/* Gives every change that is no ancestor of (or in) `have` to `tell`, dependencies first, until it
 * returns something other than 0. */
typedef int (*peat_am_change_fn)(void* context, peat_am_bytes chunk);
PEAT_AM_API int peat_am_changes(peat_am_doc* doc, const peat_am_hash* have, size_t count,
                                peat_am_change_fn tell, void* context, peat_am_error* error);

/* --- values ------------------------------------------------------------------------------ */

typedef struct peat_am_object {
  uint64_t id; /* of this document alone; 0: the root map */
} peat_am_object;
#define PEAT_AM_ROOT (peat_am_root())
PEAT_AM_API peat_am_object peat_am_root(void);

typedef enum peat_am_type {
  PEAT_AM_ABSENT, /* never set, or deleted */
  PEAT_AM_NULL,
  PEAT_AM_BOOL,
  PEAT_AM_INT,
  PEAT_AM_UINT,
  PEAT_AM_DOUBLE,
  PEAT_AM_COUNTER,
  PEAT_AM_TIMESTAMP, /* milliseconds since the Unix epoch */
  PEAT_AM_STRING,    /* UTF-8 */
  PEAT_AM_BYTES,
  PEAT_AM_UNKNOWN, /* a type of a later version */
  PEAT_AM_MAP,
  PEAT_AM_LIST,
  PEAT_AM_TEXT,
  PEAT_AM_TABLE
} peat_am_type;

typedef struct peat_am_value {
  peat_am_type type;
  uint8_t unknown_type; /* PEAT_AM_UNKNOWN: 10 to 15 */
  union {
    int boolean;
    int64_t integer; /* INT, COUNTER, TIMESTAMP */
    uint64_t uint;
    double real;
    peat_am_bytes bytes;   /* STRING, BYTES, UNKNOWN */
    peat_am_object object; /* MAP, LIST, TEXT, TABLE */
  } as;
} peat_am_value;

PEAT_AM_API peat_am_value peat_am_int(int64_t value);
PEAT_AM_API peat_am_value peat_am_double(double value);
PEAT_AM_API peat_am_value peat_am_bool(int value);
PEAT_AM_API peat_am_value peat_am_counter(int64_t value);
PEAT_AM_API peat_am_value peat_am_text(const char* text); /* a STRING */

/* --- reading ----------------------------------------------------------------------------- */

/* From now on reading shows the document as it was at these heads; with `heads` NULL, as it is. */
PEAT_AM_API int peat_am_read_at(peat_am_doc* doc, const peat_am_hash* heads, size_t count,
                                peat_am_error* error);
/* What positions and lengths in texts count, code points unless told otherwise. */
enum { PEAT_AM_UNIT_CODE_POINT = 0, PEAT_AM_UNIT_UTF8 = 1, PEAT_AM_UNIT_UTF16 = 2 };
PEAT_AM_API int peat_am_set_text_unit(peat_am_doc* doc, int unit, peat_am_error* error);
/* An absent key or index is no error: `out->type` is PEAT_AM_ABSENT. */
PEAT_AM_API int peat_am_map_get(peat_am_doc* doc, peat_am_object map, peat_am_bytes key,
                                peat_am_value* out, peat_am_error* error);
PEAT_AM_API int peat_am_list_get(peat_am_doc* doc, peat_am_object list, size_t index,
                                 peat_am_value* out, peat_am_error* error);
/* Keys ascending with their values, until `tell` returns something other than 0. */
typedef int (*peat_am_member_fn)(void* context, peat_am_bytes key, const peat_am_value* value);
PEAT_AM_API int peat_am_map_each(peat_am_doc* doc, peat_am_object map, peat_am_member_fn tell,
                                 void* context, peat_am_error* error);
/* All values that concurrent edits left, the winner last, with who set each and when (seconds since
 * the epoch), until `tell` returns something other than 0. */
typedef int (*peat_am_authored_fn)(void* context, const peat_am_value* value, peat_am_bytes actor,
                                   const peat_am_hash* change, int64_t time);
PEAT_AM_API int peat_am_map_conflicts(peat_am_doc* doc, peat_am_object map, peat_am_bytes key,
                                      peat_am_authored_fn tell, void* context,
                                      peat_am_error* error);
PEAT_AM_API int peat_am_list_conflicts(peat_am_doc* doc, peat_am_object list, size_t index,
                                       peat_am_authored_fn tell, void* context,
                                       peat_am_error* error);
/* Keys, elements, or a text's length in the document's unit. */
PEAT_AM_API int peat_am_length(peat_am_doc* doc, peat_am_object object, size_t* out,
                               peat_am_error* error);
PEAT_AM_API int peat_am_text_get(peat_am_doc* doc, peat_am_object text, peat_am_buffer* out,
                                 peat_am_error* error);

/* --- editing ----------------------------------------------------------------------------- */

PEAT_AM_API int peat_am_map_put(peat_am_doc* doc, peat_am_object map, peat_am_bytes key,
                                const peat_am_value* value, peat_am_error* error);
PEAT_AM_API int peat_am_list_put(peat_am_doc* doc, peat_am_object list, size_t index,
                                 const peat_am_value* value, peat_am_error* error);
PEAT_AM_API int peat_am_list_insert(peat_am_doc* doc, peat_am_object list, size_t index,
                                    const peat_am_value* value, peat_am_error* error);
/* `type`: PEAT_AM_MAP, PEAT_AM_LIST or PEAT_AM_TEXT. */
PEAT_AM_API int peat_am_map_put_object(peat_am_doc* doc, peat_am_object map, peat_am_bytes key,
                                       peat_am_type type, peat_am_object* out,
                                       peat_am_error* error);
PEAT_AM_API int peat_am_list_insert_object(peat_am_doc* doc, peat_am_object list, size_t index,
                                           peat_am_type type, peat_am_object* out,
                                           peat_am_error* error);
PEAT_AM_API int peat_am_map_erase(peat_am_doc* doc, peat_am_object map, peat_am_bytes key,
                                  peat_am_error* error);
PEAT_AM_API int peat_am_list_erase(peat_am_doc* doc, peat_am_object list, size_t index,
                                   peat_am_error* error);
PEAT_AM_API int peat_am_map_increment(peat_am_doc* doc, peat_am_object map, peat_am_bytes key,
                                      int64_t by, peat_am_error* error);
PEAT_AM_API int peat_am_list_increment(peat_am_doc* doc, peat_am_object list, size_t index,
                                       int64_t by, peat_am_error* error);
/* Ends a conflict in favour of its winner. */
PEAT_AM_API int peat_am_map_keep_winner(peat_am_doc* doc, peat_am_object map, peat_am_bytes key,
                                        peat_am_error* error);
PEAT_AM_API int peat_am_list_keep_winner(peat_am_doc* doc, peat_am_object list, size_t index,
                                         peat_am_error* error);
/* Positions in the document's text unit; a negative `erase` erases before `index`. */
PEAT_AM_API int peat_am_text_splice(peat_am_doc* doc, peat_am_object text, size_t index,
                                    ptrdiff_t erase, peat_am_bytes insert, peat_am_error* error);

typedef struct peat_am_commit_options {
  size_t size;
  int64_t time; /* seconds since the Unix epoch */
  peat_am_bytes message;
  int allow_empty;
} peat_am_commit_options;
#define PEAT_AM_COMMIT_OPTIONS_INIT {sizeof(peat_am_commit_options), 0, {NULL, 0}, 0}
/* `hash` may be NULL; it is all 0 when there was nothing to commit. */
PEAT_AM_API int peat_am_commit(peat_am_doc* doc, const peat_am_commit_options* options,
                               peat_am_hash* hash, peat_am_error* error);
PEAT_AM_API void peat_am_rollback(peat_am_doc* doc);

/* --- cursors, marks and blocks ------------------------------------------------------------- */

/* A place in a list or text that stays while others edit around it. `form`: as text or as bytes,
 * the forms of other implementations. */
enum { PEAT_AM_CURSOR_TEXT = 0, PEAT_AM_CURSOR_BYTES = 1 };
/* Where it goes when its element is deleted. */
enum { PEAT_AM_MOVE_BEFORE = 0, PEAT_AM_MOVE_AFTER = 1 };
PEAT_AM_API int peat_am_cursor(peat_am_doc* doc, peat_am_object sequence, size_t index, int move,
                               int form, peat_am_buffer* out, peat_am_error* error);
/* The index that a cursor of either form points at. */
PEAT_AM_API int peat_am_position(peat_am_doc* doc, peat_am_object sequence, peat_am_bytes cursor,
                                 size_t* out, peat_am_error* error);

/* At which ends a mark takes in what is inserted there. */
enum {
  PEAT_AM_EXPAND_NONE = 0,
  PEAT_AM_EXPAND_BEFORE = 1,
  PEAT_AM_EXPAND_AFTER = 2,
  PEAT_AM_EXPAND_BOTH = 3
};
PEAT_AM_API int peat_am_mark(peat_am_doc* doc, peat_am_object text, size_t start, size_t end,
                             peat_am_bytes name, const peat_am_value* value, int expand,
                             peat_am_error* error);
PEAT_AM_API int peat_am_unmark(peat_am_doc* doc, peat_am_object text, size_t start, size_t end,
                               peat_am_bytes name, int expand, peat_am_error* error);
typedef struct peat_am_mark_range {
  size_t start;
  size_t end; /* exclusive */
  peat_am_bytes name;
  peat_am_value value;
} peat_am_mark_range;
/* By name, then by place, until `tell` returns something other than 0. What it is given is good
 * until it returns. */
typedef int (*peat_am_mark_fn)(void* context, const peat_am_mark_range* mark);
PEAT_AM_API int peat_am_marks(peat_am_doc* doc, peat_am_object text, peat_am_mark_fn tell,
                              void* context, peat_am_error* error);
/* Puts a block, a map, at an index of a text; join removes it. */
PEAT_AM_API int peat_am_split_block(peat_am_doc* doc, peat_am_object text, size_t index,
                                    peat_am_object* out, peat_am_error* error);
PEAT_AM_API int peat_am_join_block(peat_am_doc* doc, peat_am_object text, size_t index,
                                   peat_am_error* error);
/* A text in order: stretches under the same marks, and blocks (`content` empty, `block` its map).
 * The marks of a stretch have its range. Good until `tell` returns. */
typedef int (*peat_am_span_fn)(void* context, peat_am_bytes content, peat_am_object block,
                               const peat_am_mark_range* marks, size_t count);
PEAT_AM_API int peat_am_spans(peat_am_doc* doc, peat_am_object text, peat_am_span_fn tell,
                              void* context, peat_am_error* error);

/* --- JSON -------------------------------------------------------------------------------- */

enum { PEAT_AM_JSON_PLAIN = 0, PEAT_AM_JSON_TYPED = 1 };
enum {
  PEAT_AM_JSON_UPDATE = 0,
  PEAT_AM_JSON_REPLACE = 1,
  PEAT_AM_JSON_MERGE_PATCH = 2,
  PEAT_AM_JSON_SETTLE = 3 /* conflicts: [{"path": […], "value": …}, …] */
};
PEAT_AM_API int peat_am_to_json(peat_am_doc* doc, int form, peat_am_buffer* out,
                                peat_am_error* error);
/* One change, committed at once. */
PEAT_AM_API int peat_am_from_json(peat_am_doc* doc, peat_am_bytes json, int how, int form,
                                  const peat_am_commit_options* options, peat_am_hash* hash,
                                  peat_am_error* error);

/* --- synchronisation --------------------------------------------------------------------- */

typedef struct peat_am_sync peat_am_sync; /* one per peer and document */

/* From what peat_am_sync_save gave, or fresh from no bytes. */
PEAT_AM_API int peat_am_sync_create(peat_am_bytes saved, peat_am_sync** out, peat_am_error* error);
PEAT_AM_API void peat_am_sync_free(peat_am_sync* sync);
PEAT_AM_API int peat_am_sync_save(const peat_am_sync* sync, peat_am_buffer* out,
                                  peat_am_error* error);
/* The next message for the peer; `out->data` is NULL when there is nothing to say. */
PEAT_AM_API int peat_am_sync_generate(peat_am_doc* doc, peat_am_sync* sync, peat_am_buffer* out,
                                      peat_am_error* error);
PEAT_AM_API int peat_am_sync_receive(peat_am_doc* doc, peat_am_sync* sync, peat_am_bytes message,
                                     peat_am_report* report, peat_am_error* error);

#ifdef __cplusplus
}
#endif

#endif
