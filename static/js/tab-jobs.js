// The tab Jobs of an execution: a table with what troubles first.

import { t, why } from './t.js';
import { SHAPES, WORDS, badge, button, clock, duration, el } from './state.js';
import { RANK, failed, waitWords } from './words.js';

export default function (pane, { execution, runs, jobs, select, selected, remember, query }) {
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
    const told = why(job.reason) || job.waits.map(waitWords).join(' · ');
    const width = el('i');
    width.style.width = `${took ? Math.max(2, (took / longest) * 100) : 0}%`;
    return el('tr', { 'data-id': job.id, class: job.id === selected() ? 'here' : null, tabindex: '0', onclick: () => select(job.id), onkeydown: (event) => { if (event.key === 'Enter') select(job.id); } },
      cell(t('State'), badge(job.state), { class: 'tight' }), cell(t('Job'), el('b', {}, job.name)), cell(t('Interface'), `${run.interface.name} ${run.period}`),
      cell(t('Host'), job.host?.name || ''), cell(t('Attempt'), job.number ? `${job.number} / ${job.allowed}` : '', { class: 'tight' }), cell(t('Started'), job.started_ms ? clock(job.started_ms) : '', { class: 'tight' }),
      cell(t('Duration'), took == null ? '' : el('span', { class: 'ex-duration' }, duration(took), el('span', { class: `ex-length s-${job.state}` }, width))),
      cell(t('Why'), told ? el('span', { class: 'ex-why' }, told) : null, { class: 'wide' }));
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
    select: () => { for (const row of body.children) row.classList.toggle('here', row.dataset.id === selected()); },
  };
}
