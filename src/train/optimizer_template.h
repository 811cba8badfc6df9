/* SPDX-License-Identifier: Apache-2.0 */
/* The updates of optimizer.c for numbers of type X. No guard: it is meant to be included again. */

static void NAME(sgd)(const octet_parameter *p, const octet_moments *m, const update *u)
{
    X *const w = p->value, *const velocity = m->first;
    const X *const g = p->gradient;
    const X        decay = (X)u->decay, momentum = (X)u->options->momentum, rate = (X)u->rate;
    for (size_t i = 0; i < p->count; i++) {
        X d = decay != 0 ? g[i] + decay * w[i] : g[i];
        if (velocity) {
            /* torch starts with a copy of the gradient: what adding to 0 gives */
            velocity[i] = velocity[i] * momentum + d;
            d           = u->options->nesterov ? d + momentum * velocity[i] : velocity[i];
        }
        w[i] = w[i] - rate * d;
    }
}

static void NAME(adam)(const octet_parameter *p, const octet_moments *m, const update *u)
{
    X *const w = p->value, *const mean = m->first, *const square = m->second;
    const X *const g      = p->gradient;
    const bool     beside = u->options->optimizer == OCTET_OPTIMIZER_ADAMW;
    const double   beta1 = u->options->beta1, beta2 = u->options->beta2;
    const X        decay = beside ? 0 : (X)u->decay, shrink = beside ? (X)(1 - u->rate * u->decay) : 1;
    const X        keep1 = (X)beta1, add1 = (X)(1 - beta1), keep2 = (X)beta2, add2 = (X)(1 - beta2);
    const X        rate = (X)(u->rate / (1 - octet_power(beta1, m->steps)));
    const X        root = (X)sqrt(1 - octet_power(beta2, m->steps)), epsilon = (X)u->options->epsilon;
    for (size_t i = 0; i < p->count; i++) {
        const X d = decay != 0 ? g[i] + decay * w[i] : g[i];
        w[i]      = w[i] * shrink;
        mean[i]   = mean[i] * keep1 + add1 * d;
        square[i] = square[i] * keep2 + add2 * d * d;
        w[i]      = w[i] - rate * mean[i] / (SQRT(square[i]) / root + epsilon);
    }
}
