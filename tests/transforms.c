#include "transforms.h"

#include "model/backbone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

void use_transforms(sr_model *model, sr_fourier_engine engine)
{
    assert_non_null(model->fourier);
    sr_fourier_free(model->fourier);
    model->fourier = NULL;
    assert_int_equal(sr_fourier_create(&model->fourier, engine, (size_t)model->settings.hidden_size, NULL), SR_OK);
}
