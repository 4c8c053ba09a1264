// The tab Gantt of an execution.

import { el } from './state.js';
import { drawGantt } from './gantt.js';

export default function (pane, { execution, runs, jobs, select, selected, remember, query }) {
  const host = el('div', { class: 'gantt-host' });
  pane.append(host);
  const rows = () => [...runs.values()].flatMap((run) => [{ id: run.id, head: true, label: `${run.interface.name} ${run.period}` },
    ...[...jobs.values()].filter((job) => job.run === run.id).sort((a, b) => (a.started_ms ?? Infinity) - (b.started_ms ?? Infinity) || a.job - b.job)
      .map((job) => ({ id: job.id, label: job.name, state: job.state, created: run.created_ms, ready: job.ready_ms, started: job.started_ms, ended: job.ended_ms ?? (job.started_ms ? null : run.ended_ms ?? execution.ended_ms) }))]);
  const drawn = drawGantt(host, rows(), { onRow: (row) => select(row.id) });
  return { change: () => drawn.setRows(rows()) };
}
