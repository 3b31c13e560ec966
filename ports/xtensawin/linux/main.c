// Runs a script from the standard input, with the files of a ROMFS image.
//     micropython IMAGE HEAP_BYTES
// Ends with 0, with 1 after an exception, whose traceback goes to the standard error, or with the
// status that sys.exit was given.
#include <string.h>

#include "extmod/vfs.h"
#include "machine.h"
#include "py/builtin.h"
#include "py/compile.h"
#include "py/cstack.h"
#include "py/gc.h"
#include "py/mphal.h"
#include "py/objarray.h"
#include "py/persistentcode.h"
#include "py/runtime.h"
#include "py/stream.h"

// Linux's numbers for this processor.
enum {
    LINUX_OPEN = 8,
    LINUX_READ = 12,
    LINUX_WRITE = 13,
    LINUX_MMAP2 = 80,
    LINUX_EXIT = 118,
};

enum {
    PROTECTION_ALL = 7,
    MAP_PRIVATE_FIXED_ANONYMOUS = 0x2 | 0x10 | 0x800,
};

#define STACK_SIZE (64 * 1024)
#define MAX_HEAP_SIZE (4 * 1024 * 1024)
#define MAX_IMAGE_SIZE (4 * 1024 * 1024)
#define MAX_SCRIPT_SIZE (1024 * 1024)

#define NS_PER_INSTRUCTION 4

#define STATUS_EXCEPTION 1
#define STATUS_FATAL 99

int linux_call(int number, int a, int b, int c, int d, int e);
void spill_windows(void);
NORETURN void port_main(uint32_t *stack);

static uint8_t heap[MAX_HEAP_SIZE] __attribute__((aligned(16)));
static uint8_t image[MAX_IMAGE_SIZE] __attribute__((aligned(16)));
static char script[MAX_SCRIPT_SIZE];

static mp_obj_array_t rom;
static uint8_t *free_code = (uint8_t *)INSTRUCTION_MEMORY;
static uint64_t slept_ns;
static uint32_t *stack_top;

static NORETURN void end(int status) {
    for (;;) {
        linux_call(LINUX_EXIT, status, 0, 0, 0, 0);
    }
}

static void write_all(int fd, const char *text, size_t size) {
    while (size != 0) {
        int written = linux_call(LINUX_WRITE, fd, (int)text, size, 0, 0);
        if (written <= 0) {
            end(STATUS_FATAL);
        }
        text += written;
        size -= written;
    }
}

static NORETURN void fail(const char *reason) {
    write_all(2, reason, strlen(reason));
    write_all(2, "\n", 1);
    end(STATUS_FATAL);
}

static size_t read_all(int fd, void *buffer, size_t limit) {
    size_t size = 0;
    int got;
    while ((got = linux_call(LINUX_READ, fd, (int)buffer + size, limit - size, 0, 0)) > 0) {
        size += got;
    }
    if (got < 0 || size == limit) {
        fail("cannot read all of a file");
    }
    return size;
}

// ---- Console and clock

mp_uint_t mp_hal_stdout_tx_strn(const char *text, size_t size) {
    write_all(1, text, size);
    return size;
}

void mp_hal_stdout_tx_strn_cooked(const char *text, size_t size) {
    write_all(1, text, size);
}

void mp_hal_stdout_tx_str(const char *text) {
    write_all(1, text, strlen(text));
}

int mp_hal_stdin_rx_chr(void) {
    mp_raise_type(&mp_type_EOFError); // the script took all of it
}

uintptr_t mp_hal_stdio_poll(uintptr_t flags) {
    return flags & MP_STREAM_POLL_WR;
}

static void print_error(void *data, const char *text, size_t size) {
    (void)data;
    write_all(2, text, size);
}

static uint64_t instructions(void) {
    uint64_t count;
    if (linux_call(LINUX_READ, COUNTER_FD, (int)&count, sizeof(count), 0, 0) != sizeof(count)) {
        fail("the plug-in that counts instructions is not there");
    }
    return count;
}

mp_uint_t mp_hal_ticks_cpu(void) {
    return (mp_uint_t)instructions();
}

uint64_t mp_hal_time_ns(void) {
    return instructions() * NS_PER_INSTRUCTION + slept_ns;
}

mp_uint_t mp_hal_ticks_us(void) {
    return (mp_uint_t)(mp_hal_time_ns() / 1000);
}

mp_uint_t mp_hal_ticks_ms(void) {
    return (mp_uint_t)(mp_hal_time_ns() / 1000000);
}

void mp_hal_delay_us(mp_uint_t us) {
    slept_ns += (uint64_t)us * 1000;
}

void mp_hal_delay_ms(mp_uint_t ms) {
    slept_ns += (uint64_t)ms * 1000000;
}

// ---- Memory

