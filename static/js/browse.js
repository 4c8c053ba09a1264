// Beside the field `file` of a job: goes down the folders of a host, and takes a file. A page that shows a repository
// which is being read keeps up with that.
import { t } from './t.js';
import { localTimes } from './time.js';

const START = '/browse/part/';
const AGAIN_MS = 3000;

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
  if (list.querySelector('[data-reading]')) {
    setTimeout(() => { if (mine === place.dataset.turn && place.isConnected) show(place, address); }, AGAIN_MS);
  }
}

/** Why nothing is read: in the words of the page that says so. None: it is being read, or another one is. */
async function refusal(answer) {
  if (!answer) return t('The master did not answer; try again');
  const { pathname } = new URL(answer.url);
  if (answer.redirected && pathname === '/browse/') return null;
  if (answer.redirected && pathname === '/login/') return t('Your login has expired. Save asks for it anew; what you type is kept.');
  const text = await answer.text().catch(() => '');
  const page = new DOMParser().parseFromString(text, 'text/html');
  const words = page.querySelector('#main .notice.warn') ?? page.querySelector('#main .fault > p:not(.fault-number)');
  words?.querySelector('.copied')?.remove();
  return words?.textContent.trim() || t('The master did not answer; try again');
}

/** Has a repository read, and shows what the host says then. */
async function read(place, button) {
  const { host, environment, repository, path } = button.dataset;
  button.disabled = true;
  const body = new URLSearchParams({ host, environment, repository });
  const answer = await fetch('/browse/read/', { method: 'POST', body }).catch(() => null);
  const why = await refusal(answer);
  if (why) {
    button.disabled = false;
    const words = button.parentElement.querySelector('[role=alert]') ?? document.createElement('p');
    words.className = 'wrong';
    words.setAttribute('role', 'alert');
    words.textContent = why;
    button.after(words);
    return;
  }
  const query = new URLSearchParams({ host, path });
  // Another one is being read.
  if (new URL(answer.url).searchParams.has('busy')) query.set('busy', 'true');
  show(place, `${START}?${query}`);
}

/** What is in a repository is known by its name there, not by a path. */
function pickStored(input, pick) {
  const { root, environment, repository, user } = pick.dataset;
  const path = pick.dataset.pick.slice(root.length);
  const at = path.lastIndexOf('/');
  const values = {
    'fields.file': '',
    'fields.repository': repository,
    'fields.directory': path.slice(0, at) || '/',
    'fields.object': path.slice(at + 1, path.lastIndexOf('.')),
    'fields.user': user,
    environment,
  };
  for (const [name, value] of Object.entries(values)) {
    for (const one of input.form.querySelectorAll(`input[name="${name}"]:not([disabled])`)) {
      one.value = value;
      one.dispatchEvent(new Event('input', { bubbles: true }));
    }
  }
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
  const again = event.target.closest('[data-read]');
  if (again) { read(place, again); return; }
  const pick = event.target.closest('[data-pick]');
  if (!pick) return;
  const input = field(place);
  if (pick.dataset.root) pickStored(input, pick);
  else input.value = pick.dataset.pick;
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

const READING = '#main [data-reading]';
if (location.pathname !== '/browse/read/' && document.querySelector(READING)) {
  const now = new URL(location.href);
  now.searchParams.delete('busy');
  // Who is on the way to another page is not held back.
  let leaving = false;
  addEventListener('beforeunload', () => { leaving = true; });
  const isOver = async () => {
    const answer = await fetch(now);
    if (answer.redirected) return true;
    return answer.ok && !new DOMParser().parseFromString(await answer.text(), 'text/html').querySelector(READING);
  };
  const again = async () => {
    if (leaving) return;
    const free = !document.hidden && !document.querySelector('dialog[open]');
    const over = free && await isOver().catch(() => false);
    if (over && !leaving) location.replace(now);
    else setTimeout(again, AGAIN_MS);
  };
  setTimeout(again, AGAIN_MS);
}
