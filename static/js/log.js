// The log of one attempt: opens at its end however long it is, loads earlier lines as somebody
// scrolls up, follows while the job runs. Lines are text nodes; ANSI colours become spans.

import { t } from './t.js';
import { api, button, bytes, clock, el } from './state.js';

const BLOCK = 200;       // lines in one block that the browser may skip painting
const LINES_MAX = 30000; // in the page at a time; earlier ones are loaded again when scrolled to
const ANSI = /\x1b\[([0-9;]*)m|\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b\][^\x07]*\x07/g;

/** A line's text as safe spans: what a terminal would colour. */
function coloured(text) {
  const back = text.lastIndexOf('\r');
  if (back >= 0) text = text.slice(back + 1);
  if (!text.includes('\x1b')) return [text];
  const parts = [];
  let at = 0, classes = new Set();
  const push = (end) => { if (end > at) parts.push(classes.size ? el('span', { class: [...classes].join(' ') }, text.slice(at, end)) : text.slice(at, end)); };
  for (const found of text.matchAll(ANSI)) {
    push(found.index);
    at = found.index + found[0].length;
    if (found[1] === undefined) continue;
    for (const code of found[1].split(';').map(Number)) {
      if (!code) classes = new Set();
      else if (code === 1) classes.add('ansi-bold');
      else if (code === 2) classes.add('ansi-dim');
      else if (code === 3) classes.add('ansi-italic');
      else if (code === 4) classes.add('ansi-underline');
      else if (code === 39 || (code >= 30 && code <= 37) || (code >= 90 && code <= 97)) {
        classes = new Set([...classes].filter((one) => !/^ansi-\d/.test(one)));
        if (code !== 39) classes.add(`ansi-${code >= 90 ? code - 60 : code}`);
      }
    }
  }
  push(text.length);
  return parts;
}

