// What QEMU's instruction tables expect of this header of QEMU.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ATTRIBUTE_UNUSED __attribute__((unused))
