// The module that a board imports: arguments in, results out, errors. All else is in core.
// STREAM is 1 in the core of programs that take a stream, else 0.
#include "py/dynruntime.h"

#include "core/program.h"

// Constants that assemble() puts into the .mpy, in this order. SPEC.md, "In the .mpy".
enum {
    CONST_TEXTS,   // bytes: NUL-terminated texts of the WB_E_ reasons, in their order
    CONST_PROGRAM, // bytes: the program, then the link table
    CONST_LABELS,  // tuple of str
    CONST_INFO,    // tuple: key, value, key, value, ...
    CONST_SCALE,   // float: one step of the output
};

// Start of the module's text: the kernels' offsets count from here.
const uint8_t *wb_text;

typedef struct {
    mp_obj_base_t base;
    const uint8_t *program;
    uint8_t *arena;        // own arena; NULL when the caller gave a buffer
    mp_obj_t arena_buffer; // the caller's buffer
    wb_kernel_t kernels[]; // one per operator
} wb_model_t;

mp_obj_full_type_t wb_model_type;

// Where native code is not on the heap, nothing else keeps the module's tables from the garbage
// collector once the module itself is gone. This memory is a root of it.
const void *wb_tables[2];

static mp_obj_t constant(size_t index) {
    return (mp_obj_t)mp_native_obj_table[index];
}

static NORETURN void refuse(qstr exception, int32_t reason) {
    mp_buffer_info_t texts;
    mp_get_buffer_raise(constant(CONST_TEXTS), &texts, MP_BUFFER_READ);
    const char *text = texts.buf;
    while (--reason != 0) {
        while (*text++ != 0) {
        }
    }
    mp_raise_msg(mp_load_global(exception), text);
}

static void raise_if(int32_t reason) {
    if (reason != 0) {
        refuse(MP_QSTR_ValueError, reason);
    }
}

static wb_model_t *get_self(mp_obj_t self) {
    if (mp_obj_get_type(self) != (const mp_obj_type_t *)&wb_model_type) {
        refuse(MP_QSTR_TypeError, WB_E_SELF);
    }
    return MP_OBJ_TO_PTR(self);
}

// bytes and bytearray pass as raw memory of any dtype; arrays must have the right typecode.
static uint8_t *get_buffer(
    mp_obj_t object, const wb_tensor_t *tensor, mp_uint_t flags, int32_t reason) {
    mp_buffer_info_t buffer;
    uint32_t alignment = 1u << wb_item_shift(tensor->typecode);
    int typecode = -1;
    if (mp_get_buffer(object, &buffer, flags)) {
        typecode = buffer.typecode & 0x7f;
    }
    if (typecode != tensor->typecode && typecode != 'B' && typecode != BYTEARRAY_TYPECODE) {
        refuse(MP_QSTR_TypeError, reason);
    }
    int sound = buffer.len == tensor->size && ((uintptr_t)buffer.buf & (alignment - 1)) == 0;
    raise_if(sound ? 0 : reason);
    return buffer.buf;
}

// The caller's buffer is looked up at every call, since a bytearray may move when it grows.
static uint8_t *get_arena(mp_obj_t object, uint32_t size) {
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(object, &buffer, MP_BUFFER_RW);
    if (buffer.len < size || ((uintptr_t)buffer.buf & 3u) != 0) {
        refuse(MP_QSTR_ValueError, WB_E_ARENA);
    }
    return buffer.buf;
}

static uint8_t *arena_of(const wb_model_t *self) {
    return self->arena != NULL
        ? self->arena
        : get_arena(self->arena_buffer, wb_header(self->program)->arena);
}

static const uint8_t *load_program(size_t *links_size) {
    mp_buffer_info_t blob;
    mp_get_buffer_raise(constant(CONST_PROGRAM), &blob, MP_BUFFER_READ);
    raise_if(wb_check_program(blob.buf, blob.len));
    #if STREAM
    raise_if(wb_check_stream(blob.buf));
    #endif
    size_t size = wb_header(blob.buf)->size;
    *links_size = blob.len - size;
    raise_if(wb_check_links((const uint8_t *)blob.buf + size, *links_size));
    return blob.buf;
}

static void load_kernels(const uint8_t *program, size_t links_size, wb_kernel_t *kernels) {
    const wb_header_t *header = wb_header(program);
    const wb_operator_t *op = wb_operators(program);
    for (size_t i = 0; i < header->n_operators; i++) {
        const wb_link_t *link =
            wb_find_kernel(program + header->size, links_size, op[i].opcode, wb_text);
        if (link == NULL) {
            refuse(MP_QSTR_ValueError, WB_E_KERNEL);
        }
        uintptr_t entry = (uintptr_t)wb_text + link->offset + link->entry;
        #if defined(__thumb__)
        entry |= 1;
        #endif
        kernels[i] = (wb_kernel_t)entry;
    }
    int32_t status = wb_call_operators(program, kernels, WB_CHECK, NULL, NULL);
    raise_if(status != WB_OK ? WB_E_OPERATOR : 0);
}

