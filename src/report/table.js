
// ---- the table of layers ----

const dbCell = key => l => l.equal.includes(key) ? 'equal' : known(l[key])
  ? el('span', { class: key === 'gain_db' ? null : grade(l[key]) }, fixed(l[key], 1)) : '\u2013';
const usCell = key => l => known(l[key]) ? l[key].toFixed(l[key] < 100 ? 1 : 0) : '\u2013';
// A narrow screen has room for two numbers.
const LEAST = data.layers.some(l => known(l.gain_db)) ? 'middling' : '';
const COLUMNS = [
  { key: 'index', head: '#', number: true, size: 'minor', cell: l => known(l.index) ? String(l.index) : '\u2013',
    about: 'place in the order of execution' },
  { key: 'name', head: 'Layer', cell: nameCell, class: 'layer-name' },
  { key: 'op', head: 'Operator', size: 'minor', cell: l => l.op },
  { key: 'local_db', head: 'Local, dB', number: true, size: LEAST, cell: dbCell('local_db'), what: 'local error' },
  { key: 'accumulated_db', head: 'Accum., dB', number: true, cell: dbCell('accumulated_db'), what: 'accumulated error' },
  { key: 'output_db', head: 'Output, dB', number: true, size: 'middling', cell: dbCell('output_db'), what: 'effect on the output' },
  { key: 'gain_db', head: 'Gain, dB', number: true, down: true, cell: dbCell('gain_db'), what: 'gain in float' },
  { key: 'weights_db', head: 'Weights, dB', number: true, size: 'minor', cell: dbCell('weights_db'), what: 'error of weights' },
  { key: 'cause', head: 'Cause', size: 'minor', class: 'cause-cell', cell: l => l.cause === 'none' ? '\u2013' : l.cause,
    value: l => l.cause === 'none' ? null : l.cause, what: 'causes' },
  { key: 'us', head: 'int8, \u00b5s', number: true, down: true, size: 'middling', cell: usCell('us'), what: 'times' },
  { key: 'float_us', head: 'float, \u00b5s', number: true, down: true, size: 'minor', cell: usCell('float_us') },
  { key: 'remedy', head: 'Option', size: data.layers.some(l => l.remedy) ? 'minor' : 'minor screen', cell: optionCell, value: option },
];
const value = (column, l) => column.value ? column.value(l) : l.equal.includes(column.key) ? Infinity : l[column.key];
const absent = v => v === null || v === undefined || v === '';
const shown = COLUMNS.filter(c => data.layers.some(l => !absent(value(c, l))));
const rows = new Map();  // layer: { row, detail }
const sorting = { column: null, up: true };

function nameCell(l) {
  const button = el('button', { type: 'button', class: 'toggle', 'aria-expanded': 'false', onclick: () => toggle(l) }, name(l.name));
  return [button, el('div', { class: 'under' }, l.op, l.cause !== 'none' ? `, ${l.cause}` : null)];
}
function optionCell(l) {
  const text = option(l);
  if (!text) return '\u2013';
  const rule = text.startsWith('--layer ') && /(=[\w.%:-]+)'$/.exec(text);
  return [rule ? null : el('code', {}, text), copyButton(text, rule ? `Copy ${rule[1]}` : null),
    known(l.remedy_db) ? el('span', { class: 'soft num' }, ` ${l.remedy_db > 0 ? "+" : ""}${fixed(l.remedy_db, 1)}\u2009dB`) : null];
}

function makeHead() {
  byId('layers').tHead.replaceChildren(el('tr', {}, shown.map(c => el('th', { scope: 'col', 'data-key': c.key,
    class: `${c.number ? 'number' : ''} ${c.size || ''}` }, el('button', { type: 'button', title: c.about || c.what || null,
    onclick: () => sortBy(c) }, c.head, el('span', { class: 'arrow', 'aria-hidden': 'true' }))))));
}
function makeRow(l) {
  const row = el('tr', { class: 'layer', 'data-name': l.name }, shown.map(c => el(c.key === 'name' ? 'th' : 'td', {
    scope: c.key === 'name' ? 'row' : null, class: `${c.number ? 'number' : ''} ${c.size || ''} ${c.class || ''}` }, c.cell(l))));
  rows.set(l, { row, detail: null, text: [l.name, l.op, l.cause === 'none' ? '' : l.cause, l.merged].join('\n').toLowerCase() });
}

// ---- sorting and filtering ----

