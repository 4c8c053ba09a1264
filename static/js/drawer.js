// The drawer of one job of an execution: attempts, why it waits, its command, its last lines live,
// and what may be done now.

import { t, why as said } from './t.js';
import { api, badge, button, bytes, clock, duration, el } from './state.js';
import { viewLog } from './log.js';
import { followSteps, stepsTable } from './steps.js';
import { ask } from './verbs.js';
import { endWords, waitWords } from './words.js';

let place = null, shown = null, log = null, rows = null, turn = 0;

export function closeDrawer() {
  turn++;
  log?.destroy();
  log = null;
  rows?.stop();
  rows = null;
  shown = null;
  if (place) { place.hidden = true; place.replaceChildren(); }
  document.body.classList.remove('with-drawer');
}

/** what: { execution, job, run, close } */
export async function openDrawer(host, what) {
  if (!what.job) return;
  if (shown?.job.id === what.job.id) return;
  place = host;
  shown = what;
  place.hidden = false;
  document.body.classList.add('with-drawer');
  await fill();
}

/** The job has changed: its facts are read anew. */
export function touchDrawer(job) {
  if (shown && job.id === shown.job.id) { shown.job = job; fill(); }
}

async function fill() {
  const mine = ++turn;
  const { execution, job, run, close } = shown;
  if (!place.querySelector('.drawer-head') || place.dataset.job !== job.id) {
    place.dataset.job = job.id;
    log?.destroy();
    log = null;
    place.replaceChildren(header(job, run, close), el('p', { class: 'muted drawer-load' }, t('loading …')));
    if (matchMedia('(max-width: 1100px)').matches) place.scrollIntoView({ block: 'start' });
  }
  let facts;
  try {
    facts = await api(`/api/v1/executions/${execution}/jobs/${job.run}/${job.job}`);
  } catch (problem) {
    if (mine === turn) place.replaceChildren(header(job, run, close), el('p', { class: 'notice bad' }, problem.message));
    return;
  }
  if (mine !== turn) return;
  const before = place.querySelector('.drawer-log');
  const kept = before && before.dataset.attempt === (facts.attempt || '') ? before : null;
  if (!kept) { log?.destroy(); log = null; }
  rows?.stop();
  const counted = el('div', { class: 'drawer-steps' }, steps(facts.steps));
  rows = facts.attempt && LIVE.has(facts.state) ? followSteps(facts.attempt, (news) => counted.replaceChildren(steps(news))) : null;
  const box = kept || (facts.attempt ? el('div', { class: 'drawer-log', 'data-attempt': facts.attempt }) : null);
  place.replaceChildren(...[header(facts, run, close), verbs(facts), parts(facts), why(facts), facts.attempts.length ? attempts(facts) : null, counted,
    box && el('h3', {}, t('Last lines'), ' ', el('a', { href: `/execute/job/log/${facts.attempt}/` }, t('open the log'))), box, command(facts)].filter(Boolean));
  if (box && !kept) log = viewLog(box, facts.attempt, { compact: true, tail: 6144 });
}

