/* benchmark_operations [--json FILE]
 *
 * Single operations against what one core can do at best, both measured in this run: matrix products of the shapes that a
 * training step has, by every engine of src/tensor/gemm.h, against multiplications and additions in registers; element-wise
 * kernels (srtrain/kernels.h) against the bandwidth of memory. All cases take turns in each repetition; figures are medians.
 * Times are those of the processor, and a product is compared with a window of the peak right before it: clocks wander. */
#include "benchmark.h"
#include "json.h"
#include "peak.h"
#include "srtrain/command_line.h"
#include "srtrain/compare_doubles.h"
#include "srtrain/kernels.h"
#include "srtrain/memory.h"
#include "srtrain/random.h"
#include "tensor/gemm.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REPETITIONS = 9, WIDTH = 64 };

/* ---- products ---- */

/* A product of a training step at batch 256, window 50, width 64, or of a chunk of a wide model at width 256, done `copies`
 * times on matrices that follow one another. */
typedef struct {
    const char *name;
    bool transpose_a, transpose_b;
    size_t m, n, k, copies;
} product_case;

static const product_case products[] = {
    {"projection", false, false, 12800, 64, 64, 1},
    {"projection, its weight", true, false, 64, 64, 12800, 1},
    {"inner layer 1", false, false, 12800, 256, 64, 1},
    {"inner layer 2", false, false, 12800, 64, 256, 1},
    {"inner layer 1, its weight", true, false, 256, 64, 12800, 1},
    {"inner layer 2, its weight", true, false, 64, 256, 12800, 1},
    {"last rows", false, false, 256, 256, 64, 8},
    {"logits of a tile", false, true, 256, 1008, 64, 8},
    {"logits, states", false, false, 256, 64, 1008, 8},
    {"logits, items", true, false, 1008, 64, 256, 8},
    {"scores, 50 keys", false, true, 50, 50, 64, 256},
    {"scores, 50 keys, 2 heads", false, true, 50, 50, 32, 512},
    {"context, 50 keys", false, false, 50, 64, 50, 256},
    {"context, its values", true, false, 50, 64, 50, 256},
    {"scores, 9 keys, 2 heads", false, true, 9, 9, 32, 512},
    {"context, 9 keys, 2 heads", false, false, 9, 32, 9, 512},
    {"context, 9 keys, its values", true, false, 9, 32, 9, 512},
    {"last row, 50 keys", false, true, 1, 50, 64, 256},
    {"band of 5 bins", false, false, 10, 64, 50, 256},
    {"band of 5 bins, back", false, false, 50, 64, 10, 256},
    {"gates of a recurrent unit", false, false, 256, 192, 64, 50},
    {"wide projection", false, false, 1900, 256, 256, 1},
    {"wide projection, its weight", true, false, 256, 256, 1900, 1},
    {"wide inner 1", false, false, 1900, 1024, 256, 1},
    {"wide inner 1, its weight", true, false, 1024, 256, 1900, 1},
    {"wide inner 2", false, false, 1900, 256, 1024, 1},
    {"wide inner 2, its weight", true, false, 256, 1024, 1900, 1},
    {"wide logits of a tile", false, true, 256, 960, 256, 4},
    {"wide logits, items", true, false, 960, 256, 256, 4},
    {"scores, 200 keys", false, true, 200, 200, 64, 32},
    {"context, 200 keys", false, false, 200, 64, 200, 32},
    {"context, 200 keys, its values", true, false, 200, 64, 200, 32},
    {"square", false, false, 512, 512, 512, 1},
};
enum { PRODUCTS = sizeof products / sizeof *products };

typedef struct {
    sr_real *a, *b, *c;
} operands;

static double operations_of(const product_case *p)
{
    return 2.0 * (double)p->m * (double)p->n * (double)p->k * (double)p->copies;
}

