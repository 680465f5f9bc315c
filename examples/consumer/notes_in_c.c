/* Two replicas of one document, edited apart and brought together, from C. */
#include <peat/automerge.h>
#include <stdio.h>
#include <stdlib.h>

static void must(int code, const peat_am_error* error) {
  if (code == 0) return;
  fprintf(stderr, "%s: %s\n", peat_am_code_name(code), error->message);
  exit(1);
}

int main(void) {
  peat_am_error error = PEAT_AM_ERROR_INIT;
  peat_am_doc* mine = NULL;
  peat_am_doc* theirs = NULL;
  must(peat_am_create(PEAT_AM_NO_BYTES, &mine, &error), &error);

  peat_am_object note;
  must(peat_am_map_put_object(mine, PEAT_AM_ROOT, peat_am_str("note"), PEAT_AM_TEXT, &note, &error),
       &error);
  must(peat_am_text_splice(mine, note, 0, 0, peat_am_str("water for 20"), &error), &error);
  must(peat_am_commit(mine, NULL, NULL, &error), &error);

  must(peat_am_fork(mine, PEAT_AM_NO_BYTES, &theirs, &error), &error);
  peat_am_value copy;
  must(peat_am_map_get(theirs, PEAT_AM_ROOT, peat_am_str("note"), &copy, &error), &error);
  must(peat_am_text_splice(theirs, copy.as.object, 0, 0, peat_am_str("Depot north: "), &error),
       &error);
  must(peat_am_commit(theirs, NULL, NULL, &error), &error);
  must(peat_am_text_splice(mine, note, 12, 0, peat_am_str(" people"), &error), &error);
  must(peat_am_commit(mine, NULL, NULL, &error), &error);

  must(peat_am_merge(mine, theirs, NULL, &error), &error);
  peat_am_buffer text;
  must(peat_am_text_get(mine, note, &text, &error), &error);
  printf("%s\n", (const char*)text.data); /* Depot north: water for 20 people */
  peat_am_buffer_free(&text);
  peat_am_free(theirs);
  peat_am_free(mine);
  return 0;
}
