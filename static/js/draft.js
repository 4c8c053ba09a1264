// What was typed into a form survives an expired login: it is kept in this tab while the form is on its
// way, put back when the form comes again, and forgotten when anything else is shown. So does what was
// left behind unsaved, when somebody comes Back to it.
import { t } from './t.js';

const SENT = 'draft', LEFT = 'left';
const AGE_MAX_MS = 12 * 3600 * 1000;
const CHARS_MAX = 500000;

function take(key) {
  try {
    const draft = JSON.parse(sessionStorage.getItem(key));
    sessionStorage.removeItem(key);
    return draft?.path === location.pathname && Date.now() - draft.at < AGE_MAX_MS ? draft : null;
  } catch { return null; }
}

/** Pairs of a form; a choice with its words, for it may not be among those of the fresh page. */
const pairs = (form) => [...new FormData(form)].map(([name, value]) => {
  const field = form.elements[name];
  return [name, String(value), field?.tagName === 'SELECT' ? field.selectedOptions[0]?.textContent.trim() ?? '' : ''];
});

function put(form, draft, addRow) {
  for (const box of form.querySelectorAll('[data-rows]')) {
    box.querySelector('.rows').replaceChildren();
    const own = new RegExp(`^${box.dataset.rows}\\[(\\d+)\\]`);
    const rows = new Set(draft.pairs.map(([name]) => own.exec(name)?.[1]).filter(Boolean));
    for (const index of rows) { box.dataset.next = index; addRow(box); }
  }
  for (const box of form.querySelectorAll('input[type=checkbox]')) box.checked = draft.pairs.some(([name, value]) => name === box.name && value === box.value);
  for (const [name, value, words] of draft.pairs) {
    const fields = [...form.elements].filter((one) => one.name === name && one.type !== 'checkbox');
    for (const field of fields) {
      if (field.tagName === 'SELECT' && ![...field.options].some((option) => option.value === value)) field.add(new Option(words || value, value));
      field.value = value;
      const shown = field.closest('.pick')?.querySelector('input');
      if (shown) shown.value = field.selectedOptions[0]?.textContent.trim() ?? '';
    }
  }
}

/** The form that is guarded: `addRow` makes a row of a repeated part. True when something came back. */
export function drafts(form, addRow) {
  if (!form) return false;
  const back = performance.getEntriesByType('navigation')[0]?.type === 'back_forward';
  const sent = take(SENT);
  const left = back ? take(LEFT) : null;
  const keep = (key) => {
    const text = JSON.stringify({ path: location.pathname, at: Date.now(), pairs: pairs(form) });
    try { if (text.length < CHARS_MAX) sessionStorage.setItem(key, text); } catch { /* private mode */ }
  };
  const before = JSON.stringify(pairs(form));
  let posted = false;
  form.addEventListener('submit', () => { posted = true; keep(SENT); });
  addEventListener('pagehide', () => { if (!posted && (form.dataset.dirty === '1' || JSON.stringify(pairs(form)) !== before)) keep(LEFT); });
  const draft = sent ?? left;
  // A form that came back with errors has all of it.
  if (!draft || form.dataset.dirty === '1') return false;
  put(form, draft, addRow);
  form.dataset.dirty = '1';
  const note = document.createElement('div');
  note.className = 'notice warn';
  note.setAttribute('role', 'status');
  note.textContent = sent && !back ? t('It was not saved: your login had expired. What you typed is here again; save it now.') : t('What you typed is here again; it is not saved.');
  form.before(note);
  return true;
}