static void multiply(const sr_products *fp32, const product_case *p, sr_gemm_engine engine, const operands *o)
{
    matrix_product product = {.transpose_a = p->transpose_a,
                              .transpose_b = p->transpose_b,
                              .m = p->m,
                              .n = p->n,
                              .k = p->k,
                              .alpha = 1,
                              .a = o->a,
                              .a_stride = p->transpose_a ? p->m : p->k,
                              .b = o->b,
                              .b_stride = p->transpose_b ? p->k : p->n,
                              .c = o->c,
                              .c_stride = p->n};
    for (size_t copy = 0; copy < p->copies; ++copy) {
        sr_gemm_by(engine, fp32, &product);
        product.a += p->m * p->k;
        product.b += p->n * p->k;
        product.c += p->m * p->n;
    }
}

/* The engine that sr_gemm() would take. */
static sr_gemm_engine chosen(const sr_products *fp32, const product_case *p)
{
    const matrix_product product = {
        .transpose_a = p->transpose_a, .transpose_b = p->transpose_b, .m = p->m, .n = p->n, .k = p->k};
    return sr_gemm_choose(fp32, &product);
}

/* ---- element-wise kernels ---- */

enum { ELEMENTS = 12800 * 256 };

typedef struct {
    sr_real *x, *y, *z;
    uint8_t *kept;
    size_t *offsets;
    uint32_t *row_words;
    uint64_t *identities;
} arrays;

static void run_copy(const sr_kernels *kernels, const arrays *a)
{
    (void)kernels;
    memcpy(a->y, a->x, ELEMENTS * sizeof *a->x);
}

static void run_accumulate(const sr_kernels *kernels, const arrays *a)
{
    kernels->accumulate(a->y, a->x, ELEMENTS);
}

static void run_gelu(const sr_kernels *kernels, const arrays *a)
{
    kernels->activation(SR_ACTIVATION_GELU, a->y, a->x, ELEMENTS);
}

static void run_gelu_backward(const sr_kernels *kernels, const arrays *a)
{
    kernels->activation_backward(SR_ACTIVATION_GELU, a->y, a->x, a->z, ELEMENTS);
}

static void run_layer_norm(const sr_kernels *kernels, const arrays *a)
{
    for (size_t i = 0; i < ELEMENTS; i += WIDTH)
        kernels->layer_norm(a->y + i, a->x + i, a->z, a->z + WIDTH, (sr_real)1e-12, WIDTH);
}

static void run_layer_norm_backward(const sr_kernels *kernels, const arrays *a)
{
    const sr_row_statistics statistics = {.mean = 0, .inverse_deviation = 1};
    for (size_t i = 0; i < ELEMENTS; i += WIDTH)
        kernels->layer_norm_backward(a->y + i, a->x + i, &statistics, a->z, a->z + i, WIDTH);
}

static void run_softmax(const sr_kernels *kernels, const arrays *a)
{
    for (size_t i = 0; i + 50 <= ELEMENTS; i += 50)
        kernels->softmax(a->y + i, a->x + i, 50);
}

static void run_exponentials(const sr_kernels *kernels, const arrays *a)
{
    memcpy(a->y, a->x, ELEMENTS * sizeof *a->x);
    for (size_t i = 0; i < ELEMENTS; i += 1024) {
        sr_real maximum;
        kernels->exponentials(a->y + i, &maximum, 1024);
    }
}

static void run_dropout_mask(const sr_kernels *kernels, const arrays *a)
{
    static const uint32_t key[2] = {1, 2};
    kernels->dropout_mask(a->kept, ELEMENTS / WIDTH, a->offsets, a->row_words, a->identities, key, 32768);
}

static void run_add_dropped(const sr_kernels *kernels, const arrays *a)
{
    kernels->add_dropped(a->y, a->x, a->z, a->kept, 2, ELEMENTS);
}

