// The page of one execution. Its data came with the page; the live stream changes it in place.
// Head and cards are drawn here, each tab when it is opened; the drawer is in drawer.js.

import { t, why } from './t.js';
import { SHAPES, api, badge, button, clock, duration, el, isLive, jobsBar } from './state.js';
import { endWords, failed, waitWords } from './words.js';
import { watch } from './live.js';

// What is not needed to show the page is loaded when it is.
const ask = async (...what) => (await import('./verbs.js')).ask(...what);
const drawer = () => import('./drawer.js');
const TABS = {
  mesh: () => import('./tab-mesh.js'), gantt: () => import('./tab-gantt.js'), jobs: () => import('./tab-jobs.js'),
  log: () => import('./tab-log.js'), events: () => import('./tab-events.js'), params: async () => ({ default: () => ({}) }),
};

const data = JSON.parse(document.getElementById('ex-data').textContent);
const execution = data.execution;
const runs = new Map(data.runs.map((run) => [run.id, run]));
const jobs = new Map(data.runs.flatMap((run) => run.jobs.map((job) => [job.id, job])));
const name = `${execution.interface.name} ${execution.period}`;
const $ = (id) => document.getElementById(id);

// ---- head ----
function counts() {
  const all = {};
  for (const job of jobs.values()) all[job.state] = (all[job.state] || 0) + 1;
  return all;
}

function head() {
  const all = counts();
  const live = isLive(execution.state);
  const paused = [...runs.values()].filter((run) => run.state === 'paused');
  const waiting = (all.waiting || 0) + (all.queued || 0) + (all.assigned || 0);
  $('ex-state').replaceChildren(badge(live && paused.length ? 'paused' : execution.state));
  document.title = `${SHAPES[execution.state] || ''} ${name} · HCNDC`;
  const took = (execution.ended_ms ?? Date.now()) - execution.created_ms;
  const done = all.succeeded || 0;
  const bad = (all.failed || 0) + (all.timed_out || 0);
  const words = [
    el('b', {}, `${done} / ${jobs.size}`),
    bad && el('a', { href: '?tab=jobs&state=failed', class: 's-failed', onclick: (event) => { event.preventDefault(); showTab('jobs', { state: 'failed' }); } }, t('{n} failed', { n: bad })),
    all.running && el('span', { class: 's-running' }, t('{n} running', { n: all.running })),
    waiting && el('span', { class: 's-waiting' }, t('{n} waiting', { n: waiting })),
    all.left_out && el('span', { class: 's-left_out' }, t('{n} left out', { n: all.left_out })),
    [...runs.values()].some((run) => run.partial) && el('span', { class: 'tag', title: t('It is made of some jobs only: its success is none of its period.') }, t('partial')),
    all.skipped && el('span', { class: 's-skipped' }, t('{n} skipped', { n: all.skipped })),
    all.stopped && el('span', { class: 's-stopped' }, t('{n} stopped', { n: all.stopped })),
  ].filter(Boolean);
  const usual = data.usual_ms;
  const against = usual ? el('span', { class: 'ex-usual', title: t('the median of the last successful runs') }, t('usual {time}', { time: duration(usual) })) : null;
  const late = live && usual && took > usual * 1.5;
  const end = live && usual && took < usual ? el('span', { class: 'muted' }, t('expected to end at {time}', { time: clock(execution.created_ms + usual) })) : null;
  const bar = jobsBar(all, jobs.size).querySelector('.ex-bar');
  $('ex-progress').replaceChildren(bar, el('p', { class: 'ex-words' }, words.flatMap((one, at) => (at ? [' · ', one] : [one])),
    el('span', { class: 'ex-took' }, el('b', { class: late ? 's-failed' : null }, duration(took)), against && [' · ', against], end && [' · ', end])));
}