function header(job, run, close) {
  return el('div', { class: 'drawer-head' }, badge(job.state), el('h2', {}, el('a', { href: `/job/${job.job}/` }, job.name)),
    el('button', { type: 'button', class: 'drawer-close', 'aria-label': t('Close'), title: `${t('Close')} (Esc)`, onclick: close }, '✕'),
    el('p', { class: 'muted' }, run ? `${run.interface.name} ${run.period}${run.generation ? ` #${run.generation}` : ''} · ${job.kind} · ` : '', el('a', { href: `/why/?what=${job.id}` }, t('Why?'))));
}

const WORDS = { kill: t('Kill'), abandon: t('Abandon'), mark_success: t('Mark as succeeded'), resume: t('Resume this run'), skip: t('Leave it out'), force: t('Begin anyway') };
const REASONED = new Set(['mark_success', 'skip']);
function verbs(facts) {
  if (!facts.verbs.length) return null;
  return el('div', { class: 'drawer-verbs' }, facts.verbs.map((verb) => button(WORDS[verb], () => ask(
    verb === 'resume' ? { verb, run: facts.run } : { verb, run: facts.run, job: facts.job, ...(REASONED.has(verb) ? { reason: '' } : {}) },
    `${facts.name} · ${facts.interface.name} ${facts.period}`), { class: verb === 'resume' ? '' : verb === 'kill' || verb === 'abandon' ? 'layui-btn-primary danger' : 'layui-btn-primary' })));
}

const PARTS = { alone: t('Run it alone'), from: t('Run from here'), to: t('Run up to here') };
/** Of a run that has ended: some of its jobs as a new generation. */
function parts(facts) {
  if (!facts.parts) return null;
  return el('div', { class: 'drawer-verbs' }, Object.entries(PARTS).map(([part, text]) => button(text, async () => {
    const verb = { verb: 'run_part', interface: facts.interface.id, period: facts.period, job: facts.job, part };
    const answer = await ask(verb, `${text} · ${facts.name} · ${facts.interface.name} ${facts.period}`);
    if (answer?.plan?.execution) location.href = `/execute/flow/detail/${answer.plan.execution}/`;
  }, { class: 'layui-btn-primary', 'data-part': part })));
}

function why(facts) {
  const rows = [];
  const add = (label, ...value) => rows.push(el('dt', {}, label), el('dd', {}, ...value));
  if (facts.reason) add(t('Why'), said(facts.reason));
  if (facts.waits.length) add(t('Waits'), el('ul', {}, facts.waits.map((wait) => el('li', {}, waitWords(wait)))));
  if (facts.not_before_ms > Date.now()) add(t('Not before'), clock(facts.not_before_ms));
  if (facts.host) add(t('Host'), el('a', { href: `/base/exec/host/${facts.host.id}/` }, facts.host.name));
  if (facts.ready_ms) add(t('Ready at'), clock(facts.ready_ms));
  if (facts.started_ms) add(t('Started'), `${clock(facts.started_ms)}${facts.ready_ms ? ` (${t('queued for')} ${duration(facts.started_ms - facts.ready_ms)})` : ''}`);
  if (facts.ended_ms) add(t('Ended'), `${clock(facts.ended_ms)}${facts.started_ms ? ` (${t('ran')} ${duration(facts.ended_ms - facts.started_ms)})` : ''}`);
  return rows.length ? el('dl', { class: 'facts' }, rows) : null;
}

function attempts(facts) {
  return el('div', {}, el('h3', {}, t('Attempts')), el('ol', { class: 'drawer-attempts' }, facts.attempts.map((one) => el('li', { class: one.end && !(one.end === 'code' && one.code === 0) ? 's-failed' : '' },
    el('a', { href: `/execute/job/log/${one.id}/` }, t('attempt {n}', { n: one.number })), ' ', el('span', { class: 'muted' }, one.host.name), ' ',
    el('b', {}, one.end ? endWords(one) : t('lives')), ' ',
    el('span', { class: 'muted' }, [one.started_ms && clock(one.started_ms), one.started_ms && one.ended_ms && duration(one.ended_ms - one.started_ms),
      one.rss_max_kib != null && bytes(one.rss_max_kib * 1024), one.cpu_ms != null && `cpu ${duration(one.cpu_ms)}`].filter(Boolean).join(' · '))))));
}

const LIVE = new Set(['assigned', 'running', 'stopping', 'unknown']);
/** Rows of the steps of the newest attempt, where its kind counts them. */
function steps(list) {
  return list?.length ? el('div', {}, el('h3', {}, t('Rows of its steps')), stepsTable(list, true)) : '';
}

function command(facts) {
  if (!facts.command) return null;
  if (facts.command.error) return el('div', {}, el('h3', {}, t('Command')), el('p', { class: 'notice bad' }, facts.command.error));
  const env = Object.entries(facts.command.env);
  return el('div', {}, el('h3', {}, t('Command')), el('pre', { class: 'command' }, facts.command.text),
    el('details', {}, el('summary', {}, t('{n} variables', { n: env.length })), el('pre', { class: 'command' }, env.map(([key, value]) => `${key}=${value}`).join('\n'))));
}
