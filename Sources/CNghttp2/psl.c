#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "CNghttp2.h"

// libpsl is loaded for the first cookie with a Domain attribute: it brings libidn2 and libunistring, which would slow down
// every start by more than a millisecond. Its header is not needed; these are its prototypes since 0.16.
typedef const void *(*builtin_fn)(void);
typedef void *(*latest_fn)(const char *file);
typedef int (*is_public_suffix_fn)(const void *list, const char *domain);

static struct {
  is_public_suffix_fn is_public_suffix;
  const void *list;
} psl;

static void load(void) {
#if defined(__APPLE__)
  static const char *const names[] = {"libpsl.5.dylib", "/opt/homebrew/lib/libpsl.5.dylib", "/usr/local/lib/libpsl.5.dylib"};
#else
  static const char *const names[] = {"libpsl.so.5"};
#endif
  for (size_t index = 0; index < sizeof names / sizeof *names; index++) {
    void *library = dlopen(names[index], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) continue;
    latest_fn latest = (latest_fn)dlsym(library, "psl_latest");
    builtin_fn builtin = (builtin_fn)dlsym(library, "psl_builtin");
    psl.is_public_suffix = (is_public_suffix_fn)dlsym(library, "psl_is_public_suffix");
    // The system's file if it is newer than what the library was built with.
    if (latest) psl.list = latest(NULL);
    if (psl.list == NULL && builtin) psl.list = builtin();
    // It stays loaded: the functions are used until the process ends.
    if (psl.is_public_suffix && psl.list) return;
    memset(&psl, 0, sizeof psl);
    dlclose(library);
  }
}

bool ch2_is_public_suffix(const char *domain) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, load);
  return psl.list != NULL && psl.is_public_suffix(psl.list, domain) != 0;
}
