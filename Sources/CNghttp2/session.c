#include "CNghttp2.h"

#include <stdlib.h>
#include <string.h>

// MARK: - The allocator

#define CH2_POOL_STEP 64
#define CH2_POOL_CLASSES 17  // 0 is malloc's, 1 to 16 hold 64 to 1,024 bytes with the header
#define CH2_POOL_KEPT 8192

// Under AddressSanitizer each block comes from malloc, so that a use after free in nghttp2 or around it is detected.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CH2_POOL_OFF 1
#endif
#endif

union block {
  struct {
    size_t class;  // while it is in use
    size_t size;   // usable size
  } used;
  union block *next;  // while it is free
  max_align_t align;
};

struct ch2_pool {
  union block *free[CH2_POOL_CLASSES];
  unsigned kept[CH2_POOL_CLASSES];
};

static void *pool_malloc(size_t size, void *user) {
  ch2_pool *pool = user;
  if (size > SIZE_MAX - sizeof(union block) - CH2_POOL_STEP) return NULL;
  size_t total = size + sizeof(union block), class = (total + CH2_POOL_STEP - 1) / CH2_POOL_STEP;
#ifdef CH2_POOL_OFF
  class = CH2_POOL_CLASSES;
#endif
  union block *block;
  if (class >= CH2_POOL_CLASSES) {
    class = 0;
    block = malloc(total);
  } else if ((block = pool->free[class]) != NULL) {
    pool->free[class] = block->next;
    pool->kept[class]--;
  } else {
    block = malloc(class * CH2_POOL_STEP);
  }
  if (block == NULL) return NULL;
  block->used.class = class;
  block->used.size = class ? class * CH2_POOL_STEP - sizeof(union block) : size;
  return block + 1;
}

static void pool_free(void *pointer, void *user) {
  ch2_pool *pool = user;
  if (pointer == NULL) return;
  union block *block = (union block *)pointer - 1;
  size_t class = block->used.class;
  if (class == 0 || pool->kept[class] >= CH2_POOL_KEPT) {
    free(block);
    return;
  }
  block->next = pool->free[class];
  pool->free[class] = block;
  pool->kept[class]++;
}

static void *pool_calloc(size_t count, size_t size, void *user) {
  if (size != 0 && count > SIZE_MAX / size) return NULL;
  void *pointer = pool_malloc(count * size, user);
  if (pointer != NULL) memset(pointer, 0, count * size);
  return pointer;
}

static void *pool_realloc(void *pointer, size_t size, void *user) {
  if (pointer == NULL) return pool_malloc(size, user);
  union block *block = (union block *)pointer - 1;
  if (size <= block->used.size) return pointer;
  void *larger = pool_malloc(size, user);
  if (larger == NULL) return NULL;
  memcpy(larger, pointer, block->used.size);
  pool_free(pointer, user);
  return larger;
}

ch2_pool *ch2_pool_new(void) { return calloc(1, sizeof(ch2_pool)); }

void ch2_pool_delete(ch2_pool *pool) {
  for (int class = 0; class < CH2_POOL_CLASSES; class++) {
    for (union block *block = pool->free[class], *next; block != NULL; block = next) {
      next = block->next;
      free(block);
    }
  }
  free(pool);
}

int ch2_session_client_new(nghttp2_session **session, const nghttp2_session_callbacks *callbacks,
                           const nghttp2_option *option, ch2_pool *pool) {
  // nghttp2 copies this struct.
  nghttp2_mem memory = {.mem_user_data = pool,
                        .malloc = pool_malloc,
                        .free = pool_free,
                        .calloc = pool_calloc,
                        .realloc = pool_realloc};
  return nghttp2_session_client_new3(session, callbacks, NULL, option, &memory);
}

// MARK: - The version bridge

// Weak: NULL if the loaded nghttp2 lacks it.
extern void nghttp2_option_set_max_continuations(nghttp2_option *option, size_t limit) __attribute__((weak));

void ch2_option_set_max_continuations(nghttp2_option *option, size_t limit) {
  if (nghttp2_option_set_max_continuations) nghttp2_option_set_max_continuations(option, limit);
}

extern void nghttp2_option_set_stream_reset_rate_limit(nghttp2_option *option, uint64_t burst, uint64_t rate)
    __attribute__((weak));

void ch2_option_set_stream_reset_rate_limit(nghttp2_option *option, uint64_t burst, uint64_t rate) {
  if (nghttp2_option_set_stream_reset_rate_limit) nghttp2_option_set_stream_reset_rate_limit(option, burst, rate);
}

int32_t ch2_submit_request(nghttp2_session *session, const nghttp2_nv *nva, size_t nvlen,
                           ch2_data_source_read_callback read, void *source, void *stream_user_data) {
#if NGHTTP2_VERSION_NUM >= 0x013c00
  nghttp2_data_provider2 provider = {.source = {.ptr = source}, .read_callback = read};
  return nghttp2_submit_request2(session, NULL, nva, nvlen, read ? &provider : NULL, stream_user_data);
#else
  nghttp2_data_provider provider = {.source = {.ptr = source}, .read_callback = read};
  return nghttp2_submit_request(session, NULL, nva, nvlen, read ? &provider : NULL, stream_user_data);
#endif
}

int ch2_submit_response(nghttp2_session *session, int32_t stream_id, const nghttp2_nv *nva, size_t nvlen,
                        ch2_data_source_read_callback read, void *source) {
#if NGHTTP2_VERSION_NUM >= 0x013c00
  nghttp2_data_provider2 provider = {.source = {.ptr = source}, .read_callback = read};
  return nghttp2_submit_response2(session, stream_id, nva, nvlen, read ? &provider : NULL);
#else
  nghttp2_data_provider provider = {.source = {.ptr = source}, .read_callback = read};
  return nghttp2_submit_response(session, stream_id, nva, nvlen, read ? &provider : NULL);
#endif
}