/** options: { compact, tail, live, link } */
export function viewLog(host, attempt, options = {}) {
  const base = `/api/v1/attempts/${attempt}/log`;
  const area = el('div', { class: 'log-lines', tabindex: '0', role: 'log', 'aria-label': t('Log') });
  const note = el('div', { class: 'log-note', role: 'status' });
  const found = el('div', { class: 'log-found', hidden: true });
  const query = new URLSearchParams(options.link ? location.search : '');
  let stream = query.get('stream') || 'both', follow = true, wrap = localStorage.getItem('log-wrap') !== '0';
  let begin = null, next = null, ended = false, count = 0, last = 0, loading = false, alive = true, turn = 0, blocks = [];
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  const atEnd = () => area.scrollHeight - area.scrollTop - area.clientHeight < 40;

  // ---- lines ----
  function row(line) {
    const name = `${line.stream}-${line.from}`;
    const number = options.compact ? null : el('a', { class: 'log-number', href: options.link ? `#${name}` : `/execute/job/log/${attempt}/#${name}`, 'data-name': name });
    return el('div', { class: `log-line log-${line.stream}${line.open ? ' log-open' : ''}`, id: options.link ? name : null, 'data-name': name },
      number, !options.compact && el('span', { class: 'log-time' }, line.at_ms ? clock(line.at_ms) : ''), el('span', { class: 'log-text' }, ...coloured(line.text)));
  }
  function append(lines) {
    dropOpen();
    for (const line of lines) {
      let block = blocks.at(-1);
      if (!block || block.childElementCount >= BLOCK) { block = el('div', { class: 'log-block' }); area.append(block); blocks.push(block); }
      block.append(row(line));
      count++;
    }
    while (count > LINES_MAX && blocks.length > 1) forget(blocks.shift());
    numbers();
  }
  // What is forgotten at the top can be loaded again: the log begins after it now.
  function forget(block) {
    for (const line of block.children) bump(line.dataset.name);
    count -= block.childElementCount;
    block.remove();
  }
  function bump(name) {
    const [which, at] = name.split('-');
    const place = begin.split('-').map(Number);
    place[which === 'out' ? 0 : 1] = Number(at) + 1;
    begin = place.join('-');
  }
  function prepend(lines) {
    const height = area.scrollHeight;
    for (let at = lines.length; at > 0; at -= BLOCK) {
      const block = el('div', { class: 'log-block' }, lines.slice(Math.max(0, at - BLOCK), at).map(row));
      area.prepend(block);
      blocks.unshift(block);
    }
    count += lines.length;
    numbers();
    area.scrollTop += area.scrollHeight - height;
  }
  function dropOpen() {
    for (const line of area.querySelectorAll('.log-open')) { line.remove(); count--; }
  }
  // Lines are numbered where the beginning is known.
  const atBeginning = () => !!begin && (stream === 'both' ? begin === '0-0' : begin.split('-')[stream === 'out' ? 0 : 1] === '0');
  function numbers() {
    if (options.compact) return;
    const all = area.querySelectorAll('.log-number');
    if (!all.length) return;
    if (atBeginning() && all[0].textContent !== '1') {
      all.forEach((one, at) => { one.textContent = at + 1; });
      last = all.length;
    } else if (last) {
      for (let at = all.length - 1, fresh = []; at >= 0; at--) {
        if (!all[at].textContent) { fresh.unshift(all[at]); continue; }
        last = Number(all[at].textContent);
        for (const one of fresh) one.textContent = ++last;
        break;
      }
    }
  }

  // ---- reading ----
  async function load(way) {
    loading = true;
    try {
      const answer = await api(`${base}?stream=${stream}&${way}`);
      if (!alive) return null;
      return answer;
    } finally { loading = false; }
  }
  function say(answer) {
    const size = answer.len.out + answer.len.err;
    const before = begin && begin !== '0-0' ? t('{size} before', { size: bytes(begin.split('-').map(Number).reduce((a, b) => a + b)) }) : '';
    note.textContent = [bytes(size), before, answer.finished ? t('ended') : t('still running'),
      ...answer.holes.map((hole) => t('{size} in the middle were cut out by the output quota', { size: bytes(hole.until - hole.from) }))].filter(Boolean).join(' · ');
  }
  async function start(way) {
    const mine = ++turn;
    area.replaceChildren(); blocks = []; count = 0; last = 0; begin = next = null; ended = false;
    note.textContent = t('loading …');
    try {
      const answer = await load(way || `max=${options.tail || 65536}`);
      if (!answer || mine !== turn) return;
      ({ begin, next, ended } = answer);
      append(answer.lines);
      if (!answer.lines.length) area.replaceChildren(el('p', { class: 'log-empty' }, ended ? t('This attempt has written nothing.') : t('Nothing has been written yet.')));
      say(answer);
      if (way?.startsWith('from')) area.scrollTop = 0; else toEnd();
      mark();
      if (!ended) tail(mine);
    } catch (problem) {
      if (mine !== turn) return;
      note.textContent = '';
      area.replaceChildren(el('p', { class: 'log-empty log-failed' }, problem.message, ' ', button(t('Retry'), () => start(way), { class: 'layui-btn-primary layui-btn-xs' })));
    }
  }
  async function tail(mine) {
    let tries = 0;
    while (alive && mine === turn && !ended) {
      if (document.hidden) { await wait(1000); continue; }
      try {
        const answer = await load(`from=${next}&follow=1`);
        if (!answer || mine !== turn) return;
        tries = 0;
        if (answer.lines.length) {
          area.querySelector('.log-empty')?.remove();
          const stay = follow && atEnd();
          append(answer.lines);
          if (stay) toEnd();
        }
        ({ next, ended } = answer);
        say(answer);
        if (answer.lines.every((line) => line.open)) await wait(400);
      } catch (problem) {
        if (mine !== turn) return;
        note.textContent = `${problem.message} · ${t('trying again')}`;
        await wait(Math.min(15000, 1000 * 2 ** tries++));
      }
    }
  }
  async function earlier() {
    if (loading || !begin || begin.split('-').every((at) => at === '0')) return;
    const mine = turn;
    try {
      const answer = await load(`before=${begin}&max=131072`);
      if (!answer || mine !== turn) return;
      if (answer.begin === begin) return;
      begin = answer.begin;
      prepend(answer.lines);
      say({ ...answer, len: { out: Math.max(answer.len.out, Number(next.split('-')[0])), err: Math.max(answer.len.err, Number(next.split('-')[1])) } });
    } catch (problem) { note.textContent = problem.message; }
  }
  const toEnd = () => { area.scrollTop = area.scrollHeight; };
  area.addEventListener('scroll', () => {
    if (area.scrollTop < 200) earlier();
    follow = atEnd();
    foot.classList.toggle('following', follow && !ended);
  });

  // ---- links, search ----
  function mark() {
    if (!options.link || location.hash.length < 2) return;
    const name = location.hash.slice(1);
    area.querySelector('.log-marked')?.classList.remove('log-marked');
    const line = document.getElementById(name);
    if (line) { line.classList.add('log-marked'); line.scrollIntoView({ block: 'center' }); follow = false; return; }
    const [which, at] = name.split('-');
    if (/^(out|err)$/.test(which) && /^\d+$/.test(at)) goTo(which, Number(at));
  }
  // Opens the log around a place that is not loaded.
  async function goTo(which, at) {
    const name = `${which}-${at}`;
    const there = [...area.querySelectorAll('.log-line')].find((line) => line.dataset.name === name);
    if (there) return show(there);
    if (stream !== which) { stream = which; pick.value = which; }
    const from = which === 'out' ? `${at}-0` : `0-${at}`;
    const mine = ++turn;
    const [before, after] = await Promise.all([load(`before=${from}&max=16384`), load(`from=${from}&max=65536`)]);
    if (mine !== turn) return;
    area.replaceChildren(); blocks = []; count = 0; last = 0;
    begin = before.lines.length ? before.begin : from;
    ({ next, ended } = after);
    append([...before.lines, ...after.lines]);
    say(after);
    const line = [...area.querySelectorAll('.log-line')].find((one) => one.dataset.name === name);
    if (line) show(line);
    more(mine);
  }
  function show(line) {
    area.querySelector('.log-marked')?.classList.remove('log-marked');
    line.classList.add('log-marked');
    line.scrollIntoView({ block: 'center' });
    follow = false;
  }
  // What lies after a place in the middle is read up to the end as somebody scrolls there.
  async function more(mine) {
    while (alive && mine === turn && !ended) {
      if (!atEnd()) { await wait(300); continue; }
      const answer = await load(`from=${next}`).catch(() => null);
      if (!answer || mine !== turn) return;
      if (answer.next === next) { tail(mine); return; }
      append(answer.lines);
      ({ next, ended } = answer);
      say(answer);
    }
  }
  async function search(from = '') {
    const words = needle.value;
    found.hidden = !words;
    if (!words) return;
    if (!from) found.replaceChildren(el('p', { class: 'muted' }, t('searching …')));
    try {
      const regex = expression.checked ? '&regex=1' : '';
      const answer = await api(`${base}/search?stream=${stream}&q=${encodeURIComponent(words)}${regex}&from=${from || '0-0'}`);
      const list = answer.items.map((one) => el('button', { type: 'button', class: `log-match log-${one.stream}`, onclick: () => goTo(one.stream, one.from) },
        el('span', { class: 'log-time' }, one.at_ms ? clock(one.at_ms) : ''), el('span', { class: 'log-text' }, ...coloured(one.text))));
      if (!from) found.replaceChildren(); else found.lastElementChild?.remove();
      const total = found.querySelectorAll('.log-match').length + list.length;
      found.append(...list, el('p', { class: 'muted' }, total === 1 ? t('1 line found') : t('{n} lines found', { n: total }), ' ', answer.next && button(t('search on'), () => search(answer.next), { class: 'layui-btn-xs layui-btn-primary' })));
    } catch (problem) { found.replaceChildren(el('p', { class: 'field-error' }, problem.fields?.[0]?.message || problem.message)); }
  }
  async function cause() {
    const answer = await api(`${base}/cause`).catch(() => null);
    if (answer?.line) goTo(answer.line.stream, answer.line.from);
  }

  // ---- controls ----
  const pick = el('select', { class: 'log-pick', 'aria-label': t('Stream'), onchange: () => { stream = pick.value; start(); } },
    [['both', t('out and err')], ['out', 'stdout'], ['err', 'stderr']].map(([value, words]) => el('option', { value, selected: value === stream }, words)));
  const needle = el('input', { type: 'search', class: 'layui-input', placeholder: t('Search the whole log'), 'aria-label': t('Search the whole log'), maxlength: 200 });
  const expression = el('input', { type: 'checkbox' });
  let typing = 0;
  needle.addEventListener('input', () => { clearTimeout(typing); typing = setTimeout(() => search(), 400); });
  needle.addEventListener('keydown', (event) => { if (event.key === 'Enter') { event.preventDefault(); clearTimeout(typing); search(); } });
  expression.addEventListener('change', () => search());
  const wrapping = el('input', { type: 'checkbox', checked: wrap });
  wrapping.addEventListener('change', () => { wrap = wrapping.checked; localStorage.setItem('log-wrap', wrap ? '1' : '0'); area.classList.toggle('log-wrap', wrap); });
  area.classList.toggle('log-wrap', wrap || !!options.compact);
  const bar = options.compact ? null : el('div', { class: 'log-bar' }, pick, needle, el('label', { class: 'log-check' }, expression, t('regex')), el('label', { class: 'log-check' }, wrapping, t('Wrap')),
    button(t('Beginning'), () => start('from=0-0'), { class: 'layui-btn-primary' }), button(t('End'), () => { if (ended && begin) { start(); } else { follow = true; toEnd(); } }, { class: 'layui-btn-primary' }),
    button(t('Jump to the error'), cause, { class: 'layui-btn-primary' }),
    el('span', { class: 'log-files' }, ['out', 'err'].map((one) => el('a', { href: `/execute/job/log/${attempt}/download?stream=${one}`, download: '' }, `↓ std${one}`))));
  const foot = el('div', { class: 'log-foot' }, note);
  host.replaceChildren(...[bar, found, area, foot].filter(Boolean));
  host.classList.add('log-view');
  if (options.link) addEventListener('hashchange', mark);
  start();
  return { destroy() { alive = false; turn++; host.replaceChildren(); } };
}

const own = document.getElementById('log-page');
if (own) viewLog(own, own.dataset.attempt, { link: true });
