
'use strict';
// Everything on the page is made from the JSON document in it. Texts of files reach the page as text nodes only.
const data = JSON.parse(document.getElementById('data').textContent);
const SVG = 'http://www.w3.org/2000/svg';
const byId = id => document.getElementById(id);

// ---- making elements ----

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value);
  }
  for (const child of children.flat(3)) if (child !== null && child !== undefined) element.append(child);
  return element;
}
const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

// Characters that show nothing, or move others about, appear as their number.
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ufff0-\ufffd\ud800-\udfff]/u;
const code = c => 'U+' + c.codePointAt(0).toString(16).toUpperCase().padStart(4, '0');
const hidden = c => HIDDEN.test(c);
function visible(text) {
  const parts = [];
  for (const c of text)
    if (hidden(c)) parts.push(el('span', { class: 'hidden-character' }, code(c)));
    else if (typeof parts[parts.length - 1] === 'string') parts[parts.length - 1] += c;
    else parts.push(c);
  return parts;
}
const plain = text => Array.from(text, c => hidden(c) ? code(c) : c).join('');
const name = text => el('bdi', { class: 'name' }, visible(text));

// ---- numbers ----

const known = x => typeof x === 'number';
const minus = text => text.replace(/-/g, '\u2212');
const fixed = (x, digits) => minus(x.toFixed(digits));
const short = x => minus(Math.abs(x) >= 1e5 || (x !== 0 && Math.abs(x) < 1e-3) ? x.toExponential(2) : String(+x.toPrecision(4)));
const count = x => String(x).replace(/\B(?=(\d{3})+$)/g, '\u2009');
const percent = x => x === 0 ? '0\u2009%' : x < 0.00005 ? '<\u20090.01\u2009%' : `${+(100 * x).toPrecision(3)}\u2009%`;
const bytes = x => x >= 1e6 ? `${(x / 1e6).toFixed(2)} MB` : `${(x / 1e3).toFixed(1)} kB`;
const micros = x => x >= 1e4 ? `${(x / 1e3).toFixed(1)} ms` : x >= 1e3 ? `${(x / 1e3).toFixed(2)} ms`
  : `${+x.toPrecision(3)} \u00b5s`;
const decibel = x => `${fixed(x, 1)}\u2009dB`;
const grade = x => x < 10 ? 'bad' : x < 20 ? 'weak' : '';
const base = path => path.split(/[/\\]/).pop() || path;
const macs = x => x >= 1e5 ? `${short(x / 1e6)} M` : count(x);
const amount = (n, noun) => `${count(n)} ${noun}${n === 1 ? '' : 's'}`;

// ---- what to type ----

// For a shell. Characters that cannot be typed become *, which a layer pattern takes for any.
const quoted = text => `'${text.replace(/'/g, "'\\''")}'`;
const typable = text => Array.from(text, c => hidden(c) ? '*' : c).join('').replace(/\*+/g, '*');
const layerOption = (layer, rule) => `--layer ${quoted(`${typable(layer.name)}=${rule}`)}`;
const floatOption = layer => layerOption(layer, 'float');
// A remedy that names its layer as it is, is quoted once more: the name may hold quotes.
function remedyOption(layer) {
  const rule = /^--layer '([^]*)=([\w.%:-]+)'$/.exec(layer.remedy);
  return rule && rule[1] === layer.name ? layerOption(layer, rule[2]) : typable(layer.remedy);
}
const option = layer => layer.remedy ? remedyOption(layer)
  : layer.mode === 'int8' && layer.may_float ? floatOption(layer) : null;

let hide = 0;
function announce(text) {
  byId('copied').textContent = text;
  clearTimeout(hide);
  hide = setTimeout(() => { byId('copied').textContent = ''; }, 2500);
}
function copyBySelection(text) {
  const area = el('textarea', { readonly: '', 'aria-hidden': 'true' });
  area.value = text;
  document.body.append(area);
  area.select();
  let done = false;
  try { done = document.execCommand('copy'); } catch (e) { done = false; }
  area.remove();
  return done;
}
async function copy(text) {
  let done = false;
  try {
    await navigator.clipboard.writeText(text);
    done = true;
  } catch (e) { done = copyBySelection(text); }
  announce(done ? `Copied: ${text}` : `Cannot copy here; type: ${text}`);
}
const copyButton = (text, label) => el('button', { type: 'button', class: 'copy', 'data-copy': text, title: text,
  'aria-label': `Copy ${text}`, onclick: () => copy(text) }, label || 'Copy');