static mp_obj_t model_make_new(
    const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 0, 1, false);
    size_t links_size;
    const uint8_t *program = load_program(&links_size);
    const wb_header_t *header = wb_header(program);
    size_t own = offsetof(wb_model_t, kernels) + header->n_operators * sizeof(wb_kernel_t);
    wb_model_t *self = mp_fun_table.realloc_(NULL, own + (n_args == 0 ? header->arena : 0), false);
    if (self == NULL) {
        refuse(MP_QSTR_MemoryError, WB_E_MEMORY);
    }
    self->base.type = type;
    self->program = program;
    load_kernels(program, links_size, self->kernels);
    uint8_t *arena = (uint8_t *)self + own;
    self->arena = arena;
    if (n_args != 0) {
        arena = get_arena(args[0], header->arena);
        self->arena = NULL;
        self->arena_buffer = args[0];
    }
    mp_fun_table.memset_(arena, 0, header->arena);
    return MP_OBJ_FROM_PTR(self);
}

static const wb_tensor_t *tensor_of(const wb_model_t *self, size_t index) {
    return &wb_tensors(self->program)[index];
}

static const wb_tensor_t *input_of(const wb_model_t *self) {
    return tensor_of(self, wb_header(self->program)->input_tensor);
}

static const wb_tensor_t *output_of(const wb_model_t *self) {
    return tensor_of(self, wb_header(self->program)->output_tensor);
}

// Runs the program on window; returns the arena with the results, or NULL if no result is due.
static const uint8_t *evaluate(const wb_model_t *self, mp_obj_t window) {
    const uint8_t *input = get_buffer(window, input_of(self), MP_BUFFER_READ, WB_E_INPUT);
    uint8_t *arena = arena_of(self);
    int32_t status = wb_call_operators(self->program, self->kernels, WB_RUN, arena, input);
    return STREAM && status != WB_OK ? NULL : arena;
}

static mp_obj_t model_predict(mp_obj_t self_in, mp_obj_t window) {
    const wb_model_t *self = get_self(self_in);
    if (wb_header(self->program)->decision_kind == WB_DECIDE_NONE) {
        refuse(MP_QSTR_TypeError, WB_E_NO_DECISION);
    }
    const uint8_t *arena = evaluate(self, window);
    if (STREAM && arena == NULL) {
        return mp_const_none;
    }
    return mp_obj_new_int(wb_decide(self->program, arena));
}
static MP_DEFINE_CONST_FUN_OBJ_2(model_predict_obj, model_predict);

static mp_obj_t model_run(mp_obj_t self_in, mp_obj_t window, mp_obj_t out) {
    const wb_model_t *self = get_self(self_in);
    const wb_tensor_t *tensor = output_of(self);
    uint8_t *result = get_buffer(out, tensor, MP_BUFFER_WRITE, WB_E_OUTPUT);
    const uint8_t *arena = evaluate(self, window);
    if (!STREAM || arena != NULL) {
        mp_fun_table.memmove_(result, arena + tensor->place, tensor->size);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_3(model_run_obj, model_run);

#if STREAM
#include "natmod/stream.h"
#endif

static mp_obj_t make_info(void) {
    const mp_obj_tuple_t *pairs = MP_OBJ_TO_PTR(constant(CONST_INFO));
    mp_obj_t info = mp_obj_new_dict(pairs->len / 2);
    for (size_t i = 0; i < pairs->len; i += 2) {
        mp_obj_dict_store(info, pairs->items[i], pairs->items[i + 1]);
    }
    return info;
}

mp_map_elem_t wb_model_locals_table[5 + 2 * STREAM];
static MP_DEFINE_CONST_DICT(wb_model_locals, wb_model_locals_table);

static void set_local(size_t index, qstr name, mp_obj_t value) {
    wb_model_locals_table[index].key = MP_OBJ_NEW_QSTR(name);
    wb_model_locals_table[index].value = value;
}

mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args) {
    MP_DYNRUNTIME_INIT_ENTRY
    wb_text = self->bytecode;
    wb_tables[0] = mp_native_obj_table;
    wb_tables[1] = mp_native_qstr_table;
    set_local(0, MP_QSTR_predict, MP_OBJ_FROM_PTR(&model_predict_obj));
    set_local(1, MP_QSTR_run, MP_OBJ_FROM_PTR(&model_run_obj));
    set_local(2, MP_QSTR_labels, constant(CONST_LABELS));
    set_local(3, MP_QSTR_info, make_info());
    set_local(4, MP_QSTR_scale, constant(CONST_SCALE));
    #if STREAM
    set_local(5, MP_QSTR_push, MP_OBJ_FROM_PTR(&model_push_obj));
    set_local(6, MP_QSTR_reset, MP_OBJ_FROM_PTR(&model_reset_obj));
    #endif
    wb_model_type.base.type = (void *)&mp_type_type;
    wb_model_type.name = MP_QSTR_Model;
    MP_OBJ_TYPE_SET_SLOT(&wb_model_type, make_new, model_make_new, 0);
    MP_OBJ_TYPE_SET_SLOT(&wb_model_type, locals_dict, (void *)&wb_model_locals, 1);
    mp_store_global(MP_QSTR_Model, MP_OBJ_FROM_PTR(&wb_model_type));
    MP_DYNRUNTIME_INIT_EXIT
}