function compare(a, b) {
  const x = value(sorting.column, a), y = value(sorting.column, b);
  if (absent(x) || absent(y)) return absent(x) - absent(y);  // last either way
  const order = x === y ? 0 : known(x) ? x - y : x < y ? -1 : 1;
  return sorting.up ? order : -order;
}
function sortBy(column) {
  sorting.up = sorting.column === column ? !sorting.up : !column.down;
  sorting.column = column;
  for (const th of byId('layers').tHead.rows[0].cells) {
    const here = th.dataset.key === column.key;
    if (here) th.setAttribute('aria-sort', sorting.up ? 'ascending' : 'descending');
    else th.removeAttribute('aria-sort');
    th.querySelector('.arrow').textContent = here ? (sorting.up ? '\u2191' : '\u2193') : '';
  }
  place();
}
function wanted(l) {
  const words = byId('filter').value.toLowerCase().split(/\s+/).filter(w => w);
  const op = byId('op').value, mode = byId('mode').value;
  return words.every(w => rows.get(l).text.includes(w)) && (!op || l.op === op) && (!mode || l.mode === mode);
}
const listed = () => {
  const list = data.layers.filter(wanted);
  return sorting.column ? list.sort(compare) : list;
};
function place() {
  const list = listed();
  byId('layers').tBodies[0].replaceChildren(...list.flatMap(l => [rows.get(l).row, rows.get(l).detail].filter(x => x)));
  byId('count').textContent = list.length === data.layers.length ? amount(list.length, 'layer')
    : `${count(list.length)} of ${amount(data.layers.length, 'layer')}`;
}

// ---- details ----

function facts(l) {
  const rowsOf = [
    ['Operator', l.op], ['Computed in', l.mode], ['Engine', l.engine ? l.engine + (l.algorithm ? `: ${l.algorithm}` : '') : null],
    ['Output', l.dims ? `[${l.dims.map(d => d < 0 ? 'N' : d).join(', ')}]` : null],
    ['Multiply-acc.', l.macs > 0 ? macs(l.macs) : null],
    ['Stands for', l.merged ? name(l.merged) : null],
    ['Local', known(l.local_db) ? decibel(l.local_db) : null], ['Accumulated', known(l.accumulated_db) ? decibel(l.accumulated_db) : null],
    ['Only this in int8', known(l.output_db) ? `${decibel(l.output_db)} at the output` : null],
    ['Only this in float', known(l.gain_db) ? `output gains ${decibel(l.gain_db)}` : null],
    ['Weights', known(l.weights_db) ? decibel(l.weights_db) : null],
    ['Cosine', known(l.cosine) ? l.cosine.toFixed(6) : null], ['Largest error', known(l.max_abs) ? short(l.max_abs) : null],
    ['Time', known(l.us) ? `${micros(l.us)}${known(l.float_us) ? `, float ${micros(l.float_us)}` : ''}` : null],
  ].filter(r => r[1] !== null && r[1] !== undefined);
  return el('dl', { class: 'facts about' }, rowsOf.map(([k, v]) => [el('dt', {}, k), el('dd', { class: 'num' }, v)]),
    el('div', { class: 'line' }, causeOf(l), remedyOf(l)));
}
function makeDetail(l) {
  const id = `detail-${data.layers.indexOf(l)}`;
  rows.get(l).row.querySelector('.toggle').setAttribute('aria-controls', id);
  return el('tr', { class: 'detail', id }, el('td', { colspan: shown.length },
    el('div', { class: 'detail-grid' }, facts(l), valuesFigure(l), weightsFigure(l))));
}
function toggle(l, open) {
  const entry = rows.get(l), now = entry.detail === null;
  if (open !== undefined && open !== now) return;
  entry.row.querySelector('.toggle').setAttribute('aria-expanded', String(now));
  if (now) entry.row.after(entry.detail = makeDetail(l));
  else {
    entry.detail.remove();
    entry.detail = null;
  }
}
function openLayer(l) {
  if (!wanted(l)) {
    byId('controls').reset();
    place();
  }
  toggle(l, true);
  rows.get(l).row.scrollIntoView({ block: 'start' });
  rows.get(l).row.querySelector('.toggle').focus({ preventScroll: true });
}
function toggleAll() {
  const list = listed(), open = list.some(l => !rows.get(l).detail);
  list.forEach(l => toggle(l, open));
  byId('open-all').textContent = open ? 'Close all' : 'Open all';
}
function showTable() {
  const missing = COLUMNS.filter(c => c.what && !shown.includes(c)).map(c => c.what);
  byId('not-measured').textContent = missing.length ? `Not measured for this page: ${missing.join(', ')}.` : '';
  makeHead();
  data.layers.forEach(makeRow);
  byId('op').append(...[...new Set(data.layers.map(l => l.op))].sort().map(op => el('option', { value: op }, op)));
  for (const id of ['filter', 'op', 'mode']) byId(id).addEventListener('input', place);
  byId('controls').addEventListener('submit', event => event.preventDefault());
  byId('open-all').addEventListener('click', toggleAll);
  place();
}
