// Forms: rows that are added and removed, fields that depend on another, searchable choices, a
// preview that follows, and a question before typed changes are lost.
import { drafts } from './draft.js';
import { t } from './t.js';
import { localTimes } from './time.js';

// ---- rows: a <template> beside them; names are part[index].cell ----
function addRow(box, values = {}) {
  const template = box.querySelector('template');
  const index = Number(box.dataset.next);
  box.dataset.next = String(index + 1);
  const row = template.content.firstElementChild.cloneNode(true);
  for (const field of row.querySelectorAll('[name]')) {
    field.name = field.name.replace('[#]', `[${index}]`);
    const cell = field.name.split('].').pop();
    if (values[cell] !== undefined) field.value = values[cell];
  }
  box.querySelector('.rows').append(row);
  for (const select of row.querySelectorAll('select[data-search]')) searchable(select);
  depend(row);
  row.querySelector('input, select')?.focus();
  box.closest('form').dispatchEvent(new Event('input', { bubbles: true }));
}
document.addEventListener('click', (event) => {
  const add = event.target.closest('[data-add-row]');
  if (add) addRow(add.closest('[data-rows]'));
  const remove = event.target.closest('[data-remove-row]');
  if (remove) {
    const form = remove.closest('form');
    remove.closest('.row').remove();
    form.dispatchEvent(new Event('input', { bubbles: true }));
  }
});

// ---- data-when="name=a|b": shown only when that field has one of these values ----
function depend(root) {
  for (const part of root.querySelectorAll('[data-when]')) {
    const [name, values] = part.dataset.when.split('=');
    const scope = part.closest('.row') ?? part.closest('form');
    const field = [...scope.querySelectorAll('[name]')].find((one) => one.name === name || one.name.endsWith(`].${name}`));
    if (!field) continue;
    const value = field.type === 'checkbox' ? String(field.checked) : field.value;
    const on = values.split('|').includes(value);
    part.hidden = !on;
    // What is not shown is not sent.
    for (const inner of [part, ...part.querySelectorAll('[name]')]) if (inner.name) inner.disabled = !on;
  }
}
document.addEventListener('change', (event) => { if (event.target.form) depend(event.target.closest('.row') ?? event.target.form); });
// Before anything is derived from the fields.
drafts(document.querySelector('form[data-guard]'), addRow);
for (const form of document.querySelectorAll('form')) depend(form);

