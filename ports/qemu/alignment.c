/* A QEMU plugin that ends QEMU at the first unaligned access to memory, for machines that carry
 * those out where a real chip may fault. `wingbeat.targets.qemu` reads the line.
 *
 * The declarations are those of QEMU's plugin interface, version 1, which Debian does not pack. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define EXPORT __attribute__((visibility("default")))
#define NO_REGISTERS 0
#define READ_AND_WRITE 3

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*on_translation_t)(qemu_plugin_id_t id, struct qemu_plugin_tb *block);
typedef void (*on_access_t)(
    unsigned int cpu, qemu_plugin_meminfo_t access, uint64_t address, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, on_translation_t callback);
void qemu_plugin_register_vcpu_mem_cb(
    struct qemu_plugin_insn *instruction, on_access_t callback, int registers, int accesses,
    void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *instruction);
unsigned int qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t access);

EXPORT int qemu_plugin_version = 1;

static void on_access(
    unsigned int cpu, qemu_plugin_meminfo_t access, uint64_t address, void *program_counter) {
    (void)cpu;
    if (address & ((1u << qemu_plugin_mem_size_shift(access)) - 1)) {
        fprintf(stderr, "wingbeat fault: unaligned access (0x%08x) at pc 0x%08x\n",
            (unsigned)address, (unsigned)(uintptr_t)program_counter);
        fflush(stderr);
        _Exit(1);
    }
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
        void *program_counter = (void *)(uintptr_t)qemu_plugin_insn_vaddr(instruction);
        qemu_plugin_register_vcpu_mem_cb(
            instruction, on_access, NO_REGISTERS, READ_AND_WRITE, program_counter);
    }
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int count, char **arguments) {
    (void)info;
    (void)count;
    (void)arguments;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    return 0;
}
