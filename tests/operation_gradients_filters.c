/* Recurrent units, convolutions and filters along positions. */
#include "operation_gradients.h"

/* Sequences of 3, 1, 5 and 4 tokens. */
static sr_tensor *build_gru(sr_tape *tape, sr_tensor **x)
{
    return sr_gru(tape, x[0], x[1], &layout);
}

/* The inputs of the second layer are the outputs of the first. */
static sr_tensor *build_two_layers_of_gru(sr_tape *tape, sr_tensor **x)
{
    sr_tensor *first = sr_gru(tape, sr_linear(tape, x[0], x[1], NULL), x[2], &layout);
    return sr_gru(tape, sr_linear(tape, first, x[3], NULL), x[4], &layout);
}

static sr_tensor *build_vertical_convolution(sr_tape *tape, sr_tensor **x)
{
    return sr_vertical_convolution(tape, x[0], x[1], x[2], x[3], &layout);
}

/* Weights [f, height * d] of all heights side by side in x[2], biases in x[3]. */
static sr_tensor *build_convolutions(sr_tape *tape, sr_tensor **x, const sr_layout *over)
{
    sr_tensor *weights[2 * WINDOW], *biases[2 * WINDOW];
    const size_t width = x[0]->columns, filters = x[2]->rows;
    size_t column = 0;
    for (size_t height = 1; height <= over->window; ++height) {
        weights[height - 1] = sr_select_columns(tape, x[2], column, height * width);
        biases[height - 1] = sr_select_columns(tape, x[3], (height - 1) * filters, filters);
        column += height * width;
    }
    return sr_horizontal_convolutions(tape, x[0], x[1], weights, biases, over);
}

static sr_tensor *build_horizontal_convolutions(sr_tape *tape, sr_tensor **x)
{
    return build_convolutions(tape, x, &layout);
}

/* Histories that end in the last column, one of them filling the window, and one in the first columns. */
static sr_tensor *build_horizontal_convolutions_of_left_padding(sr_tape *tape, sr_tensor **x)
{
    static const int32_t columns[] = {2, 3, 4, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3};
    static const uint32_t leading[] = {0, 0, 0, 0}, trailing[] = {0, 0, 0, 2};
    static sr_layout left;
    left = layout;
    left.columns = columns;
    left.leading = leading;
    left.trailing = trailing;
    left.window = 5;
    return build_convolutions(tape, x, &left);
}

/* More filters than a matrix product has columns for several heights, and more sequences than it has rows. */
static sr_tensor *build_many_horizontal_convolutions(sr_tape *tape, sr_tensor **x)
{
    enum { SEQUENCES = 70 };
    static size_t offsets[SEQUENCES + 1];
    static uint32_t leading[SEQUENCES], trailing[SEQUENCES];
    static int32_t columns[2 * SEQUENCES];
    for (size_t s = 0; s < SEQUENCES; ++s) {
        const size_t count = s % 2 + 1;
        offsets[s + 1] = offsets[s] + count;
        for (size_t i = 0; i < count; ++i)
            columns[offsets[s] + i] = (int32_t)(s % 3 == 0 ? i : 3 - count + i);
    }
    static const sr_layout many = {
        .sequences = SEQUENCES, .offsets = offsets, .leading = leading, .trailing = trailing, .columns = columns, .window = 3};
    return build_convolutions(tape, x, &many);
}

/* ---- filters along positions, by both engines ---- */

/* Tests own the transforms; each operation gets those of its engine. */
static sr_fourier *transforms[2];

int make_transforms(void **state)
{
    (void)state;
    return sr_fourier_create(&transforms[0], SR_FOURIER_FFTW, WIDTH, NULL) != SR_OK ||
           sr_fourier_create(&transforms[1], SR_FOURIER_PROJECTION, WIDTH, NULL) != SR_OK;
}

int free_transforms(void **state)
{
    (void)state;
    sr_fourier_free(transforms[0]);
    sr_fourier_free(transforms[1]);
    return 0;
}

/* The mean of each sequence and one bin more: everything of the short ones, not of the long ones. */
static sr_tensor *build_low_pass(sr_tape *tape, sr_tensor **x)
{
    return sr_band_pass(tape, transforms[0], x[0], &layout, sr_rows_all(tape, &layout), (sr_band){0, 2});
}

