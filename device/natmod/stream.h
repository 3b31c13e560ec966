// What only models that take a stream offer. Included by model.c, for its static functions.

// size modulo unit, which is not 0; not all cores have a division.
static uint32_t remainder_of(uint32_t size, uint32_t unit) {
    uint32_t multiple = unit;
    while (multiple <= size >> 1) {
        multiple <<= 1;
    }
    for (; multiple >= unit; multiple >>= 1) {
        if (size >= multiple) {
            size -= multiple;
        }
    }
    return size;
}

// Any number of whole samples.
static const uint8_t *get_block(const wb_model_t *self, mp_obj_t object, uint32_t *size) {
    const wb_tensor_t *input = input_of(self);
    uint32_t item_shift = wb_item_shift(input->typecode);
    uint32_t sample = (uint32_t)wb_header(self->program)->channels << item_shift;
    mp_buffer_info_t buffer;
    if (!mp_get_buffer(object, &buffer, MP_BUFFER_READ)) {
        refuse(MP_QSTR_TypeError, WB_E_BLOCK);
    }
    int typecode = buffer.typecode & 0x7f;
    if (typecode != input->typecode && typecode != 'B' && typecode != BYTEARRAY_TYPECODE) {
        refuse(MP_QSTR_TypeError, WB_E_BLOCK);
    }
    uint32_t odd = (uint32_t)(uintptr_t)buffer.buf & ((1u << item_shift) - 1);
    raise_if(odd != 0 || remainder_of(buffer.len, sample) != 0 ? WB_E_BLOCK : 0);
    *size = buffer.len;
    return buffer.buf;
}

// push(block), push(block, out)
static mp_obj_t model_push(size_t n_args, const mp_obj_t *args) {
    const wb_model_t *self = get_self(args[0]);
    wb_result_t result = {NULL, 0, 0};
    uint32_t size;
    const uint8_t *block = get_block(self, args[1], &size);
    if (n_args > 2) {
        result.output = get_buffer(args[2], output_of(self), MP_BUFFER_WRITE, WB_E_OUTPUT);
    }
    wb_push(self->program, self->kernels, arena_of(self), block, size, &result);
    if (!result.due) {
        return mp_const_none;
    }
    if (wb_header(self->program)->decision_kind == WB_DECIDE_NONE) {
        return mp_const_true;
    }
    return mp_obj_new_int(result.decision);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(model_push_obj, 2, 3, model_push);

// What is kept from call to call lies at the end of the arena, the stream's tensor first.
static mp_obj_t model_reset(mp_obj_t self_in) {
    const wb_model_t *self = get_self(self_in);
    const wb_header_t *header = wb_header(self->program);
    uint32_t start = tensor_of(self, header->stream_tensor)->place;
    mp_fun_table.memset_(arena_of(self) + start, 0, header->arena - start);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(model_reset_obj, model_reset);
