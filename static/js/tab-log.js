// The tab Log of an execution: one attempt at a time, chosen by its job.

import { t } from './t.js';
import { SHAPES, el } from './state.js';
import { RANK } from './words.js';
import { viewLog } from './log.js';

export default function (pane, { execution, runs, jobs, select, selected, remember, query }) {
  const with_log = () => [...jobs.values()].filter((job) => job.attempt).sort((a, b) => RANK.indexOf(a.state) - RANK.indexOf(b.state) || (b.started_ms ?? 0) - (a.started_ms ?? 0));
  const pick = el('select', { class: 'layui-input', 'aria-label': t('Job') });
  const host = el('div', { class: 'ex-log' });
  pane.append(el('div', { class: 'filters' }, pick), host);
  let shown = null, view = null;
  function fill() {
    const list = with_log();
    pick.replaceChildren(...list.slice(0, 1000).map((job) => el('option', { value: job.attempt }, `${SHAPES[job.state]} ${job.name} · ${runs.get(job.run).interface.name} ${runs.get(job.run).period} · ${t('attempt {n}', { n: job.number })}`)));
    if (!list.length) { host.replaceChildren(el('p', { class: 'empty' }, t('No job has begun yet.'))); return; }
    const wanted = jobs.get(selected())?.attempt || shown || list[0].attempt;
    pick.value = wanted;
    if (wanted !== shown) { shown = wanted; view?.destroy(); view = viewLog(host, wanted); }
  }
  pick.addEventListener('change', () => { shown = pick.value; view?.destroy(); view = viewLog(host, shown); });
  fill();
  return { show: fill, change: () => { if (!shown) fill(); }, select: fill };
}
