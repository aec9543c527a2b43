// OpenSSL allocates thousands of times as it starts and makes its first connection, and keeps most of it until the process ends.
// Here these allocations are taken from the front of a block, which is a tenth of the work of malloc. Only a release has this.
//
// A block belongs to one thread, so it needs no lock: one to the main thread, which starts OpenSSL, and one to the first other
// thread that uses OpenSSL, which is the event loop's. When a block is used up, malloc is left. A part that is freed is not used
// again, unless it is the last one.
#include <openssl/crypto.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { size = 1 << 20, unit = 16, blocks = 2 };

static alignas(64) char memory[blocks * size];
static _Atomic int taken_blocks;

// This thread's block: its start, what is left of it, and its end. NULL if it has none.
static _Thread_local char *first, *next, *end;
static _Thread_local bool has_asked;

// The number of bytes is before each part.
static size_t *length_of(void *part) { return (size_t *)((char *)part - unit); }
static bool is_part(const void *part) { return (uintptr_t)part - (uintptr_t)memory < sizeof memory; }
static size_t rounded(size_t count) { return (count + unit - 1) & ~(size_t)(unit - 1); }

static void take_block(void) {
  has_asked = true;
  if (atomic_load(&taken_blocks) >= blocks) return;
  int index = atomic_fetch_add(&taken_blocks, 1);
  if (index >= blocks) return;
  first = next = memory + (size_t)index * size;
  end = next + size;
}

static void *allocate(size_t count, const char *file, int line) {
  (void)file, (void)line;
  if (!has_asked) take_block();
  if (count >= size || (size_t)(end - next) < unit + rounded(count)) return malloc(count);
  char *part = next + unit;
  *length_of(part) = count;
  next = part + rounded(count);
  return part;
}

static void release(void *part, const char *file, int line) {
  (void)file, (void)line;
  if (!is_part(part)) return free(part);
  // The last part of this thread's block. (The last of the block before it also ends where this one begins.)
  if ((char *)part > first && (char *)part + rounded(*length_of(part)) == next) next = (char *)part - unit;
}

static void *resize(void *part, size_t count, const char *file, int line) {
  if (part == NULL) return allocate(count, file, line);
  if (!is_part(part)) return realloc(part, count);
  if (count == 0) {
    release(part, file, line);
    return NULL;
  }
  size_t before = *length_of(part);
  if (count <= before) return part;
  void *other = allocate(count, file, line);
  if (other == NULL) return NULL;
  memcpy(other, part, before);
  release(part, file, line);
  return other;
}

// Before the first allocation, after which OpenSSL refuses it.
__attribute__((constructor(101))) static void start(void) {
  take_block();
  CRYPTO_set_mem_functions(allocate, resize, release);
}
