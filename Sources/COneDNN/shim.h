// oneDNN, and the one thing whose calls differ between its versions 2 (Debian 12) and 3 (newer distributions): making a
// matrix product. Not from Swift: the version is a macro.
#pragma once

#include <dnnl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if DNNL_VERSION_MAJOR >= 3
#define ONEDNN_DESCRIBE_STRIDES dnnl_memory_desc_create_with_strides
#define ONEDNN_DESCRIBE_TAG dnnl_memory_desc_create_with_tag
#define ONEDNN_ADDRESS(descriptor) (descriptor)
#define ONEDNN_FORGET(descriptor) ONEDNN_CHECK(dnnl_memory_desc_destroy(descriptor))
#else
#define ONEDNN_DESCRIBE_STRIDES dnnl_memory_desc_init_by_strides
#define ONEDNN_DESCRIBE_TAG dnnl_memory_desc_init_by_tag
#define ONEDNN_ADDRESS(descriptor) (&(descriptor))
#define ONEDNN_FORGET(descriptor) ((void)(descriptor))
#endif

/// A matrix as it lies in memory; steps are in elements.
typedef struct {
    int64_t rows, columns, row_step, column_step;
    bool is_bf16;
    /// In oneDNN's block format for right operands, whose steps are fixed: BA16a64b in fp32, BA16a64b2a in bf16.
    bool is_packed;
} onednn_matrix;

/// What a product is executed with: source, weights, destination, the bias if there is one, and scratch. Starts as zeros.
typedef struct {
    dnnl_primitive_t primitive;
    dnnl_memory_t memories[5];
    size_t scratch_bytes;
    /// Computed block by block in generated code, with all memory in the scratch.
    bool is_blocked;
} onednn_product;

static inline dnnl_status_t onednn_describe(const onednn_matrix *matrix, dnnl_memory_desc_t *result) {
    const dnnl_data_type_t type = matrix->is_bf16 ? dnnl_bf16 : dnnl_f32;
    const dnnl_dims_t sizes = {matrix->rows, matrix->columns};
    const dnnl_dims_t steps = {matrix->row_step, matrix->column_step};
    if (!matrix->is_packed) return ONEDNN_DESCRIBE_STRIDES(result, 2, sizes, type, steps);
    return ONEDNN_DESCRIBE_TAG(result, 2, sizes, type, matrix->is_bf16 ? dnnl_BA16a64b2a : dnnl_BA16a64b);
}

#define ONEDNN_CHECK(call)                                   \
    do {                                                     \
        const dnnl_status_t status_ = (call);                \
        if (status_ != dnnl_success) return status_;         \
    } while (0)

/// Makes c = a · b (+ an fp32 row of bias), or c += a · b with `accumulates`, for one thread. What was made before a
/// failure stays.
static inline dnnl_status_t onednn_product_create(
    dnnl_engine_t engine, const onednn_matrix *a, const onednn_matrix *b, bool bias, const onednn_matrix *c,
    bool accumulates, onednn_product *result) {
    const onednn_matrix row = {1, c->columns, c->columns, 1, false, false};
    const onednn_matrix *const operands[] = {a, b, c, bias ? &row : NULL};
    dnnl_memory_desc_t described[4];
    for (int i = 0; i < 4; i++)
        if (operands[i]) ONEDNN_CHECK(onednn_describe(operands[i], &described[i]));

    dnnl_primitive_attr_t attributes;
    ONEDNN_CHECK(dnnl_primitive_attr_create(&attributes));
    ONEDNN_CHECK(dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user));
    if (accumulates) {
        dnnl_post_ops_t operations;
        ONEDNN_CHECK(dnnl_post_ops_create(&operations));
#if DNNL_VERSION_MAJOR >= 3
        ONEDNN_CHECK(dnnl_post_ops_append_sum(operations, 1.0f, 0, dnnl_data_type_undef));
#else
        ONEDNN_CHECK(dnnl_post_ops_append_sum(operations, 1.0f));
#endif
        ONEDNN_CHECK(dnnl_primitive_attr_set_post_ops(attributes, operations));
        ONEDNN_CHECK(dnnl_post_ops_destroy(operations));
    }

    dnnl_primitive_desc_t plan;
#if DNNL_VERSION_MAJOR >= 3
    ONEDNN_CHECK(dnnl_matmul_primitive_desc_create(
        &plan, engine, described[0], described[1], bias ? described[3] : NULL, described[2], attributes));
#else
    dnnl_matmul_desc_t operation;
    ONEDNN_CHECK(dnnl_matmul_desc_init(
        &operation, &described[0], &described[1], bias ? &described[3] : NULL, &described[2]));
    ONEDNN_CHECK(dnnl_primitive_desc_create(&plan, &operation, attributes, engine, NULL));
#endif
    ONEDNN_CHECK(dnnl_primitive_create(&result->primitive, plan));
    const char *name = NULL;
    ONEDNN_CHECK(dnnl_primitive_desc_query(plan, dnnl_query_impl_info_str, 0, &name));
    result->is_blocked = name && strncmp(name, "brg", 3) == 0;
    for (int i = 0; i < 4; i++) {
        if (!operands[i]) continue;
        ONEDNN_CHECK(dnnl_memory_create(&result->memories[i], ONEDNN_ADDRESS(described[i]), engine, DNNL_MEMORY_NONE));
        ONEDNN_FORGET(described[i]);
    }
    result->scratch_bytes = dnnl_memory_desc_get_size(dnnl_primitive_desc_query_md(plan, dnnl_query_scratchpad_md, 0));
    ONEDNN_CHECK(dnnl_memory_create(
        &result->memories[4], dnnl_primitive_desc_query_md(plan, dnnl_query_scratchpad_md, 0), engine,
        DNNL_MEMORY_NONE));
    ONEDNN_CHECK(dnnl_primitive_attr_destroy(attributes));
    return dnnl_primitive_desc_destroy(plan);
}

/// Computes the product; `bias` counts exactly when it was made with one.
static inline dnnl_status_t onednn_product_execute(
    onednn_product product, dnnl_stream_t stream, const void *a, const void *b, void *c, void *scratch,
    const void *bias) {
    static const int roles[] = {
        DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST, DNNL_ARG_BIAS, DNNL_ARG_SCRATCHPAD};
    void *const data[] = {(void *)a, (void *)b, c, (void *)bias, scratch};
    dnnl_exec_arg_t arguments[5];
    int count = 0;
    for (int i = 0; i < 5; i++) {
        if (!product.memories[i]) continue;
        ONEDNN_CHECK(dnnl_memory_set_data_handle(product.memories[i], data[i]));
        arguments[count++] = (dnnl_exec_arg_t){roles[i], product.memories[i]};
    }
    return dnnl_primitive_execute(product.primitive, stream, count, arguments);
}

/// Lets go of what `onednn_product_create` made.
static inline dnnl_status_t onednn_product_destroy(onednn_product product) {
    for (int i = 0; i < 5; i++)
        if (product.memories[i]) ONEDNN_CHECK(dnnl_memory_destroy(product.memories[i]));
    return dnnl_primitive_destroy(product.primitive);
}
