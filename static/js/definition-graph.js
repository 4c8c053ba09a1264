// The graph tab of an interface: its jobs, what follows it, the whole mesh.
import { drawMesh } from './mesh.js';
import { t } from './t.js';

const host = document.getElementById('graph');
const buttons = [...document.querySelectorAll('[data-graph]')];

async function show(of) {
  for (const button of buttons) {
    const here = button.dataset.graph === of;
    button.classList.toggle('layui-btn-primary', !here);
    button.setAttribute('aria-pressed', String(here));
  }
  try {
    const answer = await fetch(`${host.dataset.source}?of=${of}`);
    const data = await answer.json();
    if (!answer.ok) throw new Error(data.detail);
    if (!data.groups.length || (of === 'jobs' && !data.nodes.length)) {
      host.textContent = t('There is nothing to draw yet.');
      return;
    }
    drawMesh(host, data, {
      onNode: (node) => { location.href = `/job/${node.id}/`; },
      onGroup: (group) => { location.href = `/interface/${group.id}/?tab=graph`; },
    });
  } catch (error) {
    host.textContent = t('The graph could not be loaded: {why}', { why: error.message });
  }
}
for (const button of buttons) {
  button.addEventListener('click', () => {
    history.replaceState(null, '', `?tab=graph#${button.dataset.graph}`);
    show(button.dataset.graph);
  });
}
show(['local', 'all'].includes(location.hash.slice(1)) ? location.hash.slice(1) : 'jobs');