static sr_tensor *build_low_pass_by_projection(sr_tape *tape, sr_tensor **x)
{
    return sr_band_pass(tape, transforms[1], x[0], &layout, sr_rows_all(tape, &layout), (sr_band){0, 2});
}

static sr_tensor *build_low_pass_of_reads(sr_tape *tape, sr_tensor **x)
{
    return sr_band_pass(tape, transforms[0], x[0], &layout, &reads, (sr_band){0, 2});
}

static sr_tensor *build_low_pass_of_reads_by_projection(sr_tape *tape, sr_tensor **x)
{
    return sr_band_pass(tape, transforms[1], x[0], &layout, &reads, (sr_band){0, 2});
}

/* A band that short sequences do not reach, and that ends at half the sampling rate of the one with 20 positions. */
static sr_tensor *build_band_pass(sr_tape *tape, sr_tensor **x)
{
    const sr_rows *all = sr_rows_all(tape, &long_layout);
    return sr_add(tape, sr_band_pass(tape, transforms[0], x[0], &long_layout, all, (sr_band){3, 11}),
                  sr_band_pass(tape, transforms[1], x[0], &long_layout, all, (sr_band){7, 11}));
}

static sr_tensor *build_rescale_residual(sr_tape *tape, sr_tensor **x)
{
    return sr_rescale_residual(tape, x[0], x[1], x[2]);
}

static sr_tensor *build_rescale_of_itself(sr_tape *tape, sr_tensor **x)
{
    return sr_rescale_residual(tape, x[0], sr_activate(tape, x[0], SR_ACTIVATION_TANH), x[1]);
}

static const size_t window_offsets[] = {0, WINDOW, 2 * WINDOW}, even_offsets[] = {0, 6, 12};
static const size_t window_read_offsets[] = {0, 1, 3}, window_read_tokens[] = {WINDOW - 1, WINDOW, 2 * WINDOW - 1};
static const size_t even_read_offsets[] = {0, 0, 2}, even_read_tokens[] = {7, 11};
static const sr_layout odd_window = {.sequences = 2, .offsets = window_offsets, .window = WINDOW};
static const sr_layout even_window = {.sequences = 2, .offsets = even_offsets, .window = 6};
static const sr_rows odd_reads = {window_read_offsets, window_read_tokens}, even_reads = {even_read_offsets, even_read_tokens};
enum { ODD_BINS = WINDOW / 2 + 1, EVEN_BINS = 4 };

static sr_tensor *build_spectral_filter(sr_tape *tape, sr_tensor **x)
{
    return sr_spectral_filter(tape, transforms[0], x[0], &odd_window, sr_rows_all(tape, &odd_window), x[1]);
}

static sr_tensor *build_spectral_filter_by_projection(sr_tape *tape, sr_tensor **x)
{
    return sr_spectral_filter(tape, transforms[1], x[0], &even_window, sr_rows_all(tape, &even_window), x[1]);
}

static sr_tensor *build_spectral_filter_of_reads(sr_tape *tape, sr_tensor **x)
{
    return sr_spectral_filter(tape, transforms[0], x[0], &even_window, &even_reads, x[1]);
}

static sr_tensor *build_spectral_filter_of_reads_by_projection(sr_tape *tape, sr_tensor **x)
{
    return sr_spectral_filter(tape, transforms[1], x[0], &odd_window, &odd_reads, x[1]);
}

static sr_tensor *build_correlations(sr_tape *tape, sr_tensor **x)
{
    return sr_correlations(tape, x[0], x[1], &odd_window, 0.7);
}

static sr_tensor *build_lag_weights(sr_tape *tape, sr_tensor **x)
{
    static const size_t lags[] = {5, 0, 3};
    return sr_lag_weights(tape, x[0], lags, 3, false);
}

static sr_tensor *build_own_lag_weights(sr_tape *tape, sr_tensor **x)
{
    static const size_t lags[] = {5, 0, 3, 2};
    return sr_lag_weights(tape, x[0], lags, 2, true);
}

static sr_tensor *build_shifted_sum(sr_tape *tape, sr_tensor **x)
{
    return sr_shifted_sum(tape, x[0], x[1], &even_window, sr_rows_all(tape, &even_window));
}

