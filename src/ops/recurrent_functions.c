/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX's activations of recurrent gates, each as value and slope in double. */
#include "base/math.h"
#include "ops/recurrent.h"

#include <math.h>
#include <strings.h>

static double sigmoid(double x) { return 1.0 / (1.0 + octet_exp(-x)); }

#define FUNCTION(name, value, slope)                               \
    static double name##_value(double x, double alpha, double beta) \
    {                                                              \
        (void)alpha, (void)beta;                                   \
        return value;                                              \
    }                                                              \
    static double name##_slope(double x, double alpha, double beta) \
    {                                                              \
        (void)alpha, (void)beta;                                   \
        return slope;                                              \
    }

FUNCTION(affine, alpha * x + beta, alpha + 0 * x)
FUNCTION(elu, x < 0 ? alpha * (octet_exp(x) - 1) : x, x < 0 ? alpha * octet_exp(x) : 1)
FUNCTION(hard_sigmoid, fmin(fmax(alpha * x + beta, 0), 1), alpha * x + beta > 0 && alpha * x + beta < 1 ? alpha : 0)
FUNCTION(leaky_relu, x < 0 ? alpha * x : x, x < 0 ? alpha : 1)
FUNCTION(relu, fmax(x, 0), x > 0)
FUNCTION(scaled_tanh, alpha * octet_tanh(beta * x),
         alpha * beta * (1 - octet_tanh(beta * x) * octet_tanh(beta * x)))
FUNCTION(sigmoid, sigmoid(x), sigmoid(x) * (1 - sigmoid(x)))
FUNCTION(softplus, fmax(x, 0) + octet_log(1 + octet_exp(-fabs(x))), sigmoid(x))
FUNCTION(softsign, x / (1 + fabs(x)), 1 / ((1 + fabs(x)) * (1 + fabs(x))))
FUNCTION(tanh, octet_tanh(x), 1 - octet_tanh(x) * octet_tanh(x))
FUNCTION(thresholded_relu, x > alpha ? x : 0, x > alpha)

#define ROW(name, f, ...) { name, f##_value, f##_slope, __VA_ARGS__ }

static const octet_gate_function functions[] = {
    ROW("Affine", affine, 1, 0, true, true),
    ROW("Elu", elu, 1, 0, true, false),
    ROW("HardSigmoid", hard_sigmoid, 0.2f, 0.5f, true, true),
    ROW("LeakyRelu", leaky_relu, 0.01f, 0, true, false),
    ROW("Relu", relu, 0, 0, false, false),
    ROW("ScaledTanh", scaled_tanh, 1, 1, true, true),
    ROW("Sigmoid", sigmoid, 0, 0, false, false),
    ROW("Softplus", softplus, 0, 0, false, false),
    ROW("Softsign", softsign, 0, 0, false, false),
    ROW("Tanh", tanh, 0, 0, false, false),
    ROW("ThresholdedRelu", thresholded_relu, 1, 0, true, false),
};

const octet_gate_function *octet_gate_function_find(const char *name)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (!strcasecmp(functions[i].name, name)) return &functions[i];
    return NULL;
}
