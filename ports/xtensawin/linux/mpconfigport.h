// MicroPython as a Linux program for the ESP32's processor, with what an ESP32's firmware has.
#include <alloca.h>
#include <stdint.h>

#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)

#define MICROPY_EMIT_XTENSAWIN (1)
#define MICROPY_PERSISTENT_CODE_LOAD (1)
#define MICROPY_NLR_SETJMP (1)
#define MICROPY_ENABLE_GC (1)
#define MICROPY_STACK_CHECK_MARGIN (1024)
#define MICROPY_ENABLE_EMERGENCY_EXCEPTION_BUF (1)
#define MICROPY_LONGINT_IMPL (MICROPY_LONGINT_IMPL_MPZ)
#define MICROPY_FLOAT_IMPL (MICROPY_FLOAT_IMPL_FLOAT)
#define MICROPY_ERROR_REPORTING (MICROPY_ERROR_REPORTING_NORMAL)
#define MICROPY_USE_INTERNAL_ERRNO (1)
#define MICROPY_ALLOC_PATH_MAX (256)

// Files are those of one image of a ROM.
#define MICROPY_READER_VFS (1)
#define MICROPY_VFS (1)
#define MICROPY_VFS_ROM (1)
#define MICROPY_VFS_ROM_IOCTL (1)

#define MICROPY_PY_SYS_PLATFORM "xtensa-linux"
#define MICROPY_PY_TIME (1)
#define MICROPY_PY_SELECT (0)
#define MICROPY_PY_ASYNCIO (0)
#define MICROPY_PY_MACHINE (0)
#define MICROPY_PY_SYS_STDIO_BUFFER (0)
#define MICROPY_PY_BUILTINS_INPUT (0)

// Native code may be read only in words where it runs, so it is made elsewhere and copied.
void *port_commit_code(void *code, uint32_t size, void *relocations);
#define MP_PLAT_COMMIT_EXEC(code, size, relocations) port_commit_code(code, size, relocations)

#define MP_SSIZE_MAX (0x7fffffff)
typedef int32_t mp_int_t;
typedef uint32_t mp_uint_t;
typedef long mp_off_t;

#define MP_NEED_LOG2 (1)
#define MICROPY_HW_BOARD_NAME "qemu-xtensa"
#define MICROPY_HW_MCU_NAME "dc233c"
#define MP_STATE_PORT MP_STATE_VM
