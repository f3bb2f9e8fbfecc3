#include "tensor/symmetric.h"

#include "srtrain/memory.h"

#include <cblas.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>

/* LAPACK's own interface: every library that holds LAPACK has it, whereas Debian's OpenBLAS comes without LAPACKE. The last two
 * arguments are the lengths of the texts, which Fortran compilers pass in this way. */
void dsyev_(const char *job, const char *triangle, const int *n, double *matrix, const int *stride, double *values,
            double *workspace, const int *workspace_size, int *failed, size_t job_length, size_t triangle_length);

void sr_gram_accumulate(double *gram, const double *rows, size_t count, size_t width)
{
    if (count > 0)
        cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, (int)width, (int)count, 1, rows, (int)width, 1, gram, (int)width);
}

sr_status sr_symmetric_eigenvalues(double *matrix, size_t n, double *values, sr_error *error)
{
    if (n == 0)
        return SR_OK;
    for (size_t row = 0; row < n; ++row)
        for (size_t column = row; column < n; ++column)
            if (!isfinite(matrix[row * n + column]))
                return sr_fail(error, SR_ERROR_RUNTIME, "eigenvalues of a matrix with an element that is not finite");
    const int order = (int)n, workspace_size = 34 * order; /* the block size of tridiagonalisation is 32 */
    double *workspace;
    SR_TRY(SR_ALLOCATE(&workspace, (size_t)workspace_size, "eigenvalues", error));
    int failed = 0;
    /* The upper triangle by rows is the lower one by columns, which is how LAPACK reads. */
    dsyev_("N", "L", &order, matrix, &order, values, workspace, &workspace_size, &failed, 1, 1);
    free(workspace);
    return failed == 0 ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "LAPACK finds no eigenvalues: dsyev returns %d", failed);
}
