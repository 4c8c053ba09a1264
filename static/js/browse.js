// Beside the field `file` of a job: goes down the folders of a host, and takes a file.
import { t } from './t.js';
import { localTimes } from './time.js';

const START = '/browse/part/';

function field(part) {
  return part.closest('.box').querySelector('input[name="fields.file"]');
}

async function show(place, address) {
  place.dataset.turn = String(Number(place.dataset.turn ?? 0) + 1);
  const mine = place.dataset.turn;
  place.setAttribute('aria-busy', 'true');
  let nodes;
  try {
    const answer = await fetch(address);
    const parsed = new DOMParser().parseFromString(await answer.text(), 'text/html');
    // What is refused comes with its reason, in the place of a list; a whole page is an error of another kind.
    const told = answer.ok || !parsed.getElementById('main');
    nodes = told ? [...parsed.body.childNodes] : [t('The master did not answer; try again')];
  } catch {
    nodes = [t('The master did not answer; try again')];
  }
  if (mine !== place.dataset.turn) return;
  place.removeAttribute('aria-busy');
  const list = place.querySelector('.browse-list');
  list.replaceChildren(...nodes);
  localTimes(list);
  // What is inside belongs to no form: it is not sent, and makes nothing unsaved.
  for (const select of list.querySelectorAll('select')) select.removeAttribute('name');
}

function open(button) {
  const box = button.closest('.box');
  const old = box.querySelector('.browse-box');
  if (old) { old.remove(); button.setAttribute('aria-expanded', 'false'); return; }
  const place = document.createElement('div');
  place.className = 'browse-box';
  place.setAttribute('role', 'group');
  place.setAttribute('aria-label', t('Choose a file of an exec host'));
  const list = document.createElement('div');
  list.className = 'browse-list';
  list.textContent = t('loading …');
  place.append(list);
  box.append(place);
  button.setAttribute('aria-expanded', 'true');
  const host = document.querySelector('input[name="place.hosts"]:checked')?.value ?? '';
  const path = field(button).value.trim();
  const folder = path.startsWith('/') && path.includes('.') ? path.slice(0, path.lastIndexOf('/')) : '';
  const query = new URLSearchParams();
  if (host) query.set('host', host);
  if (folder) query.set('path', folder);
  show(place, `${START}?${query}`);
}

document.addEventListener('click', (event) => {
  const button = event.target.closest('[data-browse]');
  if (button) { open(button); return; }
  const place = event.target.closest('.browse-box');
  if (!place) return;
  const into = event.target.closest('a[data-into]');
  if (into) { event.preventDefault(); show(place, into.getAttribute('href')); return; }
  const pick = event.target.closest('[data-pick]');
  if (!pick) return;
  const input = field(place);
  input.value = pick.dataset.pick;
  const runs = input.form.querySelector('select[name="fields.runs"]:not([disabled])');
  if (runs && ['job', 'transformation'].includes(pick.dataset.form)) runs.value = pick.dataset.form;
  const opener = place.closest('.box').querySelector('[data-browse]');
  place.remove();
  opener?.setAttribute('aria-expanded', 'false');
  input.focus();
  for (const name of ['input', 'change']) input.dispatchEvent(new Event(name, { bubbles: true }));
});

document.addEventListener('change', (event) => {
  const place = event.target.closest?.('.browse-box');
  if (!place || !event.target.matches('[data-host]')) return;
  event.stopPropagation();
  show(place, `${START}?host=${encodeURIComponent(event.target.value)}`);
}, true);
