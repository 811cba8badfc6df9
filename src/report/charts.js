
// ---- charts along the network ----

const X = { left: 44, right: 8 };
const across = (i, width) => X.left + (i + 0.5) * (width - X.left - X.right) / Math.max(1, byDepth.length);

function ticks(low, high, most) {
  const rough = (high - low) / most || 1, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(m => m * power).find(s => s >= rough);
  const list = [];
  for (let v = Math.ceil(low / step) * step; v <= high * (1 + 1e-9); v += step) list.push(v);
  return list;
}
function frame(width, height, scale, label) {
  const y = v => height - 8 - (v - scale.low) / (scale.high - scale.low) * (height - 16);
  const lines = ticks(scale.low, scale.high, 5).map(v => [
    svg('line', { class: v === 0 ? 'axis' : 'grid', x1: X.left, x2: width - X.right, y1: y(v), y2: y(v) }),
    svg('text', { x: X.left - 6, y: y(v) + 4, 'text-anchor': 'end' }, short(v))]);
  return { y, node: svg('svg', { viewBox: `0 0 ${width} ${height}`, width, height, role: 'img', 'aria-label': label }, lines) };
}
function errorChart(width) {
  const all = byDepth.flatMap(l => [l.accumulated_db, l.local_db]).filter(known);
  if (!all.length) return null;
  const f = frame(width, 240, { low: Math.min(0, ...all), high: Math.max(10, ...all) * 1.04 },
    `Accumulated and local SQNR in dB of ${byDepth.length} layers in order of execution; the table has the numbers`);
  const dot = Math.min(2.5, Math.max(1.2, 0.35 * (across(1, width) - across(0, width))));
  const points = byDepth.map((l, i) => [i, l.accumulated_db]).filter(p => known(p[1]));
  f.node.append(svg('polyline', { class: 'accumulated', points: points.map(([i, v]) => `${across(i, width)},${f.y(v)}`).join(' ') }));
  byDepth.forEach((l, i) => {
    if (known(l.local_db)) f.node.append(svg('circle', { class: 'local', cx: across(i, width), cy: f.y(l.local_db), r: dot * 1.2 }));
  });
  for (const [i, v] of points) f.node.append(svg('circle', { class: 'accumulated-point', cx: across(i, width), cy: f.y(v), r: dot }));
  return figure('Error, SQNR in dB (higher is better)', f.node,
    [['circle', { class: 'accumulated-point', cx: 5, cy: 5, r: 3 }, 'accumulated: as it stands in the int8 network'],
      ['circle', { class: 'local', cx: 5, cy: 5, r: 3 }, 'local: made by this layer alone, from exact inputs']]);
}
function gainChart(width) {
  const all = byDepth.map(l => l.gain_db).filter(known);
  if (!all.length) return null;
  const f = frame(width, 110, { low: Math.min(0, ...all), high: Math.max(0.1, ...all) * 1.08 },
    'Gain of the output in dB if one layer stays in float, layer by layer');
  const wide = Math.max(1, 0.6 * (across(1, width) - across(0, width)));
  byDepth.forEach((l, i) => known(l.gain_db) && f.node.append(svg('rect', { class: 'gain', x: across(i, width) - wide / 2,
    width: wide, y: Math.min(f.y(0), f.y(l.gain_db)), height: Math.abs(f.y(l.gain_db) - f.y(0)) })));
  return figure('Gain of the output if this layer alone stays in float, dB', f.node, []);
}
function timeChart(width) {
  const all = byDepth.flatMap(l => [l.us, l.float_us]).filter(known);
  if (!all.length) return null;
  const f = frame(width, 150, { low: 0, high: Math.max(...all) * 1.05 }, 'Time of each layer in microseconds, int8 beside float');
  const wide = Math.max(1.5, 0.66 * (across(1, width) - across(0, width)));
  const bar = (kind, i, v, w) => svg('rect', { class: kind, x: across(i, width) - w / 2, width: w, y: f.y(v), height: f.y(0) - f.y(v) });
  byDepth.forEach((l, i) => {
    if (known(l.us)) f.node.append(bar('bar-int8', i, l.us, wide));
    if (known(l.float_us)) f.node.append(bar('bar-float', i, l.float_us, wide + 2));
  });
  return figure('Time, \u00b5s', f.node, [['rect', { class: 'bar-int8', x: 0, y: 0, width: 10, height: 10 }, 'int8'],
    ['rect', { class: 'bar-float', x: 0.5, y: 0.5, width: 9, height: 9 }, 'float']]);
}
function figure(title, drawing, legend) {
  return el('figure', { class: 'panel' }, el('figcaption', {}, title), drawing, legend.length
    ? el('div', { class: 'legend' }, legend.map(([tag, attributes, text]) => el('span', {},
      svg('svg', { width: 10, height: 10, 'aria-hidden': 'true' }, svg(tag, attributes)), text))) : null);
}
function describe(l) {
  const part = (label, v, show) => known(v) ? `, ${label} ${show(v)}` : '';
  return [name(l.name), ` ${l.op}` + part('accumulated', l.accumulated_db, decibel) + part('local', l.local_db, decibel) +
    part('gain', l.gain_db, decibel) + part('int8', l.us, micros) + part('float', l.float_us, micros)];
}

// draw(width) in a box that is drawn again when its width changes.
function responsive(draw) {
  const box = el('div', { class: 'drawn' });
  let drawn = 0;
  new ResizeObserver(entries => requestAnimationFrame(() => {
    const width = Math.floor(entries[0].contentRect.width);
    if (width < 50 || width === drawn) return;
    drawn = width;
    box.replaceChildren(draw(width));
  })).observe(box);
  return box;
}
function followPointer(charts, width) {
  const at = (chart, event) => {
    const place = chart.getBoundingClientRect(), x = (event.clientX - place.left) / place.width * width;
    const i = Math.floor((x - X.left) / (width - X.left - X.right) * byDepth.length);
    return Math.min(Math.max(i, 0), byDepth.length - 1);
  };
  for (const chart of charts) {
    chart.addEventListener('pointermove', event => {
      const i = at(chart, event);
      charts.forEach(other => {
        other.querySelectorAll('.cursor').forEach(line => line.remove());
        other.append(svg('line', { class: 'cursor', x1: across(i, width), x2: across(i, width), y1: 0, y2: '100%' }));
      });
      byId('drift-at').replaceChildren(...describe(byDepth[i]));
    });
    chart.addEventListener('click', event => openLayer(byDepth[at(chart, event)]));
  }
}
function showDrift() {
  byId('drift-note').textContent = `From the input to the output, ${amount(byDepth.length, 'layer')} in order of execution. ` +
    'Select a place to open its layer.';
  byId('drift').append(responsive(width => {
    const figures = [errorChart, gainChart, timeChart].map(chart => chart(width)).filter(x => x);
    followPointer(figures.map(f => f.querySelector(':scope > svg')), width);
    return el('div', {}, figures);
  }));
}
