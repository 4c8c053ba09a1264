// The frame of every page: fold, search, keys, clock, counters, times in the viewer's zone.
import { choices } from './choices.js';
import { t } from './t.js';
import { localTimes } from './time.js';

const root = document.documentElement;
const byId = (id) => document.getElementById(id);

// ---- the tree: folded on a desk, a drawer on a phone ----
const narrow = matchMedia('(max-width: 760px)');
const stored = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
const store = (key, value) => { try { localStorage.setItem(key, value); } catch { /* private mode */ } };
if (stored('folded') === '1') root.classList.add('folded');
function fold() {
  if (narrow.matches) {
    byId('shade').hidden = !root.classList.toggle('open');
  } else {
    store('folded', root.classList.toggle('folded') ? '1' : '0');
  }
}
byId('fold').addEventListener('click', fold);
byId('shade').addEventListener('click', fold);

choices();

// ---- menus close when one looks elsewhere ----
document.addEventListener('click', (event) => {
  for (const menu of document.querySelectorAll('details.menu[open], details.columns-menu[open]')) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
const keysList = byId('keys-list');
byId('keys')?.addEventListener('click', () => keysList.showModal());

// ---- search ----
const box = byId('search');
const found = byId('found');
let asked = 0;
let timer = 0;
function options() { return [...found.querySelectorAll('a')]; }
function choose(step) {
  const all = options();
  if (!all.length) return;
  const at = all.findIndex((a) => a.getAttribute('aria-selected') === 'true');
  all.forEach((a) => a.setAttribute('aria-selected', 'false'));
  const next = all[(at + step + all.length) % all.length];
  next.setAttribute('aria-selected', 'true');
  next.scrollIntoView({ block: 'nearest' });
}
function show(open) {
  found.hidden = !open;
  box.setAttribute('aria-expanded', String(open));
}
async function search() {
  const query = box.value.trim();
  const turn = ++asked;
  if (!query) { show(false); return; }
  let items = [];
  try {
    const answer = await fetch(`/api/v1/search?q=${encodeURIComponent(query)}`);
    if (!answer.ok) throw new Error(String(answer.status));
    items = (await answer.json()).items;
  } catch {
    items = null;
  }
  if (turn !== asked) return;
  found.replaceChildren();
  if (!items || !items.length) {
    const p = document.createElement('p');
    p.textContent = items ? t('Nothing found') : t('The search failed; try again');
    found.append(p);
  }
  (items ?? []).forEach((item, at) => {
    const a = document.createElement('a');
    a.href = item.href;
    a.role = 'option';
    a.setAttribute('aria-selected', String(at === 0));
    const kind = document.createElement('small');
    kind.textContent = item.what;
    const name = document.createElement('b');
    name.textContent = item.name;
    const more = document.createElement('span');
    more.textContent = item.more;
    a.append(kind, name, more);
    found.append(a);
  });
  show(true);
}
box.addEventListener('input', () => { clearTimeout(timer); timer = setTimeout(search, 120); });
box.addEventListener('focus', () => { if (box.value) search(); });
box.addEventListener('keydown', (event) => {
  if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
    event.preventDefault();
    choose(event.key === 'ArrowDown' ? 1 : -1);
  } else if (event.key === 'Escape') {
    show(false);
    box.blur();
  }
});
box.form.addEventListener('submit', async (event) => {
  event.preventDefault();
  if (found.hidden) await search();
  const chosen = options().find((a) => a.getAttribute('aria-selected') === 'true');
  if (chosen) location.href = chosen.href;
});
document.addEventListener('click', (event) => { if (!box.form.contains(event.target)) show(false); });

// ---- keys ----
let waitsForGo = 0;
document.addEventListener('keydown', (event) => {
  const typing = event.target.closest('input, textarea, select, [contenteditable], dialog[open]');
  if (event.key === 'Escape') {
    for (const menu of document.querySelectorAll('details.menu[open], details.columns-menu[open]')) menu.open = false;
    if (root.classList.contains('open')) fold();
    return;
  }
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (waitsForGo && Date.now() - waitsForGo < 1500) {
    waitsForGo = 0;
    const link = document.querySelector(`.tree a[data-key="${CSS.escape(event.key)}"]`);
    if (link) { event.preventDefault(); location.href = link.href; }
    return;
  }
  const act = {
    '/': () => { box.focus(); box.select(); },
    '?': () => keysList.showModal(),
    '[': fold,
    g: () => { waitsForGo = Date.now(); },
    e: () => document.querySelector('[data-key-edit]')?.click(),
    r: () => document.querySelector('[data-key-run]')?.click(),
  }[event.key];
  if (act) { event.preventDefault(); act(); }
});

// ---- clock: the server's zone, from the server's time ----
const offset = Number(document.body.dataset.now) - Date.now();
const zone = document.body.dataset.zone;
const clock = byId('clock');
const face = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit' });
const city = (name) => name.split('/').pop().replaceAll('_', ' ');
const short = city(zone);
const hereName = city(Intl.DateTimeFormat().resolvedOptions().timeZone);
const own = new Intl.DateTimeFormat('sv-SE', { hour: '2-digit', minute: '2-digit' });
const there = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, hour: '2-digit', minute: '2-digit' });
function tick() {
  const now = Date.now() + offset;
  clock.textContent = `${face.format(now).slice(5)} ${short}`;
  // Times on pages are the viewer's: where that is another zone, it is said.
  if (own.format(now) === there.format(now)) return;
  const here = document.createElement('small');
  here.textContent = t('{time} in {zone}', { time: own.format(now), zone: hereName });
  here.title = t('times on pages are in your zone');
  clock.append(' ', here);
}
tick();
setInterval(tick, 1000);

// ---- the database is away: pages that were open before say what the newest would ----
async function away(gone) {
  const shown = byId('away');
  if (!gone) {
    shown?.remove();
    return;
  }
  // Of a database that can be read the banner alone; else the page of the error, which has it too.
  const page = await fetch('/away/');
  const fresh = new DOMParser().parseFromString(await page.text(), 'text/html').getElementById('away');
  if (!fresh) return;
  if (shown) shown.replaceWith(fresh);
  else byId('main').prepend(fresh);
  localTimes(fresh);
}

// ---- counters ----
const EVERY_MS = 5000;
export function showCounters(counts) {
  for (const [name, count] of Object.entries(counts)) {
    const place = document.querySelector(`#counters [data-count="${name}"]`);
    if (!place) continue;
    place.textContent = String(count);
    place.parentElement.classList.toggle('some', count > 0);
  }
}
async function count() {
  if (document.hidden) return;
  try {
    const answer = await fetch('/api/v1/counters');
    const counts = answer.ok ? await answer.json() : null;
    if (counts) showCounters(counts);
    if (counts || answer.status === 503) await away(!counts || counts.away);
  } catch { /* the live bar of the page tells of it */ }
}
count();
setInterval(count, EVERY_MS);
document.addEventListener('visibilitychange', count);

localTimes(document);
// What was on its way (draft.js) has arrived, when anything but its form is shown.
if (!document.querySelector('form[data-guard]')) { try { sessionStorage.removeItem('draft'); } catch { /* private mode */ } }