// ---- a select with many entries gets a search; data-search="job" asks the server for them ----
function searchable(select) {
  const remote = select.dataset.search;
  if (select.dataset.ready || (!remote && select.options.length <= 20)) return;
  select.dataset.ready = '1';
  const box = document.createElement('div');
  box.className = 'pick';
  const input = document.createElement('input');
  input.className = 'layui-input';
  input.setAttribute('role', 'combobox');
  input.setAttribute('aria-expanded', 'false');
  input.autocomplete = 'off';
  input.placeholder = t('Type to search');
  input.value = select.selectedOptions[0]?.textContent.trim() ?? '';
  if (select.id) { input.id = select.id; select.id = ''; }
  input.setAttribute('aria-label', select.getAttribute('aria-label') ?? '');
  const list = document.createElement('div');
  list.className = 'pick-list';
  list.hidden = true;
  select.hidden = true;
  select.before(box);
  box.append(input, list, select);
  let turn = 0;
  const close = () => {
    list.hidden = true;
    input.setAttribute('aria-expanded', 'false');
    input.value = select.selectedOptions[0]?.textContent.trim() ?? '';
  };
  const take = (value, text) => {
    if (![...select.options].some((option) => option.value === value)) select.add(new Option(text, value));
    select.value = value;
    close();
    select.dispatchEvent(new Event('change', { bubbles: true }));
    select.form?.dispatchEvent(new Event('input', { bubbles: true }));
  };
  const show = async () => {
    const mine = ++turn;
    const query = input.value === select.selectedOptions[0]?.textContent.trim() ? '' : input.value.trim().toLowerCase();
    let items;
    if (remote) {
      try {
        const answer = await fetch(`/api/v1/search?kind=${remote}&q=${encodeURIComponent(query)}`);
        items = (await answer.json()).items.map((item) => [String(item.id), item.name, item.more]);
      } catch {
        items = [];
      }
    } else {
      items = [...select.options].map((option) => [option.value, option.textContent.trim(), '']);
      items = items.filter((item) => item[1].toLowerCase().includes(query));
    }
    if (mine !== turn) return;
    list.replaceChildren(...items.slice(0, 60).map((item, at) => {
      const line = document.createElement('div');
      line.setAttribute('role', 'option');
      line.setAttribute('aria-selected', String(at === 0));
      line.textContent = item[1];
      const more = document.createElement('small');
      more.textContent = item[2];
      line.append(more);
      line.addEventListener('mousedown', (event) => { event.preventDefault(); take(item[0], item[1]); });
      line.dataset.value = item[0];
      line.dataset.text = item[1];
      return line;
    }));
    if (!items.length) list.textContent = t('Nothing found');
    list.hidden = false;
    input.setAttribute('aria-expanded', 'true');
  };
  input.addEventListener('focus', () => { input.select(); show(); });
  input.addEventListener('input', (event) => { event.stopPropagation(); show(); });
  input.addEventListener('blur', close);
  input.addEventListener('keydown', (event) => {
    const lines = [...list.querySelectorAll('[role=option]')];
    const at = lines.findIndex((line) => line.getAttribute('aria-selected') === 'true');
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      const next = lines[(at + (event.key === 'ArrowDown' ? 1 : -1) + lines.length) % lines.length];
      lines[at]?.setAttribute('aria-selected', 'false');
      next?.setAttribute('aria-selected', 'true');
      next?.scrollIntoView({ block: 'nearest' });
    } else if (event.key === 'Enter' && !list.hidden) {
      event.preventDefault();
      if (lines[at]) take(lines[at].dataset.value, lines[at].dataset.text);
    } else if (event.key === 'Escape') {
      close();
    }
  });
}
for (const select of document.querySelectorAll('select[data-search]')) searchable(select);

// ---- a preview beside the form: HTML of our own server, asked with what is typed ----
const WAIT_MS = 350;
for (const form of document.querySelectorAll('form[data-preview]')) {
  const place = document.getElementById('preview');
  let timer = 0;
  let turn = 0;
  const ask = async () => {
    const mine = ++turn;
    try {
      const body = new URLSearchParams(new FormData(form));
      const answer = await fetch(form.dataset.preview, { method: 'POST', body });
      // Led to the login: saving asks for it, and brings back what is typed.
      if (answer.redirected) { if (mine === turn) place.textContent = t('Your login has expired. Save asks for it anew; what you type is kept.'); return; }
      const html = await answer.text();
      if (mine !== turn || !answer.ok) return;
      const parsed = new DOMParser().parseFromString(html, 'text/html');
      place.replaceChildren(...parsed.body.childNodes);
      localTimes(place);
    } catch { /* the next key asks again */ }
  };
  form.addEventListener('input', () => { clearTimeout(timer); timer = setTimeout(ask, WAIT_MS); });
  form.addEventListener('change', () => { clearTimeout(timer); timer = setTimeout(ask, WAIT_MS); });
  ask();
}

// ---- leaving with changes asks; what was sent is not a change any more ----
for (const form of document.querySelectorAll('form[data-guard]')) {
  const state = () => new URLSearchParams(new FormData(form)).toString();
  const before = state();
  const dirty = () => form.dataset.dirty === '1' || state() !== before;
  let sent = false;
  form.addEventListener('submit', () => { sent = true; });
  addEventListener('beforeunload', (event) => { if (!sent && dirty()) event.preventDefault(); });
  addEventListener('pageshow', () => { sent = false; });
  document.addEventListener('keydown', (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === 's') { event.preventDefault(); form.requestSubmit(); }
  });
}
document.querySelector('.field.bad input, .field.bad select, .field.bad textarea')?.focus();
