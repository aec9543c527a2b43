#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The events of a YAML document, read by libyaml. libyaml is loaded by dlopen for the first document, so that a binary neither
// links nor needs it otherwise.

/// An event of a document. `failure` and `end` are the last ones.
typedef enum __attribute__((enum_extensibility(closed))) cyaml_kind {
  cyaml_kind_end,
  cyaml_kind_failure,
  cyaml_kind_scalar,
  cyaml_kind_mapping_start,
  cyaml_kind_mapping_end,
  cyaml_kind_sequence_start,
  cyaml_kind_sequence_end,
} cyaml_kind;

typedef struct cyaml_event {
  cyaml_kind kind;
  /// Of a scalar: whether it is in quotes, or a block (`|`, `>`), and so is text even if it looks like something else.
  bool is_quoted;
  /// From 1. Columns count characters.
  size_t line, column;
  /// Of a scalar: its bytes, in UTF-8. Valid until the next call.
  const uint8_t *bytes;
  size_t count;
  /// Of a failure: what is wrong, valid until `cyaml_close`.
  const char *problem;
  /// Of a failure: what was being read ("while parsing a block mapping"), or NULL.
  const char *context;
} cyaml_event;

typedef struct cyaml_parser cyaml_parser;

/// Whether libyaml can be used: it is installed, and its header was when this was built.
bool cyaml_is_available(void);

/// A parser of `count` bytes of UTF-8, which must stay valid until `cyaml_close`. NULL if there is no memory, or no libyaml.
cyaml_parser *cyaml_open(const uint8_t *bytes, size_t count);

/// Reads the next event. Aliases, anchors, tags, directives, and documents after the first are failures. Not to be called
/// after `failure` or `end`.
void cyaml_next(cyaml_parser *parser, cyaml_event *event);

void cyaml_close(cyaml_parser *parser);
