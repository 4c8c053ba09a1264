// The visual side of a cron text: minute, hour, day, month, weekday, each every | step | range |
// list, kept in step with the text both ways. What it cannot show (L, W, #, names of two kinds) it
// leaves to the text.
import { t } from './t.js';

const text = document.getElementById('f-cron');
const box = document.getElementById('cron-editor');
const DAYS = [t('Sun'), t('Mon'), t('Tue'), t('Wed'), t('Thu'), t('Fri'), t('Sat')];
const NAMES = { JAN: 1, FEB: 2, MAR: 3, APR: 4, MAY: 5, JUN: 6, JUL: 7, AUG: 8, SEP: 9, OCT: 10, NOV: 11, DEC: 12, SUN: 0, MON: 1, TUE: 2, WED: 3, THU: 4, FRI: 5, SAT: 6 };
const PARTS = [
  { title: t('minute'), from: 0, to: 59 }, { title: t('hour'), from: 0, to: 23 }, { title: t('day'), from: 1, to: 31 },
  { title: t('month'), from: 1, to: 12 }, { title: t('weekday'), from: 0, to: 6, names: DAYS },
];

function number(word) { return /^\d+$/.test(word) ? Number(word) : NAMES[word.toUpperCase()]; }
function read(field, part) {
  if (field === '*' || field === '?') return { kind: 'every' };
  let found = /^(\*|\w+)\/(\d+)$/.exec(field);
  if (found) { const from = found[1] === '*' ? part.from : number(found[1]); return from === undefined ? null : { kind: 'step', from, step: Number(found[2]) }; }
  found = /^(\w+)-(\w+)$/.exec(field);
  if (found) { const [from, to] = [number(found[1]), number(found[2])]; return from === undefined || to === undefined ? null : { kind: 'range', from, to }; }
  const list = field.split(',').map(number);
  if (list.some((one) => one === undefined)) return null;
  return { kind: 'list', list: list.map((one) => (part.names && one === 7 ? 0 : one)) };
}
function write(row, part) {
  const kind = row.querySelector('select').value;
  const value = (name) => Number(row.querySelector(`[data-cell=${name}]`)?.value || part.from);
  if (kind === 'every') return '*';
  if (kind === 'step') { const from = value('from'); return `${from === part.from ? '*' : from}/${value('step') || 1}`; }
  if (kind === 'range') return `${value('from')}-${value('to')}`;
  const list = [...row.querySelectorAll('.set :checked')].map((one) => one.value);
  return list.join(',') || String(part.from);
}

let own = false;
function changed() {
  const fields = [...box.children].map((row, at) => write(row, PARTS[at]));
  const seconds = text.value.trim().split(/\s+/);
  own = true;
  text.value = (seconds.length === 6 ? [seconds[0], ...fields] : fields).join(' ');
  text.dispatchEvent(new Event('input', { bubbles: true }));
  own = false;
}
function cell(name, part, value) {
  const input = document.createElement('input');
  input.type = 'number';
  input.className = 'layui-input';
  input.dataset.cell = name;
  input.min = name === 'step' ? 1 : part.from;
  input.max = part.to;
  input.value = value;
  input.setAttribute('aria-label', `${part.title} ${name}`);
  input.addEventListener('input', (event) => { event.stopPropagation(); changed(); });
  return input;
}
function fill(row, part, state) {
  const place = row.querySelector('.cells');
  row.querySelector('.set').replaceChildren();
  place.replaceChildren();
  if (state.kind === 'step') place.append(t('from'), cell('from', part, state.from ?? part.from), t('every'), cell('step', part, state.step ?? 5));
  if (state.kind === 'range') place.append(t('from'), cell('from', part, state.from ?? part.from), t('to'), cell('to', part, state.to ?? part.to));
  if (state.kind === 'list') {
    for (let at = part.from; at <= part.to; at += 1) {
      const label = document.createElement('label');
      const check = document.createElement('input');
      check.type = 'checkbox';
      check.value = String(at);
      check.checked = (state.list ?? [part.from]).includes(at);
      check.addEventListener('change', (event) => { event.stopPropagation(); changed(); });
      label.append(check, part.names ? part.names[at] : String(at));
      row.querySelector('.set').append(label);
    }
  }
}
function row(part, state) {
  const line = document.createElement('div');
  const head = document.createElement('div');
  head.className = 'inline';
  const title = document.createElement('b');
  title.textContent = part.title;
  const select = document.createElement('select');
  select.className = 'layui-input';
  select.setAttribute('aria-label', part.title);
  for (const [kind, words] of [['every', t('every one')], ['step', t('in steps')], ['range', t('a range')], ['list', t('chosen ones')]]) select.add(new Option(words, kind));
  select.value = state.kind;
  const cells = document.createElement('span');
  cells.className = 'inline cells';
  const set = document.createElement('div');
  set.className = 'set';
  head.append(title, select, cells);
  line.append(head, set);
  fill(line, part, state);
  select.addEventListener('change', (event) => { event.stopPropagation(); fill(line, part, { kind: select.value }); changed(); });
  return line;
}
function show() {
  if (own) return;
  const fields = text.value.trim().split(/\s+/);
  const five = fields.length === 6 ? fields.slice(1) : fields;
  const states = five.length === 5 ? five.map((field, at) => read(field, PARTS[at])) : [null];
  box.hidden = states.includes(null);
  if (!box.hidden) box.replaceChildren(...states.map((state, at) => row(PARTS[at], state)));
}
text.addEventListener('input', show);
show();