void gc_collect(void) {
    gc_collect_start();
    spill_windows();
    // The caller's registers were spilled to 16 bytes below this frame.
    void **bottom = (void **)__builtin_frame_address(0) - 4;
    gc_collect_root(bottom, (void **)stack_top - bottom);
    gc_collect_end();
}

void *port_commit_code(void *code, uint32_t size, void *relocations) {
    size = (size + 3) & ~3u;
    uint8_t *end_of_memory = (uint8_t *)INSTRUCTION_MEMORY + INSTRUCTION_MEMORY_SIZE;
    if (size > (size_t)(end_of_memory - free_code)) {
        m_malloc_fail(size);
    }
    if (relocations != NULL) {
        mp_native_relocate(relocations, code, (uintptr_t)free_code);
    }
    uint32_t *to = (uint32_t *)free_code;
    const uint32_t *from = code;
    for (uint32_t i = 0; i < size / 4; i++) {
        to[i] = from[i];
    }
    free_code += size;
    return to;
}

// ---- Files

static void load_image(const char *path) {
    int fd = linux_call(LINUX_OPEN, (int)path, 0, 0, 0, 0);
    if (fd < 0) {
        fail("cannot open the image");
    }
    size_t size = read_all(fd, image, sizeof(image));
    // Zeros before it align the data of its files.
    uint8_t *start = image;
    while (size != 0 && *start == 0) {
        start++;
        size--;
    }
    mp_obj_memoryview_init(&rom, 'B', 0, size, start);
}

mp_obj_t mp_vfs_rom_ioctl(size_t n_args, const mp_obj_t *args) {
    int command = mp_obj_get_int(args[0]);
    if (command == MP_VFS_ROM_IOCTL_GET_NUMBER_OF_SEGMENTS) {
        return MP_OBJ_NEW_SMALL_INT(1);
    }
    if (command == MP_VFS_ROM_IOCTL_GET_SEGMENT && n_args == 2 && args[1] == MP_OBJ_NEW_SMALL_INT(0)) {
        return MP_OBJ_FROM_PTR(&rom);
    }
    return MP_OBJ_NEW_SMALL_INT(-MP_EINVAL);
}

// ---- Start and end

static int status_of(mp_obj_t exit) {
    mp_obj_t value = mp_obj_exception_get_value(exit);
    mp_int_t status = STATUS_EXCEPTION;
    if (value == mp_const_none) {
        return 0;
    }
    (void)mp_obj_get_int_maybe(value, &status);
    return (uint8_t)status;
}

static int run_script(size_t size) {
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        mp_vfs_chdir(MP_OBJ_NEW_QSTR(MP_QSTR__slash_rom));
        mp_lexer_t *lexer = mp_lexer_new_from_str_len(MP_QSTR__lt_stdin_gt_, script, size, 0);
        mp_parse_tree_t tree = mp_parse(lexer, MP_PARSE_FILE_INPUT);
        mp_call_function_0(mp_compile(&tree, MP_QSTR__lt_stdin_gt_, false));
        nlr_pop();
        return 0;
    }
    mp_obj_t raised = MP_OBJ_FROM_PTR(nlr.ret_val);
    const mp_obj_type_t *type = mp_obj_get_type(raised);
    if (mp_obj_is_subclass_fast(MP_OBJ_FROM_PTR(type), MP_OBJ_FROM_PTR(&mp_type_SystemExit))) {
        return status_of(raised);
    }
    const mp_print_t print = {NULL, print_error};
    mp_obj_print_exception(&print, raised);
    return STATUS_EXCEPTION;
}

static size_t number(const char *digits) {
    size_t value = 0;
    while (*digits >= '0' && *digits <= '9') {
        value = value * 10 + (size_t)(*digits++ - '0');
    }
    return value;
}

// On the stack: argc, then argv.
void port_main(uint32_t *stack) {
    char **argv = (char **)(stack + 1);
    size_t heap_size = stack[0] == 3 ? number(argv[2]) : 0;
    if (heap_size == 0 || heap_size > MAX_HEAP_SIZE) {
        fail("usage: micropython IMAGE HEAP_BYTES");
    }
    if (linux_call(LINUX_MMAP2, INSTRUCTION_MEMORY, INSTRUCTION_MEMORY_SIZE, PROTECTION_ALL,
            MAP_PRIVATE_FIXED_ANONYMOUS, -1) != INSTRUCTION_MEMORY) {
        fail("no memory for native code");
    }
    load_image(argv[1]);
    stack_top = stack;
    mp_cstack_init_with_top(stack, STACK_SIZE);
    gc_init(heap, heap + heap_size);
    mp_init();
    int status = run_script(read_all(0, script, sizeof(script)));
    mp_deinit();
    end(status);
}

void nlr_jump_fail(void *value) {
    (void)value;
    fail("an exception was not caught");
}