static sr_tensor *build_shifted_sum_of_reads(sr_tape *tape, sr_tensor **x)
{
    return sr_shifted_sum(tape, x[0], x[1], &odd_window, &odd_reads);
}

static sr_tensor *build_spectral_distance(sr_tape *tape, sr_tensor **x)
{
    return sr_spectral_distance(tape, transforms[0], x[0], x[1], &even_window, 0.3);
}

static sr_tensor *build_spectral_distance_by_projection(sr_tape *tape, sr_tensor **x)
{
    return sr_spectral_distance(tape, transforms[1], x[0], x[1], &odd_window, 0.3);
}

static const operation_case cases[] = {
    {"gated recurrent units", build_gru, {{TOKENS, 3 * 2}, {3 * 2, 2}}, false},
    {"two layers of gated recurrent units",
     build_two_layers_of_gru,
     {{TOKENS, WIDTH}, {3 * 4, WIDTH}, {3 * 4, 4}, {3 * 2, 4}, {3 * 2, 2}},
     false},
    {"vertical convolution", build_vertical_convolution, {{TOKENS, WIDTH}, {1, WIDTH}, {3, WINDOW}, {1, 3}}, false},
    {"horizontal convolutions",
     build_horizontal_convolutions,
     {{TOKENS, 3}, {1, 3}, {2, 3 * WINDOW *(WINDOW + 1) / 2}, {1, 2 * WINDOW}},
     false},
    {"horizontal convolutions of left padding",
     build_horizontal_convolutions_of_left_padding,
     {{TOKENS, 3}, {1, 3}, {20, 3 * 15}, {1, 20 * 5}},
     false},
    {"horizontal convolutions of many sequences and filters",
     build_many_horizontal_convolutions,
     {{105, 2}, {1, 2}, {40, 2 * 6}, {1, 40 * 3}},
     false},
    {"low pass", build_low_pass, {{TOKENS, WIDTH}}, false},
    {"low pass by projection", build_low_pass_by_projection, {{TOKENS, WIDTH}}, false},
    {"low pass of the rows read", build_low_pass_of_reads, {{TOKENS, WIDTH}}, false},
    {"low pass of the rows read by projection", build_low_pass_of_reads_by_projection, {{TOKENS, WIDTH}}, false},
    {"band pass", build_band_pass, {{LONG, WIDTH}}, false},
    {"rescale residual", build_rescale_residual, {{5, WIDTH}, {5, WIDTH}, {1, WIDTH}}, false},
    {"rescale residual of itself", build_rescale_of_itself, {{5, WIDTH}, {1, WIDTH}}, false},
    {"spectral filter", build_spectral_filter, {{2 * WINDOW, WIDTH}, {ODD_BINS, 2 * WIDTH}}, false},
    {"spectral filter by projection", build_spectral_filter_by_projection, {{12, WIDTH}, {EVEN_BINS, 2 * WIDTH}}, false},
    {"spectral filter of the rows read", build_spectral_filter_of_reads, {{12, WIDTH}, {EVEN_BINS, 2 * WIDTH}}, false},
    {"spectral filter of the rows read by projection",
     build_spectral_filter_of_reads_by_projection,
     {{2 * WINDOW, WIDTH}, {ODD_BINS, 2 * WIDTH}},
     false},
    {"correlations", build_correlations, {{2 * WINDOW, WIDTH}, {2 * WINDOW, WIDTH}}, false},
    {"weights of lags", build_lag_weights, {{2, 6}}, false},
    {"weights of each sequence's lags", build_own_lag_weights, {{2, 6}}, false},
    {"sum of shifted rows", build_shifted_sum, {{2, 6}, {12, WIDTH}}, false},
    {"sum of shifted rows for the rows read", build_shifted_sum_of_reads, {{2, WINDOW}, {2 * WINDOW, WIDTH}}, false},
    {"distance of spectra", build_spectral_distance, {{12, WIDTH}, {12, WIDTH}}, false},
    {"distance of spectra by projection",
     build_spectral_distance_by_projection,
     {{2 * WINDOW, WIDTH}, {2 * WINDOW, WIDTH}},
     false},
};

const operation_cases filter_cases = {cases, sizeof cases / sizeof *cases};
