/* Choices of arithmetic that operations of the tape understand. */
#ifndef SRTRAIN_ARITHMETIC_H
#define SRTRAIN_ARITHMETIC_H

/* Of feed-forward layers. */
typedef enum {
    SR_ACTIVATION_GELU, /* the erf form */
    SR_ACTIVATION_RELU,
    SR_ACTIVATION_SWISH,
    SR_ACTIVATION_TANH,
    SR_ACTIVATION_SIGMOID,
    SR_ACTIVATION_ELU
} sr_activation;

/* Of matrix products: bf16 rounds the operands, sums stay in single precision. */
typedef enum { SR_PRECISION_FP32, SR_PRECISION_BF16, SR_PRECISIONS } sr_precision;

/* How Fourier transforms are computed: by FFTW, by products with a matrix of cosines and sines, or by the faster one. */
typedef enum { SR_FOURIER_AUTO, SR_FOURIER_FFTW, SR_FOURIER_PROJECTION } sr_fourier_engine;

#endif
