// The page of one execution. Its data came with the page; the live stream changes it in place.
// Head and cards are drawn here, each tab when it is opened; the drawer is in drawer.js.

import { t } from './t.js';
import { SHAPES, WORDS, api, badge, button, clock, duration, el, isLive, jobsBar } from './state.js';
import { drawMesh } from './mesh.js';
import { drawGantt } from './gantt.js';
import { viewLog } from './log.js';
import { openDrawer, closeDrawer, drawerJob, touchDrawer } from './drawer.js';
import { ask } from './verbs.js';
import { watch } from './live.js';

const data = JSON.parse(document.getElementById('ex-data').textContent);
const execution = data.execution;
const runs = new Map(data.runs.map((run) => [run.id, run]));
const jobs = new Map(data.runs.flatMap((run) => run.jobs.map((job) => [job.id, job])));
const name = `${execution.interface.name} ${execution.period}`;
const failed = (state) => state === 'failed' || state === 'timed_out';
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
  const all = async (list, verb) => { for (const run of list) if (!await ask({ verb, run: run.id }, `${run.interface.name} ${run.period}`)) break; };
  $('ex-buttons').replaceChildren(...[
    !live && ['failed', 'stopped'].includes(execution.state) && button(`↻ ${t('Resume from failure')}`, () => ask({ verb: 'resume_execution', execution: execution.id }, name), { id: 'resume' }),
    paused.length && button(`▶ ${t('Go on')}`, () => all(paused, 'unpause'), { id: 'unpause' }),
    live && active.length && button(`‖ ${t('Pause')}`, () => all(active, 'pause'), { class: 'layui-btn-primary', id: 'pause' }),
    live && button(`■ ${t('Stop')}`, () => ask({ verb: 'stop_execution', execution: execution.id }, name), { class: 'layui-btn-primary danger', id: 'stop' }),
    !live && button(`▶ ${t('Run again')}`, async () => {
      const answer = await ask({ verb: 'run_now', interface: execution.interface.id, period: execution.period, cascade: execution.cascade, params: execution.params }, name);
      if (answer?.plan?.execution) location.href = `/execute/flow/detail/${answer.plan.execution}/`;
    }, { class: 'layui-btn-primary', id: 'again' }),
  ].filter(Boolean));
}

// ---- what failed first, what is waited for ----
const ENDS = {
  code: t('exit code'), signal: t('signal'), killed: t('killed'), fenced: t('fenced: its host was cut off'), timed_out: t('timed out'),
  refused: t('refused by the host'), unknown: t('how it ended is not known'), lost: t('its host was lost'), abandoned: t('abandoned'),
};
export const endWords = (last) => !last?.end ? '' : [ENDS[last.end] || last.end, last.code ?? '', last.text || ''].filter((one) => one !== '').join(' ');

