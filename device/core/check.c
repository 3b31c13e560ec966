// Everything that the kernels and the walk will trust is checked here, once, at load.
#include "core/program.h"

#include <stddef.h>

#define MAX_ARENA 0x40000000u // bytes; more would overflow the size of the model's memory

uint32_t wb_crc32(const uint32_t *data, uint32_t size) {
    // One table entry per nibble: 64 bytes of stack instead of 1 KB of constants.
    uint32_t table[16];
    for (uint32_t i = 0; i < 16; i++) {
        uint32_t crc = i;
        for (uint32_t bit = 0; bit < 4; bit++) {
            crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1u)));
        }
        table[i] = crc;
    }
    uint32_t crc = 0xffffffffu;
    for (const uint32_t *end = data + size / 4; data != end; data++) {
        crc ^= *data;
        for (uint32_t nibble = 0; nibble < 8; nibble++) {
            crc = table[crc & 15u] ^ (crc >> 4);
        }
    }
    return ~crc;
}

static int32_t crc_at_end_is_right(const uint8_t *data, uint32_t size) {
    const uint32_t *words = (const uint32_t *)(const void *)data;
    return wb_crc32(words, size - 4) == words[size / 4 - 1];
}

uint32_t wb_item_shift(uint32_t typecode) {
    uint32_t lower = typecode | 0x20;
    if (lower == 'b') {
        return 0;
    }
    if (lower == 'h') {
        return 1;
    }
    return typecode == 'i' || typecode == 'f' ? 2 : 3;
}

// The dtype is known and the tensor lies inside of the arena (or is the input).
static int32_t tensor_is_sound(const wb_tensor_t *tensor, uint32_t arena) {
    uint32_t shift = wb_item_shift(tensor->typecode);
    if (shift > 2 || (tensor->size & ((1u << shift) - 1)) != 0 || tensor->size == 0) {
        return 0;
    }
    if (tensor->place == WB_PLACE_INPUT) {
        return 1;
    }
    return (tensor->place & 3u) == 0 && tensor->size <= arena && tensor->place <= arena - tensor->size;
}

// header_end: bytes of header and tables; params_end: where the CRC starts.
static int32_t operator_is_sound(
    const wb_operator_t *op, const wb_tensor_t *tensors, const wb_header_t *header, uint32_t header_end) {
    uint32_t params_end = header->size - 4;
    if (op->n_operands > WB_MAX_OPERANDS || op->n_inputs > op->n_operands) {
        return 0;
    }
    if (((op->params | op->params_size) & 3u) != 0 || op->params < header_end ||
        op->params_size > params_end || op->params > params_end - op->params_size) {
        return 0;
    }
    for (uint32_t i = 0; i < op->n_operands; i++) {
        if (op->operand[i] >= header->n_tensors) {
            return 0;
        }
        if (i >= op->n_inputs && tensors[op->operand[i]].place == WB_PLACE_INPUT) {
            return 0;
        }
    }
    return 1;
}

static int32_t layout_is_sound(const uint8_t *data) {
    const wb_header_t *header = wb_header(data);
    uint32_t header_end = (uint32_t)sizeof(wb_header_t) +
        header->n_tensors * (uint32_t)sizeof(wb_tensor_t) +
        header->n_operators * (uint32_t)sizeof(wb_operator_t);
    if (header_end > header->size - 4 || (header->arena & 3u) != 0 || header->arena > MAX_ARENA ||
        header->input_tensor >= header->n_tensors || header->output_tensor >= header->n_tensors ||
        header->decision_tensor >= header->n_tensors || header->decision_kind > WB_DECIDE_POSITIVE) {
        return 0;
    }
    const wb_tensor_t *tensors = wb_tensors(data);
    for (uint32_t i = 0; i < header->n_tensors; i++) {
        int32_t is_input = tensors[i].place == WB_PLACE_INPUT;
        if (!tensor_is_sound(&tensors[i], header->arena) || is_input != (i == header->input_tensor)) {
            return 0;
        }
    }
    if (header->output_tensor == header->input_tensor || header->decision_tensor == header->input_tensor) {
        return 0;
    }
    const wb_operator_t *ops = wb_operators(data);
    for (uint32_t i = 0; i < header->n_operators; i++) {
        if (!operator_is_sound(&ops[i], tensors, header, header_end)) {
            return 0;
        }
    }
    return 1;
}

int32_t wb_check_program(const uint8_t *data, uint32_t size) {
    const wb_header_t *header = wb_header(data);
    if (((uintptr_t)data & 3u) != 0) {
        return WB_E_ALIGNMENT;
    }
    if (size < sizeof(wb_header_t) + 4) {
        return WB_E_TRUNCATED;
    }
    if (header->magic != WB_MAGIC) {
        return WB_E_MAGIC;
    }
    if (header->version != WB_FORMAT_VERSION) {
        return WB_E_VERSION;
    }
    if (header->size > size) {
        return WB_E_TRUNCATED;
    }
    if ((header->size & 3u) != 0 || header->size < sizeof(wb_header_t) + 4) {
        return WB_E_LAYOUT;
    }
    if (!crc_at_end_is_right(data, header->size)) {
        return WB_E_CHECKSUM;
    }
    return layout_is_sound(data) ? 0 : WB_E_LAYOUT;
}

int32_t wb_check_links(const uint8_t *links, uint32_t size) {
    if (size < 4 || (size - 4) % sizeof(wb_link_t) != 0) {
        return WB_E_TRUNCATED;
    }
    return crc_at_end_is_right(links, size) ? 0 : WB_E_CHECKSUM;
}

const wb_link_t *wb_find_kernel(
    const uint8_t *links, uint32_t size, uint32_t opcode, const uint8_t *text) {
    const wb_link_t *link = (const wb_link_t *)(const void *)links;
    for (const wb_link_t *end = link + size / sizeof(wb_link_t); link != end; link++) {
        if (link->opcode == opcode) {
            const uint32_t *code = (const uint32_t *)(const void *)(text + link->offset);
            return wb_crc32(code, link->size) == link->crc ? link : NULL;
        }
    }
    return NULL;
}
