// Rows of the steps of an attempt: the table of a drawer and of the page of a log, read again while it
// runs. The leader keeps them every ten seconds, so nobody asks more often.

import { t } from './t.js';
import { api, duration, el } from './state.js';

const EVERY_MS = 10000;
const number = (value) => value.toLocaleString();

const COLUMNS = [
  ['entry', t('Entry'), (step) => step.entry],
  ['part', t('Part'), (step) => step.part],
  ['name', t('Step'), (step) => [step.name, step.lines > 1 && el('span', { class: 'tag' }, `×${step.lines}`),
    step.lines === 0 && el('span', { class: 'tag s-running' }, step.at_row ? t('at row {n}', { n: number(step.at_row) }) : t('runs'))]],
  ['input', t('From outside')], ['read', t('From steps')], ['written', t('To steps')], ['output', t('To outside')],
  ['updated', t('Changed rows')], ['errors', t('Errors, rejected')],
  ['speed', t('Rows/s'), (step) => (step.speed == null ? '' : number(step.speed))],
  ['took', t('Took'), (step) => (step.took_ms ? duration(step.took_ms) : '')],
];
const FEW = ['name', 'speed', 'input', 'output', 'errors'];

const WORDS = ['entry', 'part', 'name'];

/** few: what fits a drawer */
export function stepsTable(steps, few = false) {
  const all = COLUMNS.filter(([key]) => key !== 'entry' || steps.some((step) => step.entry));
  const columns = few ? FEW.map((wanted) => COLUMNS.find(([key]) => key === wanted)) : all;
  const cell = (step, [key, label, show]) => el('td', { 'data-label': label, class: WORDS.includes(key) ? null : 'number', title: few && key === 'name' ? [step.entry, step.part].filter(Boolean).join(' › ') : null },
    [show ? show(step) : number(step[key])].flat().filter(Boolean).flatMap((one, at) => (at ? [' ', one] : [one])));
  return el('div', { class: 'table-box' }, el('table', { class: `layui-table${few ? '' : ' cards'}` },
    el('thead', {}, el('tr', {}, columns.map(([key, label]) => el('th', { class: WORDS.includes(key) ? null : 'number' }, label)))),
    el('tbody', {}, steps.map((step) => el('tr', { class: step.errors ? 's-failed' : null }, columns.map((column) => cell(step, column)))))));
}

/** Calls `show(steps)` with what is new, until the attempt has ended or `stop()` is called. */
export function followSteps(attempt, show) {
  let timer = 0, shown = '', stopped = false;
  async function look() {
    let ended = false;
    if (!document.hidden) {
      try {
        const facts = await api(`/api/v1/attempts/${attempt}`);
        if (stopped) return;
        const key = JSON.stringify(facts.steps);
        // What is kept after its end comes a moment later.
        ended = facts.end != null && Date.now() - (facts.ended_ms ?? 0) > 2 * EVERY_MS;
        if (key !== shown && facts.steps.length) { shown = key; show(facts.steps); }
      } catch { /* It is away for a moment: asked again. */ }
    }
    if (!stopped && !ended) timer = setTimeout(look, EVERY_MS);
  }
  timer = setTimeout(look, EVERY_MS);
  return { stop: () => { stopped = true; clearTimeout(timer); } };
}

const card = document.getElementById('steps');
// What ended long ago changes no more.
if (card && !(Number(card.dataset.ended) && Date.now() - Number(card.dataset.ended) > 3 * EVERY_MS)) followSteps(card.dataset.attempt, (steps) => { card.querySelector('.steps-rows').replaceChildren(stepsTable(steps)); card.hidden = false; });