static void run_adam(const sr_kernels *kernels, const arrays *a)
{
    const size_t n = ELEMENTS / 4;
    const sr_adam_step step = {.step_size = (sr_real)1e-6,
                               .beta1 = (sr_real)0.9,
                               .beta2 = (sr_real)0.999,
                               .second_correction = 1,
                               .epsilon = (sr_real)1e-8,
                               .gradient_scale = 1};
    kernels->adam(a->y, a->x, a->z, a->z + n, n, &step);
}

/* `bytes` an element go to and from memory at least; the number of elements is in `elements`. */
static const struct kernel_case {
    const char *name;
    void (*run)(const sr_kernels *kernels, const arrays *a);
    size_t elements, bytes;
} kernel_cases[] = {
    {"copy", run_copy, ELEMENTS, 8},
    {"accumulate", run_accumulate, ELEMENTS, 12},
    {"gelu", run_gelu, ELEMENTS, 8},
    {"gelu, backward", run_gelu_backward, ELEMENTS, 16},
    {"layer norm", run_layer_norm, ELEMENTS, 8},
    {"layer norm, backward", run_layer_norm_backward, ELEMENTS, 16},
    {"softmax of 50", run_softmax, ELEMENTS, 8},
    {"exponentials of 1024", run_exponentials, ELEMENTS, 16},
    {"dropout mask", run_dropout_mask, ELEMENTS, 1},
    {"dropout and residual", run_add_dropped, ELEMENTS, 13},
    {"adam", run_adam, ELEMENTS / 4, 28},
};
enum { KERNELS = sizeof kernel_cases / sizeof *kernel_cases };

/* ---- measuring ---- */

typedef struct {
    double peak[REPETITIONS];                                /* operations a second */
    double products[PRODUCTS][SR_GEMM_ENGINES][REPETITIONS]; /* seconds */
    double shares[PRODUCTS][SR_GEMM_ENGINES][REPETITIONS];   /* of the peak beside them */
    double kernels[KERNELS][REPETITIONS];                    /* seconds */
} samples;

/* Seconds that this thread has had the processor. */
static double processor_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static double measure_peak(const sr_kernels *kernels, size_t rounds, float *sum)
{
    operations_function *run = peak_generic;
#ifdef SR_HAVE_X86_LEVELS
    if (strcmp(kernels->level, "avx2") == 0)
        run = peak_avx2;
    else if (strcmp(kernels->level, "generic") != 0)
        run = peak_avx512;
#endif
#ifdef SR_HAVE_SVE_LEVELS
    if (strcmp(kernels->level, "sve256") == 0)
        run = peak_sve256;
    else if (strcmp(kernels->level, "sve512") == 0)
        run = peak_sve512;
#endif
    const double start = processor_seconds();
    const double operations = run(rounds, sum);
    return operations / (processor_seconds() - start);
}

static void measure_all(const sr_kernels *kernels, const operands *o, const arrays *a, samples *s, float *sum)
{
    enum { ROUNDS = 200000, ROUNDS_BESIDE = 5000 };
    for (size_t r = 0; r < REPETITIONS; ++r) {
        s->peak[r] = measure_peak(kernels, ROUNDS, sum);
        for (size_t p = 0; p < PRODUCTS; ++p)
            for (size_t e = 0; e < SR_GEMM_ENGINES; ++e) {
                const double peak = measure_peak(kernels, ROUNDS_BESIDE, sum), start = processor_seconds();
                multiply(kernels->products[SR_PRECISION_FP32], &products[p], (sr_gemm_engine)e, o);
                s->products[p][e][r] = processor_seconds() - start;
                s->shares[p][e][r] = operations_of(&products[p]) / s->products[p][e][r] / peak;
            }
        for (size_t k = 0; k < KERNELS; ++k) {
            const double start = processor_seconds();
            kernel_cases[k].run(kernels, a);
            s->kernels[k][r] = processor_seconds() - start;
        }
    }
}

static double median(double *values)
{
    qsort(values, REPETITIONS, sizeof *values, sr_compare_doubles);
    return values[REPETITIONS / 2];
}

/* ---- what is told ---- */

