#include "CFuzzer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// The main function of the runtime refers to it. That of h2fuzz replaces it, and names the function to test.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    (void)data;
    (void)size;
    return -1;
}
