// A plug-in of QEMU's user-mode emulator, next to MicroPython for Xtensa: counts instructions, and
// ends the program when it accesses instruction memory as an ESP32 would not let it.
#include <qemu/qemu-plugin.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "linux/machine.h"

#define LINUX_READ 12 // Xtensa Linux's number of the call

#define LOAD_STORE 2 // the low 4 bits of the instructions that follow; the highest 4 of 16 tell which
enum { LOAD_8 = 0, LOAD_16 = 1, STORE_8 = 4, STORE_16 = 5, LOAD_16_SIGNED = 9 };

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static uint64_t executed;
static int counter; // the end of a pipe that is written to

static bool is_narrow(const struct qemu_plugin_insn *instruction) {
    const uint8_t *bytes = qemu_plugin_insn_data(instruction);
    if (qemu_plugin_insn_size(instruction) != 3 || (bytes[0] & 15) != LOAD_STORE) {
        return false;
    }
    int which = bytes[1] >> 4;
    return which == LOAD_8 || which == LOAD_16 || which == LOAD_16_SIGNED || which == STORE_8 ||
        which == STORE_16;
}

static void on_narrow_access(
    unsigned int cpu, qemu_plugin_meminfo_t info, uint64_t address, void *pc) {
    (void)cpu;
    if (address - INSTRUCTION_MEMORY >= INSTRUCTION_MEMORY_SIZE) {
        return;
    }
    fprintf(stderr, "%u-byte access to instruction memory, offset 0x%x, by the instruction at 0x%x\n",
        1u << qemu_plugin_mem_size_shift(info), (unsigned)(address - INSTRUCTION_MEMORY),
        (unsigned)(uintptr_t)pc);
    signal(SIGBUS, SIG_DFL);
    raise(SIGBUS);
    _exit(128 + SIGBUS);
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
        qemu_plugin_register_vcpu_insn_exec_inline(
            instruction, QEMU_PLUGIN_INLINE_ADD_U64, &executed, 1);
        if (is_narrow(instruction)) {
            qemu_plugin_register_vcpu_mem_cb(instruction, on_narrow_access,
                QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW,
                (void *)(uintptr_t)qemu_plugin_insn_vaddr(instruction));
        }
    }
}

// The program's file descriptors are those of the emulator: its read finds the number in a pipe.
static void on_system_call(qemu_plugin_id_t id, unsigned int cpu, int64_t number, uint64_t a,
    uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f, uint64_t g, uint64_t h) {
    (void)id, (void)cpu, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
    if (number == LINUX_READ && a == COUNTER_FD) {
        if (write(counter, &executed, sizeof(executed)) != sizeof(executed)) {
            _exit(1);
        }
    }
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(
    qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv) {
    (void)argc, (void)argv;
    int ends[2];
    if (strcmp(info->target_name, "xtensa") != 0 || pipe(ends) != 0 ||
        dup2(ends[0], COUNTER_FD) != COUNTER_FD) {
        return -1;
    }
    close(ends[0]);
    counter = ends[1];
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_vcpu_syscall_cb(id, on_system_call);
    return 0;
}
