
// ---- distributions ----

const PLOT = { left: 8, right: 8, top: 18, height: 96, bottom: 18 };

// The pieces of [from, to] inside and outside of a range.
function cut(from, to, lo, hi) {
  const pieces = [];
  const add = (a, b, kind) => { if (b > a) pieces.push([a, b, kind]); };
  if (!known(lo)) add(from, to, 'inside');
  else {
    add(from, Math.min(to, lo), 'outside');
    add(Math.max(from, lo), Math.min(to, hi), 'inside');
    add(Math.max(from, hi), to, 'outside');
  }
  return pieces;
}
function rangeLine(x, v, side, width) {
  const end = side === 'end', room = 40;
  const anchor = end ? (x > width - room ? 'end' : 'middle') : (x < room ? 'start' : 'middle');
  return [svg('line', { class: 'range', x1: x, x2: x, y1: PLOT.top, y2: PLOT.top + PLOT.height }),
    svg('text', { class: 'range-label', x, y: PLOT.top - 6, 'text-anchor': anchor }, short(v))];
}
function histogram(d, width, label) {
  const { lo, hi, counts } = d.bins, inner = width - PLOT.left - PLOT.right, foot = PLOT.top + PLOT.height;
  const x = v => PLOT.left + (v - lo) / (hi - lo) * inner;
  const most = Math.log10(1 + Math.max(...counts, 1));
  const node = svg('svg', { viewBox: `0 0 ${width} ${foot + PLOT.bottom}`, width, height: foot + PLOT.bottom, role: 'img',
    class: 'histogram', 'aria-label': label });
  if (known(d.lo))
    for (const [a, b] of [[lo, d.lo], [d.hi, hi]])
      if (b > a) node.append(svg('rect', { class: 'beyond', x: x(a), y: PLOT.top, width: x(b) - x(a), height: PLOT.height }));
  counts.forEach((n, i) => {
    const high = Math.log10(1 + n) / most * (PLOT.height - 4), step = (hi - lo) / counts.length;
    if (n) for (const [a, b, kind] of cut(lo + i * step, lo + (i + 1) * step, d.lo, d.hi))
      node.append(svg('rect', { class: kind, x: x(a), y: foot - high, width: Math.max(x(b) - x(a) - 0.4, 0.2), height: high }));
  });
  node.append(svg('rect', { class: 'plot', x: PLOT.left, y: PLOT.top, width: inner, height: PLOT.height }));
  for (const v of ticks(lo, hi, Math.min(8, inner / 60)))
    node.append(svg('line', { class: 'axis', x1: x(v), x2: x(v), y1: foot, y2: foot + 4 }),
      svg('text', { x: x(v), y: foot + 15, 'text-anchor': x(v) < 20 ? 'start' : x(v) > width - 20 ? 'end' : 'middle' }, short(v)));
  if (known(d.lo)) node.append(...rangeLine(x(d.lo), d.lo, 'start', width), ...rangeLine(x(d.hi), d.hi, 'end', width));
  return node;
}

