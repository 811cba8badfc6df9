/* SPDX-License-Identifier: Apache-2.0 */
/* The cells for one type; recurrent_cells.c includes this once per type with T and NAME(x) defined. No guard: it is
   meant to be included again. Formulas are ONNX's; each result is rounded to T. */

/* ---- LSTM: gates i, o, f, c ---- */

static void NAME(lstm)(const octet_recurrent_step *s)
{
    const int64_t  n = s->run->hidden;
    T *const       i = s->gates, *const o = i + n, *const f = o + n, *const g = f + n;
    const T *const from = s->from_state, *const p = s->peephole, *const c = s->c;
    for (int64_t k = 0; k < n; k++) {
        i[k] = i[k] + from[k] + (p ? p[k] * c[k] : 0);
        f[k] = f[k] + from[2 * n + k] + (p ? p[2 * n + k] * c[k] : 0);
        g[k] = g[k] + from[3 * n + k];
        const T in = (T)gate_value(s, 0, i[k]);
        const T forget = s->run->attrs->input_forget ? 1 - in : (T)gate_value(s, 0, f[k]);
        const T cell = forget * c[k] + in * (T)gate_value(s, 1, g[k]);
        o[k] = o[k] + from[n + k] + (p ? p[n + k] * cell : 0);
        ((T *)s->c_next)[k] = cell;
        ((T *)s->h_next)[k] = (T)gate_value(s, 0, o[k]) * (T)value_of(s, 2, cell);
    }
}

static void NAME(lstm_backward)(const octet_recurrent_gradient *d)
{
    const octet_recurrent_step *const s = d->step;
    const int64_t                     n = s->run->hidden;
    const T *const i = s->gates, *const o = i + n, *const f = o + n, *const g = f + n;
    const T *const p = s->peephole, *const c = s->c, *const next = s->c_next;
    T *const       di = d->dgates, *const doo = di + n, *const df = doo + n, *const dg = df + n;
    T *const       dh = d->dh, *const dc = d->dc, *const dp = d->dpeephole;
    for (int64_t k = 0; k < n; k++) {
        const T in = (T)gate_value(s, 0, i[k]), out = (T)gate_value(s, 0, o[k]), cell = (T)gate_value(s, 1, g[k]);
        const bool coupled = s->run->attrs->input_forget != 0;
        const T    forget = coupled ? 1 - in : (T)gate_value(s, 0, f[k]);
        doo[k] = dh[k] * (T)value_of(s, 2, next[k]) * (T)gate_slope(s, 0, o[k]);
        const T dnext = dc[k] + dh[k] * out * (T)slope_of(s, 2, next[k]) + (p ? p[n + k] * doo[k] : 0);
        di[k] = dnext * (coupled ? cell - c[k] : cell) * (T)gate_slope(s, 0, i[k]);
        df[k] = coupled ? 0 : dnext * c[k] * (T)gate_slope(s, 0, f[k]);
        dg[k] = dnext * in * (T)gate_slope(s, 1, g[k]);
        dc[k] = dnext * forget + (p ? p[k] * di[k] + p[2 * n + k] * df[k] : 0);
        dh[k] = 0;
        if (!dp) continue;
        dp[k] += di[k] * c[k];
        dp[n + k] += doo[k] * next[k];
        dp[2 * n + k] += df[k] * c[k];
    }
}

/* ---- GRU: gates z, r, h. extra: R h + Rb of the last gate (linear_before_reset), else r * h, what its R is
   applied to ---- */

static void NAME(gru_finish)(const octet_recurrent_step *s, int64_t k, T candidate_fed)
{
    const int64_t  n = s->run->hidden;
    const T *const z = s->gates, *const h = s->h;
    const T        update = (T)gate_value(s, 0, z[k]);
    ((T *)s->gates)[2 * n + k] = candidate_fed;
    ((T *)s->h_next)[k] = (1 - update) * (T)gate_value(s, 1, candidate_fed) + update * h[k];
}

static void NAME(gru)(const octet_recurrent_step *s)
{
    const int64_t  n = s->run->hidden;
    T *const       z = s->gates, *const r = z + n, *const g = r + n, *const extra = s->extra;
    const T *const from = s->from_state, *const h = s->h;
    for (int64_t k = 0; k < n; k++) {
        z[k] = z[k] + from[k];
        r[k] = r[k] + from[n + k];
        const T reset = (T)gate_value(s, 0, r[k]);
        extra[k] = s->run->second_product ? reset * h[k] : from[2 * n + k];
        if (!s->run->second_product) NAME(gru_finish)(s, k, g[k] + reset * extra[k]);
    }
}

static void NAME(gru_second)(const octet_recurrent_step *s)
{
    const int64_t  n = s->run->hidden;
    const T *const g = (const T *)s->gates + 2 * n, *const from = (const T *)s->from_state + 2 * n;
    for (int64_t k = 0; k < n; k++) NAME(gru_finish)(s, k, g[k] + from[k]);
}

/* The last gate and z: what extra's gradient needs. */
static void NAME(gru_backward_second)(const octet_recurrent_gradient *d)
{
    const octet_recurrent_step *const s = d->step;
    const int64_t                     n = s->run->hidden;
    const T *const z = s->gates, *const g = z + 2 * n, *const h = s->h;
    T *const       dz = d->dgates, *const dg = dz + 2 * n, *const dh = d->dh;
    for (int64_t k = 0; k < n; k++) {
        const T update = (T)gate_value(s, 0, z[k]);
        dz[k] = dh[k] * (h[k] - (T)gate_value(s, 1, g[k])) * (T)gate_slope(s, 0, z[k]);
        dg[k] = dh[k] * (1 - update) * (T)gate_slope(s, 1, g[k]);
        dh[k] *= update;
    }
}

/* dextra: the gradient of r * h where there was a second product. */
static void NAME(gru_backward)(const octet_recurrent_gradient *d)
{
    const octet_recurrent_step *const s = d->step;
    const int64_t                     n = s->run->hidden;
    const T *const r = (const T *)s->gates + n, *const extra = s->extra, *const h = s->h, *const dextra = d->dextra;
    T *const       dz = d->dgates, *const dr = dz + n, *const dg = dr + n, *const to = d->dstate, *const dh = d->dh;
    for (int64_t k = 0; k < n; k++) {
        const T    reset = (T)gate_value(s, 0, r[k]);
        const bool second = s->run->second_product;
        const T    dreset = second ? dextra[k] * h[k] : dg[k] * extra[k];
        if (second) dh[k] += dextra[k] * reset;
        dr[k] = dreset * (T)gate_slope(s, 0, r[k]);
        to[k] = dz[k];
        to[n + k] = dr[k];
        to[2 * n + k] = second ? dg[k] : dg[k] * reset;
    }
}

/* ---- RNN ---- */

static void NAME(rnn)(const octet_recurrent_step *s)
{
    T *const       fed = s->gates;
    const T *const from = s->from_state;
    for (int64_t k = 0; k < s->run->hidden; k++) {
        fed[k] = fed[k] + from[k];
        ((T *)s->h_next)[k] = (T)gate_value(s, 0, fed[k]);
    }
}

static void NAME(rnn_backward)(const octet_recurrent_gradient *d)
{
    const octet_recurrent_step *const s = d->step;
    const T *const                    fed = s->gates;
    for (int64_t k = 0; k < s->run->hidden; k++) {
        ((T *)d->dgates)[k] = ((const T *)d->dh)[k] * (T)gate_slope(s, 0, fed[k]);
        ((T *)d->dh)[k] = 0;
    }
}
