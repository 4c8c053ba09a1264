// Gantt: one line per job; waiting, queued and running told apart; a line where now is. Painted on
// a canvas as high as the window: ten thousand jobs scroll as easily as ten.
//
// rows: [{ id, label, head } | { id, label, state, created, ready, started, ended }]

import { t } from './t.js';
import { SHAPES, WORDS, clock, cssVar, duration, el, onTheme } from './state.js';

const ROW = 24, AXIS = 28;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400].map((s) => s * 1000);

export function drawGantt(host, rows, { onRow } = {}) {
  const canvas = el('canvas', { class: 'gantt-canvas', tabindex: '0', role: 'img', 'aria-label': t('Gantt: a line per job, time goes to the right') });
  const tip = el('div', { class: 'mesh-tip', hidden: true });
  const filler = el('div', { class: 'gantt-filler' });
  const scroll = el('div', { class: 'gantt-scroll' }, canvas, filler);
  host.replaceChildren(scroll, tip);
  host.classList.add('gantt');
  const paint = canvas.getContext('2d');
  let colours = {}, frame = 0, hover = -1, ticking = 0;

  function palette() {
    colours = { text: cssVar('--text', '#222'), dim: cssVar('--muted', '#666'), line: cssVar('--line', '#ddd'), ground: cssVar('--surface', '#fff'), sunken: cssVar('--sunken', '#eee'), accent: cssVar('--accent', '#07c') };
    for (const state of Object.keys(SHAPES)) colours[state] = cssVar(`--state-${state}`, '#666');
    draw();
  }
  function draw() { if (!frame) frame = requestAnimationFrame(() => { frame = 0; render(); }); }

  const label = () => Math.min(260, Math.max(90, host.clientWidth * 0.24));
  function span() {
    const now = Date.now();
    const begins = rows.flatMap((row) => [row.created, row.ready, row.started]).filter(Boolean);
    const lives = rows.some((row) => !row.head && row.started && !row.ended);
    const ends = rows.flatMap((row) => [row.ended, row.started]).filter(Boolean);
    const from = begins.length ? Math.min(...begins) : now - 60000;
    const until = Math.max(lives ? now : 0, ends.length ? Math.max(...ends) : now, from + 1000);
    return [from, until + (until - from) * 0.04, lives];
  }

  function render() {
    const w = host.clientWidth, h = scroll.clientHeight, ratio = devicePixelRatio || 1;
    canvas.width = w * ratio;
    canvas.height = h * ratio;
    canvas.style.width = `${w}px`;
    canvas.style.height = `${h}px`;
    filler.style.height = `${Math.max(0, rows.length * ROW + AXIS + 8 - h)}px`;
    paint.setTransform(ratio, 0, 0, ratio, 0, 0);
    paint.clearRect(0, 0, w, h);
    const left = label(), room = w - left - 12;
    const [from, until, lives] = span();
    const x = (ms) => left + ((ms - from) / (until - from)) * room;
    axis(from, until, x, w, h);
    const first = Math.max(0, Math.floor(scroll.scrollTop / ROW));
    paint.save();
    paint.beginPath();
    paint.rect(0, AXIS, w, h);
    paint.clip();
    for (let at = first; at < rows.length && AXIS + at * ROW - scroll.scrollTop < h; at++) bar(rows[at], AXIS + at * ROW - scroll.scrollTop, at, x, left, w);
    paint.restore();
    if (lives) {
      paint.fillStyle = colours.accent;
      paint.fillRect(x(Date.now()), AXIS - 6, 1.5, h);
      clearTimeout(ticking);
      ticking = setTimeout(draw, document.hidden ? 5000 : 1000);
    }
  }

  function axis(from, until, x, w, h) {
    const step = STEPS.find((one) => (until - from) / one <= Math.max(3, (w - label()) / 110)) || 86400000;
    paint.font = '11px system-ui, sans-serif';
    paint.textBaseline = 'middle';
    let shownDay = '';
    for (let at = Math.ceil(from / step) * step; at < until; at += step) {
      paint.fillStyle = colours.line;
      paint.fillRect(x(at), AXIS - 6, 1, h);
      paint.fillStyle = colours.dim;
      const words = clock(at, true);
      const day = words.slice(5, 10) === shownDay ? '' : `${(shownDay = words.slice(5, 10))} `;
      paint.fillText(`${day}${words.slice(11, step < 60000 ? undefined : -3)}`, x(at) + 3, 10);
    }
  }

  function bar(row, y, at, x, left, w) {
    if (row.head) {
      paint.fillStyle = colours.sunken;
      paint.fillRect(0, y, w, ROW);
      paint.fillStyle = colours.text;
      paint.font = "600 12px system-ui, 'Noto Sans CJK SC', sans-serif";
      paint.fillText(row.label, 8, y + ROW / 2, w - 16);
      return;
    }
    if (at === hover) { paint.fillStyle = colours.sunken; paint.fillRect(0, y, w, ROW); }
    const colour = colours[row.state] || colours.dim;
    paint.font = "12px system-ui, 'Noto Sans CJK SC', sans-serif";
    paint.fillStyle = colour;
    paint.fillText(SHAPES[row.state] || '', 10, y + ROW / 2);
    paint.fillStyle = colours.text;
    paint.save();
    paint.beginPath();
    paint.rect(0, y, left - 8, ROW);
    paint.clip();
    paint.fillText(row.label, 28, y + ROW / 2);
    paint.restore();
    const now = Date.now(), middle = y + ROW / 2;
    const ready = row.ready || row.started || (row.ended ?? now);
    if (row.created && ready > row.created) {
      paint.fillStyle = colours.waiting;
      paint.globalAlpha = 0.45;
      paint.fillRect(x(row.created), middle - 1, Math.max(0, x(ready) - x(row.created)), 2);
    }
    if (row.ready && (row.started || !row.ended)) {
      paint.fillStyle = colours.queued;
      paint.globalAlpha = 0.4;
      const until = row.started || now;
      paint.fillRect(x(row.ready), middle - 4, Math.max(0, x(until) - x(row.ready)), 8);
    }
    paint.globalAlpha = 1;
    if (row.started) {
      const until = row.ended || now;
      const width = Math.max(2, x(until) - x(row.started));
      paint.fillStyle = colour;
      paint.beginPath();
      paint.roundRect(x(row.started), middle - 7, width, 14, 3);
      paint.fill();
      const words = duration(until - row.started);
      paint.font = '11px system-ui, sans-serif';
      const room = paint.measureText(words).width + 8;
      paint.fillStyle = width > room ? colours.ground : colours.dim;
      const beside = x(until) + 4 + room > w ? x(row.started) - room : x(until) + 4;
      paint.fillText(words, width > room ? x(row.started) + 4 : beside, middle + 0.5);
    }
  }

  const rowAt = (event) => {
    const y = event.clientY - canvas.getBoundingClientRect().top;
    const at = y < AXIS ? -1 : Math.floor((y - AXIS + scroll.scrollTop) / ROW);
    return rows[at] && !rows[at].head ? at : -1;
  };
  canvas.addEventListener('pointermove', (event) => {
    const at = rowAt(event);
    if (at !== hover) { hover = at; draw(); }
    canvas.style.cursor = at < 0 ? 'default' : 'pointer';
    tip.hidden = at < 0;
    if (at < 0) return;
    const row = rows[at];
    const line = (words, ms) => ms != null && ms >= 0 && el('div', {}, `${words} ${duration(ms)}`);
    tip.replaceChildren(...[el('strong', {}, row.label), el('div', {}, `${SHAPES[row.state]} ${WORDS[row.state]}`),
      line(t('waited'), (row.ready ?? row.started ?? Date.now()) - (row.created ?? Infinity)),
      row.ready && line(t('queued for'), (row.started ?? row.ended ?? Date.now()) - row.ready),
      row.started && line(t('ran'), (row.ended ?? Date.now()) - row.started),
      row.started && el('div', {}, `${clock(row.started)} – ${row.ended ? clock(row.ended) : ''}`)].filter(Boolean));
    const box = host.getBoundingClientRect();
    tip.style.left = `${Math.min(event.clientX - box.left + 14, box.width - tip.offsetWidth - 8)}px`;
    tip.style.top = `${Math.min(event.clientY - box.top + 14, box.height - tip.offsetHeight - 8)}px`;
  });
  canvas.addEventListener('pointerleave', () => { hover = -1; tip.hidden = true; draw(); });
  canvas.addEventListener('click', (event) => { const at = rowAt(event); if (at >= 0) onRow?.(rows[at]); });
  scroll.addEventListener('scroll', draw);
  const resized = new ResizeObserver(draw);
  resized.observe(host);
  const untheme = onTheme(palette);
  palette();
  return {
    setRows(fresh) { rows = fresh; draw(); },
    destroy() { resized.disconnect(); untheme(); clearTimeout(ticking); cancelAnimationFrame(frame); host.replaceChildren(); },
  };
}
