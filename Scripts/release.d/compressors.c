// Loads the libraries of the content codings at their first use: linked, they would be loaded by each start, in 0.4 ms. Only a
// release has this; it takes the place of -lbrotlidec, -lbrotlienc, -lz and -lzstd in h2get.
#include <brotli/decode.h>
#include <brotli/encode.h>
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

static void *find(const char *library, const char *name) {
  // It stays loaded. A second call returns the same handle.
  void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  void *function = handle == NULL ? NULL : dlsym(handle, name);
  if (function != NULL) return function;
  // A program that had been linked with the library would not have started.
  char line[512];
  int length = snprintf(line, sizeof line, "h2get: a content coding needs %s, which cannot be loaded: %s\n", library, dlerror());
  if (length > 0) (void)!write(STDERR_FILENO, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
  _exit(2);
}

// Two threads may look a function up at once, and find the same.
#define LAZY(library, type, name, parameters, arguments)                    \
  type name parameters {                                                    \
    static _Atomic(__typeof__(&name)) found;                                \
    __typeof__(&name) function = atomic_load_explicit(&found, memory_order_relaxed); \
    if (function == NULL) {                                                 \
      function = (__typeof__(&name))find(library, #name);                   \
      atomic_store_explicit(&found, function, memory_order_relaxed);        \
    }                                                                       \
    return function arguments;                                              \
  }

#define DECODER "libbrotlidec.so.1"
LAZY(DECODER, BrotliDecoderState *, BrotliDecoderCreateInstance,
     (brotli_alloc_func allocate, brotli_free_func release, void *user), (allocate, release, user))
LAZY(DECODER, BrotliDecoderResult, BrotliDecoderDecompressStream,
     (BrotliDecoderState * state, size_t *given, const uint8_t **next, size_t *room, uint8_t **to, size_t *total),
     (state, given, next, room, to, total))
LAZY(DECODER, void, BrotliDecoderDestroyInstance, (BrotliDecoderState * state), (state))
LAZY(DECODER, const char *, BrotliDecoderErrorString, (BrotliDecoderErrorCode code), (code))
LAZY(DECODER, BrotliDecoderErrorCode, BrotliDecoderGetErrorCode, (const BrotliDecoderState *state), (state))

#define ENCODER "libbrotlienc.so.1"
LAZY(ENCODER, BrotliEncoderState *, BrotliEncoderCreateInstance,
     (brotli_alloc_func allocate, brotli_free_func release, void *user), (allocate, release, user))
LAZY(ENCODER, BROTLI_BOOL, BrotliEncoderCompressStream,
     (BrotliEncoderState * state, BrotliEncoderOperation operation, size_t *given, const uint8_t **next, size_t *room,
      uint8_t **to, size_t *total),
     (state, operation, given, next, room, to, total))
LAZY(ENCODER, void, BrotliEncoderDestroyInstance, (BrotliEncoderState * state), (state))
LAZY(ENCODER, BROTLI_BOOL, BrotliEncoderIsFinished, (BrotliEncoderState * state), (state))
LAZY(ENCODER, BROTLI_BOOL, BrotliEncoderSetParameter,
     (BrotliEncoderState * state, BrotliEncoderParameter parameter, uint32_t value), (state, parameter, value))

#define ZSTD "libzstd.so.1"
LAZY(ZSTD, size_t, ZSTD_CCtx_setParameter, (ZSTD_CCtx * context, ZSTD_cParameter parameter, int value),
     (context, parameter, value))
LAZY(ZSTD, size_t, ZSTD_DCtx_setParameter, (ZSTD_DCtx * context, ZSTD_dParameter parameter, int value),
     (context, parameter, value))
LAZY(ZSTD, size_t, ZSTD_compressStream2,
     (ZSTD_CCtx * context, ZSTD_outBuffer *output, ZSTD_inBuffer *input, ZSTD_EndDirective end),
     (context, output, input, end))
LAZY(ZSTD, ZSTD_CCtx *, ZSTD_createCCtx, (void), ())
LAZY(ZSTD, ZSTD_DCtx *, ZSTD_createDCtx, (void), ())
LAZY(ZSTD, size_t, ZSTD_decompressStream, (ZSTD_DStream * stream, ZSTD_outBuffer *output, ZSTD_inBuffer *input),
     (stream, output, input))
LAZY(ZSTD, size_t, ZSTD_freeCCtx, (ZSTD_CCtx * context), (context))
LAZY(ZSTD, size_t, ZSTD_freeDCtx, (ZSTD_DCtx * context), (context))
LAZY(ZSTD, ZSTD_ErrorCode, ZSTD_getErrorCode, (size_t code), (code))
LAZY(ZSTD, const char *, ZSTD_getErrorName, (size_t code), (code))
LAZY(ZSTD, unsigned, ZSTD_isError, (size_t code), (code))

#define ZLIB "libz.so.1"
LAZY(ZLIB, int, compress2, (Bytef * to, uLongf *room, const Bytef *from, uLong count, int level),
     (to, room, from, count, level))
LAZY(ZLIB, uLong, compressBound, (uLong count), (count))
LAZY(ZLIB, int, deflate, (z_streamp stream, int flush), (stream, flush))
LAZY(ZLIB, int, deflateEnd, (z_streamp stream), (stream))
LAZY(ZLIB, int, deflateInit2_,
     (z_streamp stream, int level, int method, int bits, int memory, int strategy, const char *version, int size),
     (stream, level, method, bits, memory, strategy, version, size))
LAZY(ZLIB, int, inflate, (z_streamp stream, int flush), (stream, flush))
LAZY(ZLIB, int, inflateEnd, (z_streamp stream), (stream))
LAZY(ZLIB, int, inflateInit2_, (z_streamp stream, int bits, const char *version, int size),
     (stream, bits, version, size))
LAZY(ZLIB, int, inflateInit_, (z_streamp stream, const char *version, int size), (stream, version, size))
LAZY(ZLIB, int, inflateReset, (z_streamp stream), (stream))
