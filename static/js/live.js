// The live stream of a page: one EventSource for everything that listens on it. When it breaks, a
// quiet bar says since when; on return the server tells what was missed since the last batch.

import { t } from './t.js';

const RETRY_MS = [1000, 2000, 4000, 8000, 15000];
const SILENT_MS = 25000;

const asked = {};
const handlers = { delta: [], items: [], newer: [], counters: [], hosts: [], beat: [] };
let source = null, tries = 0, heard = 0, batch = null, timer = 0, started = false, lost = 0;

/**
 * Listens: `watch({ execution, after }, { delta(data) {…} })`. Call it while the page loads; all
 * wishes of a page go into one stream.
 */
export function watch(wish, on) {
  Object.assign(asked, wish);
  for (const [name, handler] of Object.entries(on)) handlers[name].push(handler);
  if (started) reconnect(0);
}

function url() {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(asked)) if (value != null && value !== '') query.set(name, value);
  if (batch != null) query.set('after', batch);
  return `/events?${query}`;
}

function open() {
  clearTimeout(timer);
  source?.close();
  source = new EventSource(url());
  source.onopen = () => { tries = 0; alive(); };
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) reconnect();
    else lose();
  };
  for (const name of Object.keys(handlers)) {
    source.addEventListener(name, (event) => {
      alive();
      if (event.lastEventId) batch = event.lastEventId;
      const data = JSON.parse(event.data);
      for (const handler of handlers[name]) handler(data);
    });
  }
}

function reconnect(after = RETRY_MS[Math.min(tries++, RETRY_MS.length - 1)]) {
  source?.close();
  if (after) lose();
  clearTimeout(timer);
  timer = setTimeout(open, after);
}

const bar = () => document.getElementById('live');

function alive() {
  heard = Date.now();
  if (!lost) return;
  lost = 0;
  document.body.classList.remove('not-live');
  if (bar()) bar().hidden = true;
}

function lose() {
  if (lost) return;
  lost = heard || Date.now();
  // A stream that ends and comes back at once is nothing to tell.
  setTimeout(() => {
    if (!lost) return;
    document.body.classList.add('not-live');
    const words = t('not live since {time}, retrying', { time: new Date(lost).toLocaleTimeString() });
    if (bar()) { bar().textContent = words; bar().hidden = false; }
  }, 2500);
}

function start() {
  if (started) return;
  started = true;
  open();
  setInterval(() => { if (heard && Date.now() - heard > SILENT_MS && !document.hidden) reconnect(); }, 5000);
}

watch({}, {
  counters(data) {
    for (const [name, value] of Object.entries(data)) {
      const shown = document.querySelector(`[data-count="${name}"]`);
      if (shown) shown.textContent = value;
    }
  },
});

// After all modules of the page have said what they want.
if (document.readyState === 'complete') start();
else document.addEventListener('DOMContentLoaded', start);
addEventListener('pagehide', () => source?.close());
addEventListener('pageshow', (event) => { if (event.persisted) reconnect(0); });
