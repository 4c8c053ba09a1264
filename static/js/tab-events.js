// The tab Events of an execution: what the engine decided and why, what the hosts told, what people
// asked for; one sentence each, in the order in which it happened.

import { t, why } from './t.js';
import { api, badge, button, clock, duration, el } from './state.js';
import { endWords, waitWords } from './words.js';
import { VERBS, sentences } from './verbs.js';

const PAGE = 300;
const REFRESH_MS = 1500;
const SHAPES = { decided: '◷', asked: '☞', made: '+', joined: '⇢', waits: '◔', begun: '▸', ready: '○', queued: '◑', assigned: '◌', started: '●', tried: '·', again: '↻', ended: '■', run_ended: '◆', over: '◆' };
const DECISIONS = { fired: t('fired'), paused: t('paused'), frozen: t('frozen'), holiday: t('holiday'), blackout: t('blackout'), overlap: t('overlap'), misfired: t('misfired'), failed: t('failed') };

export default function (pane, { execution, runs, jobs, select, selected, remember, query }) {
  const only = el('select', { class: 'layui-input', 'aria-label': t('Which events') }, [['', t('Everything')], ['bad', t('Only what went wrong')], ['people', t('Only what people asked for')]].map(([value, text]) => el('option', { value }, text)));
  only.value = query().get('events') || '';
  const newest = el('input', { type: 'checkbox' });
  const chip = el('span', { class: 'ex-chip', hidden: true });
  const list = el('ol', { class: 'ex-events' });
  const foot = el('div', { class: 'pager' });
  pane.append(el('div', { class: 'filters' }, only, el('label', { class: 'log-check' }, newest, t('Newest first')), chip), list, foot);
  let shown = 0, turn = 0, timer = 0;

  const of = (event) => {
    const run = runs.get(event.run);
    return run ? `${run.interface.name} ${run.period}${run.generation > 1 ? ` #${run.generation}` : ''}` : '';
  };
  const job = (event) => {
    const found = jobs.get(event.job);
    return found ? el('button', { type: 'button', class: 'ex-link', onclick: () => select(event.job) }, found.name) : el('b', {}, event.job || '');
  };
  /** A sentence with elements in it: `{name}` of the text is replaced by what stands in `parts`. */
  const say = (text, parts = {}) => text.split(/(\{\w+\})/).map((piece) => (/^\{\w+\}$/.test(piece) ? parts[piece.slice(1, -1)] ?? '' : piece));
  const host = (event) => el('a', { href: `/base/exec/host/${event.host.id}/` }, event.host.name);
  const told = (reason) => (reason ? el('span', { class: 'ex-said' }, why(reason)) : null);

  const SENTENCES = {
    decided: (event) => [say(t('The dispatch {dispatch} was due at {time}: {decision}'), { dispatch: el('a', { href: `/dispatch/${event.dispatch.id}/` }, event.dispatch.name ?? `#${event.dispatch.id}`),
      time: clock(event.instant_ms, true), decision: el('b', {}, DECISIONS[event.decision] ?? event.decision) }), told(event.why)],
    asked: (event) => {
      const verb = VERBS[event.verb]?.title ?? event.verb;
      const done = event.result === 'refused' ? t('refused') : event.result ? sentences(event.plan || {}, true).join(' · ') || t('done') : t('not answered yet');
      return [say(t('{who} asked: {verb}'), { who: el('b', {}, event.by ?? '?'), verb: el('b', {}, verb) }), event.job && [' ', job(event)], el('span', { class: event.result === 'refused' ? 's-failed' : 'muted' }, ` → ${done}`),
        told(event.plan?.refused), event.note ? el('q', {}, event.note) : null];
    },
    made: (event) => say(t('The run {run} was made: version {version} of its definition'), { run: el('b', {}, of(event)), version: String(event.version) }),
    joined: (event) => say(t('Joins the run {run}, which {execution} had made'), { run: el('b', {}, of(event)), execution: el('a', { href: `/execute/flow/detail/${event.execution}/` }, event.execution) }),
    waits: (event) => [say(t('The run {run} waits:'), { run: el('b', {}, of(event)) }), ' ', event.waits.map(waitWords).join(' · '), event.wait_until_ms ? el('span', { class: 'muted' }, ` · ${t('gives up at {time}', { time: clock(event.wait_until_ms) })}`) : null],
    begun: (event) => say(t('The run {run} begins'), { run: el('b', {}, of(event)) }),
    ready: (event) => say(t('{job}: all that it needs is there'), { job: job(event) }),
    queued: (event) => [say(t('{job} waits for a place'), { job: job(event) }), told(event.why)],
    assigned: (event) => [say(t('{job}: attempt {n} of {all} goes to {host}'), { job: job(event), n: String(event.number), all: String(event.allowed), host: host(event) }),
      event.queued_ms > 1000 ? el('span', { class: 'muted' }, ` · ${t('after {time} without a place', { time: duration(event.queued_ms) })}`) : null],
    started: (event) => say(t('{job}: attempt {n} runs on {host}'), { job: job(event), n: String(event.number), host: host(event) }),
    tried: (event) => [say(t('{job}: attempt {n} has ended: {end}'), { job: job(event), n: String(event.number), end: el('a', { href: `/execute/job/log/${event.attempt}/` }, endWords(event)) }),
      event.took_ms != null ? el('span', { class: 'muted' }, ` · ${duration(event.took_ms)}`) : null],
    again: (event) => say(t('{job} is tried again at {time}: attempt {n} of {all}'), { job: job(event), time: clock(event.not_before_ms), n: String(event.number), all: String(event.allowed) }),
    ended: (event) => [say(t('{job} is {state}'), { job: job(event), state: badge(event.state) }), told(event.why)],
    run_ended: (event) => say(t('The run {run} is {state}'), { run: el('b', {}, of(event)), state: badge(event.state) }),
    over: (event) => say(t('The execution is over: {state}'), { state: badge(event.state) }),
  };

  function line(event) {
    const sentence = (SENTENCES[event.kind] || ((one) => [one.kind]))(event);
    return el('li', { class: `${event.bad ? 'bad' : ''} ex-event-${event.kind}`, 'data-job': event.job },
      el('time', { title: new Date(event.at_ms).toISOString() }, clock(event.at_ms)), el('i', { 'aria-hidden': 'true' }, SHAPES[event.kind] || '·'),
      el('span', {}, ...[sentence].flat(3).filter((one) => one != null && one !== false)), el('span', { class: 'muted ex-of' }, event.job ? of(event) : ''));
  }

  async function load(from) {
    const mine = ++turn;
    const asked = new URLSearchParams({ from, limit: from ? PAGE : Math.max(PAGE, shown) });
    if (only.value) asked.set('only', only.value);
    if (newest.checked) asked.set('newest', 'true');
    if (selected()) asked.set('job', selected());
    chip.hidden = !selected();
    if (selected()) chip.replaceChildren(t('only {job}', { job: jobs.get(selected())?.name ?? '' }), ' ', el('button', { type: 'button', class: 'drawer-close', 'aria-label': t('All events'), onclick: () => select(null) }, '✕'));
    try {
      const { items, total, next } = await api(`/api/v1/executions/${execution.id}/events?${asked}`);
      if (mine !== turn) return;
      const lines = items.map(line);
      if (from) list.append(...lines); else list.replaceChildren(...lines);
      shown = from + items.length;
      foot.replaceChildren(total ? t('{n} of {total} events', { n: shown, total }) : t('No such event.'), next ? button(t('show more'), () => load(next), { class: 'layui-btn-primary' }) : '');
    } catch (problem) {
      if (mine === turn) foot.replaceChildren(el('p', { class: 'notice bad' }, problem.message, ' ', button(t('Retry'), () => load(from), { class: 'layui-btn-primary' })));
    }
  }
  only.addEventListener('change', () => { remember({ events: only.value }); load(0); });
  newest.addEventListener('change', () => load(0));
  load(0);
  return {
    show: () => load(0),
    select: () => { if (!pane.hidden) load(0); },
    change: () => { if (!pane.hidden && !timer) timer = setTimeout(() => { timer = 0; load(0); }, REFRESH_MS); },
  };
}
