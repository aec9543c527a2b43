#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "CNghttp2.h"

// libidn2 is loaded for the first non-ASCII name: few programs use one, and its tables would slow down every start. Its header
// is not needed either; these are its prototypes since 2.0.
typedef int (*to_ascii_fn)(const char *input, char **output, int flags);
typedef const char *(*strerror_fn)(int code);
typedef void (*free_fn)(void *pointer);

static struct {
  to_ascii_fn to_ascii;
  strerror_fn describe;
  free_fn release;
} idn;

static void load(void) {
#if defined(__APPLE__)
  static const char *const names[] = {"libidn2.0.dylib", "/opt/homebrew/lib/libidn2.0.dylib",
                                      "/usr/local/lib/libidn2.0.dylib"};
#else
  static const char *const names[] = {"libidn2.so.0"};
#endif
  for (size_t index = 0; index < sizeof names / sizeof *names; index++) {
    void *library = dlopen(names[index], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) continue;
    idn.describe = (strerror_fn)dlsym(library, "idn2_strerror");
    idn.release = (free_fn)dlsym(library, "idn2_free");
    idn.to_ascii = (to_ascii_fn)dlsym(library, "idn2_to_ascii_8z");
    // It stays loaded: the functions are used until the process ends.
    if (idn.describe && idn.release && idn.to_ascii) return;
    memset(&idn, 0, sizeof idn);
    dlclose(library);
  }
}

bool ch2_idn_to_ascii(const char *name, char *ascii, size_t size, const char **why) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  // IDN2_NONTRANSITIONAL: UTS 46 with the deviation characters kept, as browsers do.
  enum { nontransitional = 8 };
  pthread_once(&once, load);
  if (idn.to_ascii == NULL) {
    *why = NULL;
    return false;
  }
  char *converted = NULL;
  int status = idn.to_ascii(name, &converted, nontransitional);
  if (status == 0 && strlen(converted) < size) {
    strcpy(ascii, converted);
    idn.release(converted);
    return true;
  }
  *why = status == 0 ? "the name is too long" : idn.describe(status);
  if (status == 0) idn.release(converted);
  return false;
}