function card(root) {
  const cause = el('pre', { class: 'ex-cause' }, '…');
  const last = root.last;
  if (last) {
    api(`/api/v1/attempts/${last.id}/log/cause`).then(
      ({ line }) => { cause.textContent = line ? line.text : t('it has written nothing'); if (line) cause.dataset.at = `${line.stream}-${line.from}`; },
      (problem) => { cause.textContent = problem.message; cause.classList.add('muted'); });
  } else cause.textContent = root.reason || '';
  const may = data.may_execute;
  const toLog = () => { location.href = `/execute/job/log/${last.id}/${cause.dataset.at ? `#${cause.dataset.at}` : ''}`; };
  return el('article', { class: 'ex-root s-failed', 'data-job': root.id },
    el('header', {}, badge(root.state), el('button', { type: 'button', class: 'ex-link', onclick: () => select(root.id) }, root.name),
      el('span', { class: 'muted' }, `${root.interface} ${root.period}`), last && el('span', { class: 'muted' }, t('on host'), ' ', last.host.name),
      el('span', { class: 'muted' }, t('attempt {n} of {all}', { n: root.number, all: root.allowed })),
      last && el('b', {}, endWords(last)), last?.ended_ms && el('span', { class: 'muted' }, clock(last.ended_ms))),
    cause,
    el('footer', {}, last && button(t('Open the log'), toLog, { class: 'layui-btn-primary' }),
      may && !isLive(runs.get(root.run)?.state) && button(t('Resume from here'), () => ask({ verb: 'resume', run: root.run }, `${root.interface} ${root.period}`)),
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

export function waitWords(wait) {
  const what = `${wait.name}${wait.job_name ? ' / ' + wait.job_name : ''} ${wait.period}`;
  return { run: t('waits for the success of {what}', { what }), success: t('waits for a success of {what}', { what }), job: t('waits for the success of {what}', { what }),
    idle: t('waits until nothing of {what} runs', { what }), success_or_none: t('waits until {what} has succeeded, if there is one', { what }) }[wait.kind] || what;
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
    run.wait_until_ms && el('span', { class: 'muted' }, t('gives up at {time}', { time: clock(run.wait_until_ms) })))));
}

// ---- tabs ----
const panes = {};
const query = () => new URLSearchParams(location.search);
function remember(changes) {
  const now = query();
  for (const [key, value] of Object.entries(changes)) if (value == null || value === '') now.delete(key); else now.set(key, value);
  history.replaceState(null, '', `${location.pathname}${now.size ? `?${now}` : ''}${location.hash}`);
}

function showTab(tab, more = {}) {
  remember({ tab: tab === 'mesh' ? null : tab, ...more });
  for (const link of document.querySelectorAll('#ex-tabs a')) {
    if (link.dataset.tab === tab) link.setAttribute('aria-current', 'page'); else link.removeAttribute('aria-current');
  }
  for (const pane of document.querySelectorAll('.ex-pane')) pane.hidden = pane.id !== `pane-${tab}`;
  const pane = $(`pane-${tab}`);
  if (panes[tab]) panes[tab].show?.(); else panes[tab] = ({ mesh: meshTab, gantt: ganttTab, jobs: jobsTab, log: logTab, params: () => ({}) })[tab](pane);
}
for (const link of document.querySelectorAll('#ex-tabs a')) link.addEventListener('click', (event) => { event.preventDefault(); showTab(link.dataset.tab); });

function meshTab(pane) {
  const host = el('div', { class: 'mesh-host' });
  pane.append(host);
  let drawn = null, folded = query().get('folded') || 'auto', shape = '';
  const noted = (node) => {
    const job = jobs.get(node.id);
    return { ...node, note: job ? spent(job) : '', state: job?.state ?? node.state, reason: job?.reason, start: job?.started_ms, end: job?.ended_ms };
  };
  async function load() {
    try {
      const fresh = await api(`/api/v1/executions/${execution.id}/mesh?folded=${encodeURIComponent(folded)}`);
      fresh.nodes = fresh.nodes.map(noted);
      shape = waitsShape();
      if (drawn) { drawn.setData(fresh); return; }
      const fold = (id) => {
        const now = new Set(fresh0().groups.filter((group) => group.folded).map((group) => group.id));
        if (now.has(id)) now.delete(id); else now.add(id);
        folded = [...now].join(',') || 'none';
        remember({ folded });
        load();
      };
      let last = fresh;
      const fresh0 = () => last;
      drawn = drawMesh(host, fresh, {
        critical: true,
        onNode: (node) => select(node.id),
        onGroup: (group) => { if (group.folded && !group.outside) fold(group.id); },
        onFold: (group) => { if (group.outside) location.href = `/interface/${group.interface}/`; else fold(group.id); },
        onFoldAll: (all) => { folded = all ? 'all' : 'none'; remember({ folded }); load(); },
      });
      const set = drawn.setData;
      drawn.setData = (given) => { last = given; set(given); };
      if (drawerJob()) drawn.select(drawerJob());
    } catch (problem) {
      host.replaceChildren(el('p', { class: 'notice bad' }, problem.message, ' ', button(t('Retry'), load, { class: 'layui-btn-primary' })));
    }
  }
  load();
  return {
    change(changedJobs, changedRuns) {
      if (!drawn) return;
      if (waitsShape() !== shape) { load(); return; }
      const changes = {};
      for (const job of changedJobs) changes[job.id] = { state: job.state, note: spent(job), reason: job.reason, start: job.started_ms, end: job.ended_ms };
      for (const run of changedRuns) changes[run.id] = { state: run.state };
      drawn.update(changes);
    },
    tick() {
      const changes = {};
      for (const job of jobs.values()) if (job.state === 'running') changes[job.id] = { note: spent(job) };
      if (Object.keys(changes).length && drawn) drawn.update(changes);
    },
    select: (id) => drawn?.select(id),
    where: (id) => drawn?.where(id),
  };
}
const waitsShape = () => JSON.stringify([...runs.values(), ...jobs.values()].map((one) => one.waits).filter((one) => one?.length));
const spent = (job) => job.started_ms ? duration((job.ended_ms ?? Date.now()) - job.started_ms) : '';

function ganttTab(pane) {
  const host = el('div', { class: 'gantt-host' });
  pane.append(host);
  const rows = () => [...runs.values()].flatMap((run) => [{ id: run.id, head: true, label: `${run.interface.name} ${run.period}` },
    ...[...jobs.values()].filter((job) => job.run === run.id).sort((a, b) => (a.started_ms ?? Infinity) - (b.started_ms ?? Infinity) || a.job - b.job)
      .map((job) => ({ id: job.id, label: job.name, state: job.state, created: run.created_ms, ready: job.ready_ms, started: job.started_ms, ended: job.ended_ms ?? (job.started_ms ? null : run.ended_ms ?? execution.ended_ms) }))]);
  const drawn = drawGantt(host, rows(), { onRow: (row) => select(row.id) });
  return { change: () => drawn.setRows(rows()) };
}

const RANK = ['failed', 'timed_out', 'unknown', 'running', 'stopping', 'assigned', 'queued', 'waiting', 'stopped', 'skipped', 'succeeded'];
function jobsTab(pane) {
  const SHOWN = 500;
  let limit = SHOWN;
  const words = el('input', { type: 'search', class: 'layui-input', placeholder: t('Name of a job'), 'aria-label': t('Name of a job'), value: query().get('q') || '' });
  const states = el('select', { class: 'layui-input', 'aria-label': t('State') }, el('option', { value: '' }, t('All states')), RANK.map((state) => el('option', { value: state }, `${SHAPES[state]} ${WORDS[state]}`)));
  states.value = query().get('state') || '';
  const body = el('tbody');
  const foot = el('div', { class: 'pager' });
  pane.append(el('div', { class: 'filters' }, words, states), el('div', { class: 'table-box' }, el('table', { class: 'layui-table cards' },
    el('thead', {}, el('tr', {}, [t('State'), t('Job'), t('Interface'), t('Host'), t('Attempt'), t('Started'), t('Duration'), t('Why')].map((one) => el('th', {}, one)))), body)), foot);
  const cell = (label, content, attributes = {}) => el('td', { 'data-label': label, ...attributes }, content);
  function line(job, longest) {
    const run = runs.get(job.run);
    const took = job.started_ms ? (job.ended_ms ?? Date.now()) - job.started_ms : null;
    const why = job.reason || job.waits.map(waitWords).join(' · ');
    const width = el('i');
    width.style.width = `${took ? Math.max(2, (took / longest) * 100) : 0}%`;
    return el('tr', { 'data-id': job.id, class: job.id === drawerJob() ? 'here' : null, tabindex: '0', onclick: () => select(job.id), onkeydown: (event) => { if (event.key === 'Enter') select(job.id); } },
      cell(t('State'), badge(job.state), { class: 'tight' }), cell(t('Job'), el('b', {}, job.name)), cell(t('Interface'), `${run.interface.name} ${run.period}`),
      cell(t('Host'), job.host?.name || ''), cell(t('Attempt'), job.number ? `${job.number} / ${job.allowed}` : '', { class: 'tight' }), cell(t('Started'), job.started_ms ? clock(job.started_ms) : '', { class: 'tight' }),
      cell(t('Duration'), took == null ? '' : el('span', { class: 'ex-duration' }, duration(took), el('span', { class: `ex-length s-${job.state}` }, width))),
      cell(t('Why'), why ? el('span', { class: 'ex-why' }, why) : null, { class: 'wide' }));
  }
  function fill() {
    const sought = words.value.trim().toLowerCase();
    const list = [...jobs.values()].filter((job) => (!states.value || job.state === states.value || (states.value === 'failed' && failed(job.state))) && (!sought || job.name.toLowerCase().includes(sought)))
      .sort((a, b) => RANK.indexOf(a.state) - RANK.indexOf(b.state) || (b.started_ms ?? 0) - (a.started_ms ?? 0) || a.id.localeCompare(b.id));
    const longest = Math.max(1, ...list.map((job) => job.started_ms ? (job.ended_ms ?? Date.now()) - job.started_ms : 0));
    body.replaceChildren(...list.slice(0, limit).map((job) => line(job, longest)));
    foot.replaceChildren(t('{n} jobs', { n: list.length }), list.length > limit ? button(t('show more'), () => { limit += SHOWN; fill(); }, { class: 'layui-btn-primary' }) : '');
  }
  words.addEventListener('input', () => { remember({ q: words.value }); fill(); });
  states.addEventListener('change', () => { remember({ state: states.value }); fill(); });
  fill();
  let asked = 0;
  return {
    show: () => { states.value = query().get('state') || states.value; fill(); },
    change: () => { if (!asked) asked = setTimeout(() => { asked = 0; fill(); }, 300); },
    select: () => { for (const row of body.children) row.classList.toggle('here', row.dataset.id === drawerJob()); },
  };
}

function logTab(pane) {
  const with_log = () => [...jobs.values()].filter((job) => job.attempt).sort((a, b) => RANK.indexOf(a.state) - RANK.indexOf(b.state) || (b.started_ms ?? 0) - (a.started_ms ?? 0));
  const pick = el('select', { class: 'layui-input', 'aria-label': t('Job') });
  const host = el('div', { class: 'ex-log' });
  pane.append(el('div', { class: 'filters' }, pick), host);
  let shown = null, view = null;
  function fill() {
    const list = with_log();
    pick.replaceChildren(...list.slice(0, 1000).map((job) => el('option', { value: job.attempt }, `${SHAPES[job.state]} ${job.name} · ${runs.get(job.run).interface.name} ${runs.get(job.run).period} · ${t('attempt {n}', { n: job.number })}`)));
    if (!list.length) { host.replaceChildren(el('p', { class: 'empty' }, t('No job has begun yet.'))); return; }
    const wanted = jobs.get(drawerJob())?.attempt || shown || list[0].attempt;
    pick.value = wanted;
    if (wanted !== shown) { shown = wanted; view?.destroy(); view = viewLog(host, wanted); }
  }
  pick.addEventListener('change', () => { shown = pick.value; view?.destroy(); view = viewLog(host, shown); });
  fill();
  return { show: fill, change: () => { if (!shown) fill(); }, select: fill };
}

// ---- one selection for all tabs ----
function select(id) {
  remember({ job: id });
  if (!id) { closeDrawer(); for (const pane of Object.values(panes)) pane.select?.(null); return; }
  openDrawer($('ex-drawer'), { execution: execution.id, job: jobs.get(id), run: runs.get(jobs.get(id)?.run), close: () => select(null) });
  for (const pane of Object.values(panes)) pane.select?.(id);
}
addEventListener('keydown', (event) => {
  if (event.target.closest('input, textarea, select, dialog[open]')) return;
  if (event.key === 'Escape' && drawerJob()) { select(null); event.preventDefault(); }
});

// ---- live ----
function apply(delta) {
  Object.assign(execution, delta.execution);
  for (const run of delta.runs) { const { jobs: kept } = runs.get(run.id) || {}; runs.set(run.id, { ...run, jobs: kept }); }
  for (const job of delta.jobs) jobs.set(job.id, job);
  head(); buttons(); roots(); waits();
  for (const pane of Object.values(panes)) pane.change?.(delta.jobs, delta.runs);
  const own = delta.jobs.find((job) => job.id === drawerJob());
  if (own) touchDrawer(own);
}

head();
buttons();
roots();
waits();
showTab(query().get('tab') in { gantt: 1, jobs: 1, log: 1, params: 1 } ? query().get('tab') : 'mesh');
if (jobs.has(query().get('job'))) select(query().get('job'));
watch({ execution: execution.id, after: data.batch }, { delta: apply });
setInterval(() => { if (!document.hidden && isLive(execution.state)) { head(); panes.mesh?.tick?.(); } }, 1000);