static bool report_products(const sr_products *fp32, samples *s, cJSON *list)
{
    bool complete = true;
    printf("%-28s %5s %20s", "product", "", "m x n x k");
    for (size_t e = 0; e < SR_GEMM_ENGINES; ++e)
        printf(" %11s", sr_gemm_engine_name((sr_gemm_engine)e));
    printf(" %11s %6s   (10^9 operations a second)\n", "taken", "peak");
    for (size_t p = 0; p < PRODUCTS; ++p) {
        const product_case *c = &products[p];
        double rates[SR_GEMM_ENGINES];
        char shape[64];
        snprintf(shape, sizeof shape, "%zu x %zu x %zu", c->m, c->n, c->k);
        cJSON *row = cJSON_CreateObject(), *engines = cJSON_AddObjectToObject(row, "operations_per_second");
        complete = complete && cJSON_AddItemToArray(list, row) && cJSON_AddStringToObject(row, "name", c->name) &&
                   cJSON_AddNumberToObject(row, "m", (double)c->m) && cJSON_AddNumberToObject(row, "n", (double)c->n) &&
                   cJSON_AddNumberToObject(row, "k", (double)c->k) &&
                   cJSON_AddBoolToObject(row, "transpose_a", c->transpose_a) &&
                   cJSON_AddBoolToObject(row, "transpose_b", c->transpose_b) &&
                   cJSON_AddStringToObject(row, "taken", sr_gemm_engine_name(chosen(fp32, c)));
        printf("%-28s %5s %20s", c->name, c->transpose_a ? "TN" : c->transpose_b ? "NT" : "NN", shape);
        for (size_t e = 0; e < SR_GEMM_ENGINES; ++e) {
            rates[e] = operations_of(c) / median(s->products[p][e]);
            complete = complete && cJSON_AddNumberToObject(engines, sr_gemm_engine_name((sr_gemm_engine)e), rates[e]);
            printf(" %11.1f", rates[e] / 1e9);
        }
        const double share = median(s->shares[p][chosen(fp32, c)]);
        complete = complete && cJSON_AddNumberToObject(row, "share_of_peak", share);
        printf(" %11s %5.0f%%\n", sr_gemm_engine_name(chosen(fp32, c)), 100 * share);
    }
    return complete;
}

static bool report_kernels(samples *s, double bandwidth, cJSON *list)
{
    bool complete = true;
    printf("\n%-28s %14s %14s %14s\n", "kernel", "ns an element", "GB/s", "of a copy");
    for (size_t k = 0; k < KERNELS; ++k) {
        const double seconds = median(s->kernels[k]), elements = (double)kernel_cases[k].elements;
        const double bytes = elements * (double)kernel_cases[k].bytes / seconds;
        cJSON *row = cJSON_CreateObject();
        complete = complete && cJSON_AddItemToArray(list, row) && cJSON_AddStringToObject(row, "name", kernel_cases[k].name) &&
                   cJSON_AddNumberToObject(row, "seconds_per_element", seconds / elements) &&
                   cJSON_AddNumberToObject(row, "bytes_per_second", bytes);
        printf("%-28s %14.3f %14.1f %13.0f%%\n", kernel_cases[k].name, seconds / elements * 1e9, bytes / 1e9,
               100 * bytes / bandwidth);
    }
    return complete;
}

static sr_status report(const sr_kernels *kernels, samples *s, const char *path, sr_error *error)
{
    const double peak = median(s->peak);
    const double bandwidth = (double)(ELEMENTS * kernel_cases[0].bytes) / median(s->kernels[0]);
    char blas[256];
    sr_blas_description(blas, sizeof blas);
    printf("one thread, kernels %s, BLAS %s\n%.1f 10^9 operations a second in registers, %.1f GB/s by memcpy\n\n",
           kernels->level, blas, peak / 1e9, bandwidth / 1e9);
    cJSON *root = cJSON_CreateObject();
    bool complete = root && cJSON_AddStringToObject(root, "program", "benchmark_operations") &&
                    cJSON_AddStringToObject(root, "kernels", kernels->level) && cJSON_AddStringToObject(root, "blas", blas) &&
                    cJSON_AddNumberToObject(root, "peak_operations_per_second", peak) &&
                    cJSON_AddNumberToObject(root, "copy_bytes_per_second", bandwidth);
    complete = report_products(kernels->products[SR_PRECISION_FP32], s, cJSON_AddArrayToObject(root, "products")) && complete;
    complete = report_kernels(s, bandwidth, cJSON_AddArrayToObject(root, "element_wise")) && complete;
    const sr_status status = path ? json_write(path, complete ? root : NULL, error) : SR_OK;
    cJSON_Delete(root);
    return status;
}

