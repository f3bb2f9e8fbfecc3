/* Numbers too small for full precision: below 1.2e-38 in single precision. Processors compute with them many times slower, and
 * nothing here gains by them. */
#ifndef SRTRAIN_DENORMALS_H
#define SRTRAIN_DENORMALS_H

/* From now on they count as 0 in this thread, as operands and as results. Every thread that computes calls it, and calls it
 * again whenever it begins: a thread inherits the setting of the one that made it, but libraries make threads of their own.
 * Nothing happens on processors that are neither x86-64 nor AArch64. */
void sr_flush_denormals(void);

#endif