let shownButtons = '';
function buttons() {
  const live = isLive(execution.state);
  const own = [...runs.values()].filter((run) => !run.joined);
  const active = own.filter((run) => ['waiting', 'ready', 'running'].includes(run.state));
  const paused = own.filter((run) => run.state === 'paused');
  const key = JSON.stringify([live, execution.state, active.map((run) => run.id), paused.map((run) => run.id)]);
  if (key === shownButtons || !data.may_execute) return;
  shownButtons = key;
  const root = own.find((run) => run.interface.id === execution.interface.id && run.period === execution.period);
  const goTo = async (verb) => {
    const answer = await ask(verb, name);
    if (answer?.plan?.execution) location.href = `/execute/flow/detail/${answer.plan.execution}/`;
  };
  $('ex-buttons').replaceChildren(...[
    !live && ['failed', 'stopped'].includes(execution.state) && button(`↻ ${t('Resume from failure')}`, () => ask({ verb: 'resume_execution', execution: execution.id }, name), { id: 'resume' }),
    paused.length && button(`▶ ${t('Start')}`, () => ask({ verb: 'start_execution', execution: execution.id }, name), { id: 'start' }),
    live && active.length && button(`‖ ${t('Pause')}`, () => ask({ verb: 'pause_execution', execution: execution.id }, name), { class: 'layui-btn-primary', id: 'pause' }),
    live && active.length && button(`↑ ${t('Priority')}`, () => prioritize(active), { class: 'layui-btn-primary', id: 'priority' }),
    live && button(`■ ${t('Stop')}`, () => ask({ verb: 'stop_execution', execution: execution.id }, name), { class: 'layui-btn-primary danger', id: 'stop' }),
    !live && button(`▶ ${t('Run again')}`, () => goTo({ verb: 'run_now', interface: execution.interface.id, period: execution.period, cascade: execution.cascade, params: execution.params }), { class: 'layui-btn-primary', id: 'again' }),
    !live && root?.state === 'succeeded' && button(`⇉ ${t('Continue with followers')}`, () => goTo({ verb: 'follow', run: root.id }), { class: 'layui-btn-primary', id: 'follow' }),
    !live && button(`⟲ ${t('Reset')}`, () => ask({ verb: 'reset', execution: execution.id }, name), { class: 'layui-btn-primary', id: 'reset' }),
  ].filter(Boolean));
}

// One number for all its runs.
async function prioritize([first, ...others]) {
  const answer = await ask({ verb: 'prioritize', run: first.id, priority: first.priority }, name);
  if (!answer) return;
  const { priority } = answer.verb;
  first.priority = priority;
  for (const run of others) {
    // One that has ended meanwhile, or has that priority already, is refused: no matter.
    const said = await api('/api/v1/commands', { method: 'POST', body: JSON.stringify({ verb: 'prioritize', run: run.id, priority }) });
    if (said.result === 'done') run.priority = priority;
  }
}