/* ---- the data ---- */

static void fill(sr_real *values, size_t count, uint64_t index)
{
    const sr_random_stream stream = sr_random_open(1, SR_RANDOM_TEST, index);
    for (size_t i = 0; i < count; ++i)
        values[i] = (sr_real)sr_random_normal(stream, i, 0);
}

static sr_status make_data(operands *o, arrays *a, sr_error *error)
{
    enum { ROWS = ELEMENTS / WIDTH };
    SR_TRY(SR_ALLOCATE(&o->a, ELEMENTS, "a", error));
    SR_TRY(SR_ALLOCATE(&o->b, ELEMENTS, "b", error));
    SR_TRY(SR_ALLOCATE(&o->c, ELEMENTS, "c", error));
    SR_TRY(SR_ALLOCATE(&a->z, ELEMENTS, "numbers", error));
    SR_TRY(SR_ALLOCATE(&a->kept, ELEMENTS, "what is kept", error));
    SR_TRY(SR_ALLOCATE(&a->offsets, ROWS + 1, "offsets", error));
    SR_TRY(SR_ALLOCATE_ZERO(&a->row_words, ROWS, "row words", error));
    SR_TRY(SR_ALLOCATE(&a->identities, ROWS, "identities", error));
    a->x = o->a;
    a->y = o->c;
    fill(o->a, ELEMENTS, 1);
    fill(o->b, ELEMENTS, 2);
    memset(o->c, 0, ELEMENTS * sizeof *o->c);
    for (size_t i = 0; i < ELEMENTS; ++i)
        a->z[i] = (sr_real)fabs((double)o->b[i]);
    memset(a->kept, 1, ELEMENTS);
    for (size_t r = 0; r <= ROWS; ++r)
        a->offsets[r] = r * WIDTH;
    for (size_t r = 0; r < ROWS; ++r)
        a->identities[r] = r;
    return SR_OK;
}

static void free_data(operands *o, arrays *a)
{
    free(o->a);
    free(o->b);
    free(o->c);
    free(a->z);
    free(a->kept);
    free(a->offsets);
    free(a->row_words);
    free(a->identities);
}

int main(int argument_count, char **arguments)
{
    sr_error error = {.status = SR_OK};
    const char *json = NULL;
    float sum = 0;
    operands o = {0};
    arrays a = {0};
    samples *s = NULL;
    const sr_option options[] = {{.name = "json", .value = &json}};
    sr_cpu cpu;
    sr_status status = sr_command_line_read(NULL, argument_count, arguments, NULL, NULL, options, 1, &error);
    if (status == SR_OK)
        status = benchmark_begin(&cpu, NULL, &error);
    if (status == SR_OK)
        status = SR_ALLOCATE_ZERO(&s, 1, "measurements", &error);
    if (status == SR_OK)
        status = make_data(&o, &a, &error);
    if (status == SR_OK) {
        measure_all(cpu.kernels, &o, &a, s, &sum);
        status = report(cpu.kernels, s, json, &error);
    }
    free_data(&o, &a);
    free(s);
    const int code = benchmark_end("benchmark_operations", status, &error);
    return sum == sum ? code
                      : SR_ERROR_RUNTIME; /* it is a number, but the compiler must not know: it would leave out the work */
}
