#include "report/axis.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The smallest of 1, 2 and 5 times a power of ten that is at least `step`. */
static double nice_step(double step)
{
    const double power = pow(10, floor(log10(step)));
    const double factors[] = {1, 2, 5, 10};
    for (size_t i = 0; i < 3; ++i)
        if (step <= factors[i] * power * (1 + 1e-9))
            return factors[i] * power;
    return 10 * power;
}

/* All labels of an axis count the same thing, and have as many decimals as the distance of ticks needs. */
static void label(char text[AXIS_LABEL_SIZE], double value, double step, double largest)
{
    const double unit = largest >= 1e9 ? 1e9 : largest >= 1e6 ? 1e6 : largest >= 1e4 ? 1e3 : 1;
    const char *name = value == 0 ? "" : unit >= 1e9 ? "G" : unit >= 1e6 ? "M" : unit >= 1e3 ? "k" : "";
    const double needed = -floor(log10(step / unit) + 1e-9);
    const int decimals = needed > 0 && value != 0 ? (int)fmin(needed, 9) : 0;
    if ((value != 0 && fabs(value) < 1e-4) || largest >= 1e12)
        snprintf(text, AXIS_LABEL_SIZE, "%.3g", value);
    else
        snprintf(text, AXIS_LABEL_SIZE, "%.*f%s", decimals, value / unit, name);
}

static void add_tick(axis *a, double value, double step)
{
    if (a->count == AXIS_TICKS)
        return;
    a->ticks[a->count] = value;
    label(a->labels[a->count++], value, step, fmax(fabs(a->low), fabs(a->high)));
}

static void add_even_ticks(axis *a, size_t wanted)
{
    const double step = nice_step((a->high - a->low) / (double)wanted);
    const double first = ceil(a->low / step - 1e-9), last = floor(a->high / step + 1e-9);
    for (double i = first; i <= last && a->count < AXIS_TICKS; ++i)
        add_tick(a, i == 0 ? 0 : i * step, step); /* and never -0 */
}

/* Of every power of ten as many ticks as there is room for. */
static void add_log_ticks(axis *a, size_t wanted)
{
    static const double sets[3][3] = {{1, 2, 5}, {1, 3, 0}, {1, 0, 0}};
    const double powers = log10(a->high / a->low);
    const size_t set = 3 * powers <= (double)wanted + 1 ? 0 : 2 * powers <= (double)wanted + 1 ? 1 : 2;
    const double stride = fmax(1, ceil(powers / (double)wanted));
    for (double power = floor(log10(a->low)); power <= log10(a->high); power += stride)
        for (size_t i = 0; i < 3; ++i) {
            const double value = sets[set][i] * pow(10, power);
            if (value >= a->low * (1 - 1e-9) && value <= a->high * (1 + 1e-9))
                add_tick(a, value, pow(10, power));
        }
}

axis axis_make(double least, double most, size_t wanted, bool logarithmic, bool loose)
{
    axis a = {.low = least, .high = most, .logarithmic = logarithmic && least > 0};
    if (!(most > least)) { /* one value, or none */
        const double around = isfinite(least) && least != 0 ? fabs(least) * 0.1 : 1;
        a.low = isfinite(least) ? least - around : 0;
        a.high = isfinite(least) ? least + around : 1;
    } else if (loose) {
        const double room = a.logarithmic ? pow(most / least, 0.04) : 0.04 * (most - least);
        a.low = a.logarithmic ? least / room : least >= 0 && least - room < 0 ? 0 : least - room;
        a.high = a.logarithmic ? most * room : most + room;
    }
    if (a.logarithmic && a.high / a.low > 4)
        add_log_ticks(&a, wanted);
    else
        add_even_ticks(&a, wanted);
    return a;
}

axis axis_make_time(double least, double most, size_t wanted, const char **unit)
{
    static const struct {
        double seconds;
        const char *name;
    } units[] = {{86400, "days"}, {3600, "hours"}, {60, "minutes"}, {1, "seconds"}};
    size_t chosen = 0;
    while (chosen < 3 && most < 2 * units[chosen].seconds)
        ++chosen;
    const double size = units[chosen].seconds;
    axis a = axis_make(least / size, most / size, wanted, false, false);
    a.low *= size;
    a.high *= size;
    for (size_t i = 0; i < a.count; ++i)
        a.ticks[i] *= size;
    *unit = units[chosen].name;
    return a;
}

double axis_place(const axis *a, double value)
{
    if (!a->logarithmic)
        return (value - a->low) / (a->high - a->low);
    return value > 0 ? log(value / a->low) / log(a->high / a->low) : 0;
}