// ---- what failed first, what is waited for ----
function card(root) {
  const cause = el('pre', { class: 'ex-cause' }, '…');
  const last = root.last;
  if (last) {
    api(`/api/v1/attempts/${last.id}/log/cause`).then(
      ({ line }) => { cause.textContent = line ? line.text : t('it has written nothing'); if (line) cause.dataset.at = `${line.stream}-${line.from}`; },
      (problem) => { cause.textContent = problem.message; cause.classList.add('muted'); });
  } else cause.textContent = why(root.reason);
  const may = data.may_execute;
  const toLog = () => { location.href = `/execute/job/log/${last.id}/${cause.dataset.at ? `#${cause.dataset.at}` : ''}`; };
  return el('article', { class: 'ex-root s-failed', 'data-job': root.id },
    el('header', {}, badge(root.state), el('button', { type: 'button', class: 'ex-link', onclick: () => select(root.id) }, root.name),
      el('span', { class: 'muted' }, `${root.interface} ${root.period}`), last && el('span', { class: 'muted' }, t('on host'), ' ', last.host.name),
      el('span', { class: 'muted' }, t('attempt {n} of {all}', { n: root.number, all: root.allowed })),
      last && el('b', {}, endWords(last)), last?.ended_ms && el('span', { class: 'muted' }, clock(last.ended_ms))),
    cause,
    el('footer', {}, last && button(t('Open the log'), toLog, { class: 'layui-btn-primary' }),
      may && !isLive(runs.get(root.run)?.state) && button(t('Resume this run'), () => ask({ verb: 'resume', run: root.run }, `${root.interface} ${root.period}`)),
      may && button(t('Mark as succeeded'), () => ask({ verb: 'mark_success', run: root.run, job: root.job, reason: '' }, root.name), { class: 'layui-btn-primary' })));
}

let shownRoots = null;
async function roots() {
  const bad = [...jobs.values()].filter((job) => failed(job.state)).map((job) => `${job.id}#${job.number}`).sort().join();
  const gaveUp = [...runs.values()].filter((run) => run.state === 'failed' && ![...jobs.values()].some((job) => job.run === run.id && failed(job.state)));
  const key = `${bad}|${gaveUp.map((run) => run.id)}`;
  if (key === shownRoots) return;
  const first = shownRoots === null;
  shownRoots = key;
  const list = first ? data.roots : bad ? (await api(`/api/v1/executions/${execution.id}`)).failed_roots : [];
  if (key !== shownRoots) return;
  $('ex-roots').replaceChildren(...list.map(card), ...gaveUp.map((run) => el('article', { class: 'ex-root s-failed' },
    el('header', {}, badge('failed'), el('b', {}, `${run.interface.name} ${run.period}`), el('span', {}, t('gave up waiting')), ...run.waits.map((wait) => el('span', { class: 'muted' }, waitWords(wait)))))));
  const more = Number($('ex-roots').dataset.more || 0);
  if (more && first) $('ex-roots').append(el('p', { class: 'muted' }, t('and {n} more: see the tab Jobs', { n: more })));
}

let shownWaits = '';
function waits() {
  const inside = new Set(runs.keys());
  const list = [...runs.values()].filter((run) => ['waiting', 'paused'].includes(run.state) && run.waits.some((wait) => !inside.has(wait.run)));
  const key = JSON.stringify(list.map((run) => [run.id, run.waits]));
  if (key === shownWaits) return;
  shownWaits = key;
  $('ex-waits').replaceChildren(...list.slice(0, 8).map((run) => el('article', { class: 'ex-wait s-waiting' }, badge(run.state),
    el('b', {}, `${run.interface.name} ${run.period}`), ...run.waits.filter((wait) => !inside.has(wait.run)).map((wait) => el('a', { href: wait.interface ? `/interface/${wait.interface}/` : null }, waitWords(wait))),
    el('span', { class: 'muted' }, t('since {time}', { time: clock(run.created_ms) })),
    run.wait_until_ms && el('span', { class: 'muted' }, t('gives up at {time}', { time: clock(run.wait_until_ms) })),
    el('a', { href: `/why/?what=interface:${run.interface.id}&when=${encodeURIComponent(run.period)}` }, t('Why?')),
    data.may_execute && !run.joined && button(t('Begin anyway'), () => ask({ verb: 'force', run: run.id }, `${run.interface.name} ${run.period}`), { class: 'layui-btn-primary' }))));
}

// ---- tabs ----
const panes = {};
const query = () => new URLSearchParams(location.search);
function remember(changes) {
  const now = query();
  for (const [key, value] of Object.entries(changes)) if (value == null || value === '') now.delete(key); else now.set(key, value);
  history.replaceState(null, '', `${location.pathname}${now.size ? `?${now}` : ''}${location.hash}`);
}

let shownTab = null;
async function showTab(tab, more = {}) {
  shownTab = tab;
  remember({ tab: tab === 'mesh' ? null : tab, ...more });
  for (const link of document.querySelectorAll('#ex-tabs a')) {
    if (link.dataset.tab === tab) link.setAttribute('aria-current', 'page'); else link.removeAttribute('aria-current');
  }
  for (const pane of document.querySelectorAll('.ex-pane')) pane.hidden = pane.id !== `pane-${tab}`;
  if (panes[tab]) { panes[tab].show?.(); return; }
  const pane = $(`pane-${tab}`);
  try {
    const made = await TABS[tab]();
    if (panes[tab] || shownTab !== tab) return;
    panes[tab] = made.default(pane, { execution, runs, jobs, select, selected: () => chosen, remember, query });
  } catch (problem) {
    pane.replaceChildren(el('p', { class: 'notice bad' }, t('This part of the page could not be loaded.'), ' ', button(t('Retry'), () => location.reload(), { class: 'layui-btn-primary' })));
    throw problem;
  }
}
for (const link of document.querySelectorAll('#ex-tabs a')) link.addEventListener('click', (event) => { event.preventDefault(); showTab(link.dataset.tab); });

// ---- one selection for all tabs ----
let chosen = null;
async function select(id) {
  remember({ job: id });
  chosen = id;
  for (const pane of Object.values(panes)) pane.select?.(id);
  const { openDrawer, closeDrawer } = await drawer();
  if (chosen !== id) return;
  if (!id) { closeDrawer(); return; }
  openDrawer($('ex-drawer'), { execution: execution.id, job: jobs.get(id), run: runs.get(jobs.get(id)?.run), close: () => select(null) });
}
addEventListener('keydown', (event) => {
  if (event.target.closest('input, textarea, select, dialog[open]')) return;
  if (event.key === 'Escape' && chosen) { select(null); event.preventDefault(); }
});

// ---- live ----
function apply(delta) {
  Object.assign(execution, delta.execution);
  for (const run of delta.runs) { const { jobs: kept } = runs.get(run.id) || {}; runs.set(run.id, { ...run, jobs: kept }); }
  for (const job of delta.jobs) jobs.set(job.id, job);
  head(); buttons(); roots(); waits();
  for (const pane of Object.values(panes)) pane.change?.(delta.jobs, delta.runs);
  const own = delta.jobs.find((job) => job.id === chosen);
  if (own) drawer().then(({ touchDrawer }) => touchDrawer(own));
}

head();
buttons();
roots();
waits();
showTab(Object.hasOwn(TABS, query().get('tab')) ? query().get('tab') : 'mesh');
if (jobs.has(query().get('job'))) select(query().get('job'));
watch({ execution: execution.id, after: data.batch }, { delta: apply });
setInterval(() => { if (!document.hidden && isLive(execution.state)) { head(); panes.mesh?.tick?.(); } }, 1000);
