#include "CYAML.h"

#if __has_include(<yaml.h>)
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

// Only the types of the header are used. They are the same for all versions with this name of the library.
static struct {
  __typeof__(&yaml_parser_initialize) initialize;
  __typeof__(&yaml_parser_set_input_string) set_input_string;
  __typeof__(&yaml_parser_set_encoding) set_encoding;
  __typeof__(&yaml_parser_parse) parse;
  __typeof__(&yaml_event_delete) event_delete;
  __typeof__(&yaml_parser_delete) delete;
} yaml;

static void load(void) {
#if defined(__APPLE__)
  static const char *const names[] = {"libyaml-0.2.dylib", "/opt/homebrew/lib/libyaml-0.2.dylib",
                                      "/usr/local/lib/libyaml-0.2.dylib"};
#else
  static const char *const names[] = {"libyaml-0.so.2"};
#endif
  for (size_t index = 0; index < sizeof names / sizeof *names; index++) {
    void *library = dlopen(names[index], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) continue;
    yaml.initialize = (__typeof__(yaml.initialize))dlsym(library, "yaml_parser_initialize");
    yaml.set_input_string = (__typeof__(yaml.set_input_string))dlsym(library, "yaml_parser_set_input_string");
    yaml.set_encoding = (__typeof__(yaml.set_encoding))dlsym(library, "yaml_parser_set_encoding");
    yaml.event_delete = (__typeof__(yaml.event_delete))dlsym(library, "yaml_event_delete");
    yaml.delete = (__typeof__(yaml.delete))dlsym(library, "yaml_parser_delete");
    yaml.parse = (__typeof__(yaml.parse))dlsym(library, "yaml_parser_parse");
    // It stays loaded: the functions are used until the process ends.
    if (yaml.initialize && yaml.set_input_string && yaml.set_encoding && yaml.event_delete && yaml.delete && yaml.parse) return;
    memset(&yaml, 0, sizeof yaml);
    dlclose(library);
  }
}

bool cyaml_is_available(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, load);
  return yaml.parse != NULL;
}

struct cyaml_parser {
  yaml_parser_t parser;
  /// The event that the last one's bytes belong to; all zero if there is none.
  yaml_event_t event;
  unsigned documents;
};

cyaml_parser *cyaml_open(const uint8_t *bytes, size_t count) {
  if (!cyaml_is_available()) return NULL;
  cyaml_parser *self = calloc(1, sizeof *self);
  if (self == NULL) return NULL;
  if (!yaml.initialize(&self->parser)) {
    free(self);
    return NULL;
  }
  yaml.set_encoding(&self->parser, YAML_UTF8_ENCODING);
  yaml.set_input_string(&self->parser, bytes, count);
  return self;
}

void cyaml_close(cyaml_parser *self) {
  yaml.event_delete(&self->event);
  yaml.delete(&self->parser);
  free(self);
}

static void place(cyaml_event *event, yaml_mark_t mark) {
  event->line = mark.line + 1;
  event->column = mark.column + 1;
}

static void fail(cyaml_event *event, const char *problem) {
  event->kind = cyaml_kind_failure;
  event->problem = problem;
}

/// Refuses an anchor or a tag.
static void check(cyaml_event *event, const yaml_char_t *anchor, const yaml_char_t *tag) {
  if (anchor != NULL) fail(event, "anchors (&) are not supported; repeat the text");
  if (tag != NULL) fail(event, "tags (!) are not supported; remove the tag");
}

void cyaml_next(cyaml_parser *self, cyaml_event *event) {
  yaml_event_t *const read = &self->event;
  for (;;) {
    memset(event, 0, sizeof *event);
    yaml.event_delete(read);
    if (!yaml.parse(&self->parser, read)) {
      const yaml_parser_t *const parser = &self->parser;
      const bool is_known = parser->error != YAML_MEMORY_ERROR && parser->problem != NULL;
      fail(event, is_known ? parser->problem : "there is not enough memory");
      event->context = parser->context;
      place(event, parser->error == YAML_READER_ERROR ? parser->mark : parser->problem_mark);
      return;
    }
    place(event, read->start_mark);
    switch (read->type) {
    case YAML_STREAM_END_EVENT:
      event->kind = cyaml_kind_end;
      return;
    case YAML_DOCUMENT_START_EVENT:
      if (self->documents++ > 0) {
        fail(event, "a second document begins here; keep one in a file");
        return;
      }
      if (read->data.document_start.version_directive == NULL &&
          read->data.document_start.tag_directives.start == read->data.document_start.tag_directives.end)
        continue;
      fail(event, "directives (%) are not supported; remove them");
      return;
    case YAML_ALIAS_EVENT:
      fail(event, "aliases (*) are not supported; repeat the text, or put text that begins with * into quotes");
      return;
    case YAML_SCALAR_EVENT:
      event->kind = cyaml_kind_scalar;
      event->bytes = read->data.scalar.value;
      event->count = read->data.scalar.length;
      event->is_quoted = read->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
      check(event, read->data.scalar.anchor, read->data.scalar.tag);
      return;
    case YAML_SEQUENCE_START_EVENT:
      event->kind = cyaml_kind_sequence_start;
      check(event, read->data.sequence_start.anchor, read->data.sequence_start.tag);
      return;
    case YAML_SEQUENCE_END_EVENT:
      event->kind = cyaml_kind_sequence_end;
      return;
    case YAML_MAPPING_START_EVENT:
      event->kind = cyaml_kind_mapping_start;
      check(event, read->data.mapping_start.anchor, read->data.mapping_start.tag);
      return;
    case YAML_MAPPING_END_EVENT:
      event->kind = cyaml_kind_mapping_end;
      return;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
      continue;
    }
  }
}

#else

bool cyaml_is_available(void) { return false; }
cyaml_parser *cyaml_open(const uint8_t *bytes, size_t count) { return (void)bytes, (void)count, NULL; }
void cyaml_next(cyaml_parser *parser, cyaml_event *event) { (void)parser, (void)event; }
void cyaml_close(cyaml_parser *parser) { (void)parser; }

#endif
