// Lists: keys on rows, selection and the bulk bar, columns and density of the viewer's choice.
import { t } from './t.js';

const root = document.documentElement;
const read = (key) => { try { return JSON.parse(localStorage.getItem(key)); } catch { return null; } };
const write = (key, value) => { try { localStorage.setItem(key, JSON.stringify(value)); } catch { /* private mode */ } };

// ---- density ----
if (read('dense')) root.classList.add('dense');

// ---- columns: each th with data-col may be hidden ----
function columns(table) {
  const menu = document.querySelector('.columns-menu .menu-list');
  if (!menu) return;
  const key = `columns ${location.pathname}`;
  const hidden = new Set(read(key) ?? []);
  const heads = [...table.tHead.rows[0].cells];
  const apply = () => {
    heads.forEach((head, at) => {
      if (!head.dataset.col) return;
      const off = hidden.has(head.dataset.col);
      head.hidden = off;
      for (const row of table.tBodies[0].rows) if (row.cells[at]) row.cells[at].hidden = off;
    });
  };
  for (const head of heads.filter((one) => one.dataset.col)) {
    const label = document.createElement('label');
    const check = document.createElement('input');
    check.type = 'checkbox';
    check.checked = !hidden.has(head.dataset.col);
    check.addEventListener('change', () => {
      if (check.checked) hidden.delete(head.dataset.col); else hidden.add(head.dataset.col);
      write(key, [...hidden]);
      apply();
    });
    label.append(check, head.textContent.trim().replace(/[↑↓]$/, ''));
    menu.append(label);
  }
  menu.append(document.createElement('hr'));
  const label = document.createElement('label');
  const dense = document.createElement('input');
  dense.type = 'checkbox';
  dense.checked = root.classList.contains('dense');
  dense.addEventListener('change', () => {
    root.classList.toggle('dense', dense.checked);
    write('dense', dense.checked);
  });
  label.append(dense, t('Compact rows'));
  menu.append(label);
  apply();
}

// ---- rows ----
function rows(table) {
  const all = () => [...table.tBodies[0].rows];
  let here = -1;
  const go = (to) => {
    const list = all();
    if (!list.length) return;
    list[here]?.classList.remove('here');
    here = Math.max(0, Math.min(list.length - 1, to));
    list[here].classList.add('here');
    list[here].scrollIntoView({ block: 'nearest' });
  };
  document.addEventListener('keydown', (event) => {
    if (event.target.closest('input:not([type=checkbox]), textarea, select, dialog[open], [contenteditable], canvas')) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const row = all()[here];
    if (event.key === 'j') go(here + 1);
    else if (event.key === 'k') go(here - 1);
    else if (event.key === 'Enter' && row && !event.target.closest('a, button')) row.querySelector('a.main')?.click();
    else if (event.key === 'x' && row) row.querySelector('input[name=id]')?.click();
    else return;
    event.preventDefault();
  });
  // A row is a link, except where it holds something of its own.
  table.tBodies[0].addEventListener('click', (event) => {
    if (event.target.closest('a, button, input, label, select, summary') || getSelection()?.toString()) return;
    event.target.closest('tr')?.querySelector('a.main')?.click();
  });
}

// ---- selection and the bulk bar ----
function selection(table) {
  const bar = document.querySelector('.bulk');
  const whole = table.querySelector('input[data-all]');
  const boxes = () => [...table.querySelectorAll('input[name=id]')];
  const show = () => {
    const count = boxes().filter((one) => one.checked).length;
    if (bar) {
      bar.hidden = count === 0;
      bar.querySelector('b').textContent = t('{n} selected', { n: count });
    }
    if (whole) {
      whole.checked = count > 0 && count === boxes().length;
      whole.indeterminate = count > 0 && !whole.checked;
    }
  };
  let last = null;
  table.addEventListener('click', (event) => {
    const box = event.target.closest('input[name=id]');
    if (box && event.shiftKey && last) {
      const all = boxes();
      const [from, to] = [all.indexOf(last), all.indexOf(box)].sort((a, b) => a - b);
      for (const one of all.slice(from, to + 1)) one.checked = box.checked;
    }
    if (box) last = box;
  });
  table.addEventListener('change', (event) => {
    if (event.target === whole) for (const one of boxes()) one.checked = whole.checked;
    show();
  });
  show();
}

for (const table of document.querySelectorAll('table[data-list]')) {
  columns(table);
  rows(table);
  selection(table);
}

// A choice in the filter row, or of the page's size, is applied at once.
for (const select of document.querySelectorAll('.filters select, .pager select')) {
  select.addEventListener('change', () => select.form.requestSubmit());
}
// An empty filter does not belong into the address.
for (const form of document.querySelectorAll('form.filters, form[data-get]')) {
  form.addEventListener('submit', () => {
    for (const field of form.elements) if (field.name && !field.value) field.disabled = true;
  });
}
addEventListener('pageshow', () => {
  for (const field of document.querySelectorAll('form.filters [disabled]')) field.disabled = false;
});

/** Where a form takes the reason from. */
function given(form) {
  const field = form.querySelector('input[type=hidden][name=reason]') ?? document.createElement('input');
  Object.assign(field, { type: 'hidden', name: 'reason' });
  form.append(field);
  return field;
}

// ---- what is dangerous says what it will do, and asks once; and why, where that is kept ----
document.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-confirm]');
  if (!button || button.dataset.sure) return;
  event.preventDefault();
  const count = document.querySelectorAll('table[data-list] input[name=id]:checked').length;
  const dialog = document.createElement('dialog');
  const title = document.createElement('h2');
  title.textContent = button.dataset.title || button.textContent.trim();
  const text = document.createElement('p');
  text.textContent = button.dataset.confirm.replaceAll('{n}', String(count));
  const reason = button.dataset.reason === undefined ? null : document.createElement('textarea');
  const label = document.createElement('label');
  if (reason) {
    Object.assign(reason, { className: 'layui-textarea', rows: 2, maxLength: 500, placeholder: t('why: it is kept with what is done') });
    label.className = 'plan-reason';
    label.append(t('Reason'), reason);
  }
  const buttons = document.createElement('div');
  buttons.className = 'buttons';
  const no = document.createElement('button');
  no.className = 'layui-btn layui-btn-primary';
  no.textContent = t('Cancel');
  no.type = 'button';
  const yes = document.createElement('button');
  yes.className = `layui-btn ${button.classList.contains('danger') ? 'danger' : ''}`;
  yes.textContent = button.dataset.yes || button.textContent.trim() || t('Yes');
  yes.type = 'button';
  buttons.append(no, yes);
  dialog.append(title, text, ...(reason ? [label] : []), buttons);
  document.body.append(dialog);
  dialog.addEventListener('close', () => dialog.remove());
  no.addEventListener('click', () => dialog.close());
  yes.addEventListener('click', () => {
    dialog.close();
    if (reason) given(button.form).value = reason.value;
    button.dataset.sure = '1';
    button.click();
    delete button.dataset.sure;
  });
  dialog.showModal();
  no.focus();
});
