
// ---- summary ----

function card(term, big, ...small) {
  return el('div', {}, el('dt', {}, term), el('dd', { class: 'big' }, big),
    small.map(line => el('dd', { class: 'small' }, line)));
}
const byDepth = data.layers.filter(l => known(l.index)).sort((a, b) => a.index - b.index);
const OUTPUT = data.output;
const network = { int8: data.quantized_network, float: data.float_network };

function errorCard() {
  const db = OUTPUT.sqnr_db;
  if (!known(db)) return card('Output SQNR', OUTPUT.max_abs === 0 ? 'equal' : '\u2013', 'int8 gives what float gives');
  return card('Output SQNR', decibel(db), `the error is ${percent(10 ** (-db / 20))} of the signal`);
}
function sizeCard() {
  const [a, b] = [network.int8.file_bytes, network.float.file_bytes];
  if (!known(a)) return null;
  return card('File, int8', bytes(a), known(b) ? `float ${bytes(b)}: ${(b / a).toFixed(2)} times as large` : null);
}
function nodesCard() {
  const { int8_nodes: a, float_nodes: b, macs: all } = network.int8;
  return card('Nodes in int8', `${a} of ${a + b}`, b ? `${b} left in float` : 'none left in float',
    all ? `${macs(all)} multiply-accumulates` : null);
}
function timeCard() {
  const t = data.time;
  if (!t) return card('Time', '\u2013', 'not measured');
  // As octet bench warns: a quiet machine's runs differ by less.
  const busy = t.mad_us > 0.05 * t.us || (known(t.float_mad_us) && t.float_mad_us > 0.05 * t.float_us);
  return card('Time, int8', micros(t.us), known(t.float_us)
    ? `float ${micros(t.float_us)}: ${(t.float_us / t.us).toFixed(2)} times as long` : null,
    `fastest of ${amount(t.runs, 'run')}, ${amount(t.threads, 'thread')}, batch ${t.batch}, ${t.engine}`,
    busy ? 'the machine was busy: times differ from run to run' : null);
}
function showSummary() {
  const title = data.title || base(data.quantized);
  document.title = `${plain(title)} \u2013 octet report`;
  byId('title').replaceChildren(el('bdi', {}, visible(title)));
  byId('about').replaceChildren(name(data.quantized), ' beside ', name(data.float), `, on ${amount(data.samples, 'sample')}`,
    ...(data.data ? [' of ', name(data.data)] : []));
  byId('summary').append(...[errorCard(),
    card('Output cosine', known(OUTPUT.cosine) ? OUTPUT.cosine.toFixed(5) : '\u2013',
      known(OUTPUT.max_abs) ? `largest difference ${short(OUTPUT.max_abs)}` : null),
    sizeCard(), nodesCard(), timeCard()].filter(x => x));
  byId('foot').textContent = `Made by octet ${data.octet}` + (data.time && data.time.cpu ? ` on a processor with ${data.time.cpu}` : '') +
    '. The data of this page is JSON in its element with id "data".';
}

// ---- where the error comes from ----

function showWorst() {
  const gains = data.layers.some(l => known(l.gain_db));
  const key = gains ? 'gain_db' : 'local_db';
  const worst = data.layers.filter(l => known(l[key]) && (!gains || l.gain_db > 0))
    .sort((a, b) => gains ? b.gain_db - a.gain_db : a.local_db - b.local_db).slice(0, 5);
  byId('worst-note').textContent = gains
    ? 'Layers by what the output would gain if this one alone stayed in float.'
    : 'Layers by the error that each makes itself, given exact inputs (local SQNR, lowest first).';
  byId('worst').append(...worst.map(l => el('li', {},
    el('div', {}, el('button', { type: 'button', class: 'link', onclick: () => openLayer(l) }, name(l.name)),
      el('span', { class: 'op' }, l.op)),
    el('div', { class: 'num' }, gains ? `+${decibel(l.gain_db)} at the output` : `local ${decibel(l.local_db)}`,
      known(l.accumulated_db) ? el('span', { class: 'soft' }, `, accumulated ${decibel(l.accumulated_db)}`) : null),
    el('div', {}, causeOf(l), remedyOf(l)))));
  if (!worst.length) byId('worst-note').textContent = 'No layer has an error of its own.';
}
function causeOf(l) {
  const cause = l.cause && l.cause !== 'none' ? l.cause : null;
  if (!cause && !l.why) return null;
  return el('div', {}, cause ? el('strong', {}, cause) : null, cause && l.why ? ': ' : null, l.why ? visible(l.why) : null);
}
function remedyOf(l) {
  const text = option(l);
  if (!text) return null;
  return el('div', {}, l.remedy ? null : el('span', { class: 'soft' }, 'keep in float: '), el('code', {}, text),
    known(l.remedy_db) ? ` gains ${decibel(l.remedy_db)}` : null, copyButton(text));
}