// One bar for each channel, or for neighbours where there are many: from its lowest to its highest number.
function channelStrip(d, width, label) {
  const c = d.channels, n = c.columns.length / 2, height = 70, inner = width - PLOT.left - PLOT.right;
  const all = c.columns.concat(0), low = Math.min(...all), high = Math.max(...all);
  const y = v => 4 + (high - v) / (high - low || 1) * (height - 8);
  const odd = new Set(c.outliers.map(o => Math.floor((o[0] + 1) * n / c.count - 1e-9)));
  const node = svg('svg', { viewBox: `0 0 ${width} ${height + 14}`, width, height: height + 14, role: 'img', class: 'strip',
    'aria-label': label });
  for (let i = 0; i < n; i++) {
    const [a, b] = [c.columns[2 * i], c.columns[2 * i + 1]];
    node.append(svg('rect', { class: odd.has(i) ? 'outside' : 'span', x: PLOT.left + i * inner / n, y: y(b),
      width: Math.max(inner / n - 1, 0.5), height: Math.max(y(a) - y(b), 0.5) }));
  }
  node.append(svg('line', { class: 'axis', x1: PLOT.left, x2: width - PLOT.right, y1: y(0), y2: y(0) }));
  if (!('levels' in d) && known(d.lo))
    for (const v of [d.lo, d.hi])
      if (v > low && v < high) node.append(svg('line', { class: 'range', x1: PLOT.left, x2: width - PLOT.right, y1: y(v), y2: y(v) }));
  node.append(svg('text', { x: PLOT.left, y: height + 11 }, 'channel 0'),
    svg('text', { x: width - PLOT.right, y: height + 11, 'text-anchor': 'end' }, String(c.count - 1)));
  return node;
}
function channelText(c, limit) {
  const some = (list, all) => list.join(', ') + (all > list.length ? ', \u2026' : '');
  const dead = c.dead_count ? `${count(c.dead_count)} dead (${some(c.dead, c.dead_count)})` : 'none dead';
  const out = c.outlier_count ? `${amount(c.outlier_count, 'outlier')}: ` + some(c.outliers.map(([i, times]) =>
    `${i} reaches ${short(times)} times as far as the middle channel`), c.outlier_count)
    : `no outlier (none reaches ${limit} times as far as the middle channel)`;
  return `${amount(c.count, 'channel')}: ${dead}, ${out}.`;
}
function saturation(d) {
  if (!known(d.lo)) return null;
  const share = x => percent(x / d.count);
  if (!d.below && !d.above) {
    const used = (Math.min(d.max, d.hi) - Math.max(d.min, d.lo)) / (d.hi - d.lo);
    return `Nothing saturates; ${percent(Math.max(0, used))} of the range is used.`;
  }
  return `${share(d.below + d.above)} saturates (${share(d.below)} below, ${share(d.above)} above the range).`;
}
function farOut(d) {
  const n = d.bins.below + d.bins.above;
  return n ? ` ${percent(n / d.count)} lies further out than drawn.` : '';
}
function distribution(title, d, text) {
  const seen = known(d.min) ? `${short(d.min)} to ${short(d.max)}` : 'nothing';
  const range = known(d.lo) ? `, range ${short(d.lo)} to ${short(d.hi)}` : ', no range';
  const label = `${title}: seen ${seen}${range}`;
  return el('figure', {}, el('h3', {}, title), el('p', { class: 'soft' }, text),
    responsive(width => histogram(d, width, label)),
    el('p', {}, `Seen ${seen}. `, saturation(d), farOut(d), d.not_finite ? ` ${count(d.not_finite)} are not finite.` : null),
    d.channels ? [responsive(width => channelStrip(d, width, `Range of each channel; ${channelText(d.channels, data.outlier)}`)),
      el('p', { class: 'soft' }, channelText(d.channels, data.outlier))] : null);
}
function valuesFigure(l) {
  const d = l.values;
  if (!d) return null;
  const how = known(d.lo) ? `Range ${short(d.lo)} to ${short(d.hi)}: ${d.type}, step ${short(d.scale)}, zero point ${d.zero_point}` +
    (d.method && d.method !== 'given' ? `, by ${d.method}.` : '.')
    : d.scaled ? 'The int8 network computes these with other factors per channel (equalized, or trained since): its range does ' +
      'not apply to the float network\u2019s numbers.'
    : l.summed_in ? ['No levels of its own: summed in the accumulator of ', name(l.summed_in), '.'] : 'Stays real: no range.';
  return distribution('Values', d, how);
}
function weightsFigure(l) {
  const d = l.weights;
  if (!d) return null;
  const scales = d.scales === 1 ? 'one scale for all' : `a scale for each of ${count(d.scales)} channels`;
  const how = d.levels ? `In levels of ${d.bits} bits, ${scales}.` : 'Real numbers: no range.';
  return distribution('Weights', d, how + (d.own && d.levels
    ? ' These are the int8 network\u2019s own: the float network\u2019s are not comparable (rescaled, or trained since).' : ''));
}
