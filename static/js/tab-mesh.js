// The tab Mesh of an execution: the canvas of mesh.js, fed from the page's data and kept up to date.

import { t } from './t.js';
import { api, button, el } from './state.js';
import { spent } from './words.js';
import { drawMesh } from './mesh.js';

export default function (pane, { execution, runs, jobs, select, selected, remember, query }) {
  const waitsShape = () => JSON.stringify([...runs.values(), ...jobs.values()].map((one) => one.waits).filter((one) => one?.length));
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
      if (selected()) drawn.select(selected());
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
