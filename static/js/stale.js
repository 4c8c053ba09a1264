// What is stale, run anew with what follows from it: first what that would be, in numbers.

import { t, why } from './t.js';
import { api, button, el } from './state.js';
import { ask, sentences, toast } from './verbs.js';

const verb = (row) => ({ verb: 'run_now', interface: Number(row.dataset.rerun), period: row.dataset.period, cascade: true });
const later = () => setTimeout(() => location.reload(), 1500);

/** One after the other: what follows from the first is joined by the next. */
async function each(rows, dryRun, going) {
  const sum = { plan: {}, refused: [] };
  for (const row of rows) {
    if (!going()) break;
    try {
      const answer = await api('/api/v1/commands', { method: 'POST', body: JSON.stringify({ ...verb(row), dry_run: dryRun }) });
      if (!answer.result || answer.plan?.refused) sum.refused.push(`${row.dataset.name}: ${why(answer.plan?.refused) || answer.detail}`);
      else for (const [key, n] of Object.entries(answer.plan)) if (Number.isInteger(n)) sum.plan[key] = (sum.plan[key] || 0) + n;
    } catch (problem) { sum.refused.push(`${row.dataset.name}: ${problem.message}`); }
  }
  return sum;
}

async function all() {
  const rows = [...document.querySelectorAll('#stale [data-rerun]')];
  const says = el('div', { class: 'plan-says', 'aria-live': 'polite' }, el('p', { class: 'muted' }, t('asking the leader what this would do …')));
  const title = t('Run all of these anew');
  const sure = button(t('Run anew'), act, { disabled: true });
  const dialog = el('dialog', { class: 'plan-dialog', 'aria-label': title }, el('h2', {}, title), says,
    el('div', { class: 'plan-buttons' }, button(t('Cancel'), () => dialog.close(), { class: 'layui-btn-primary' }), sure));
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  const going = () => dialog.open;
  const refused = (sum) => (sum.refused.length ? [el('p', {}, t('{n} are refused', { n: sum.refused.length })), el('ul', {}, sum.refused.slice(0, 10).map((one) => el('li', {}, one)))] : []);
  async function act() {
    sure.disabled = true;
    const sum = await each(rows, false, going);
    if (sum.refused.length) { says.replaceChildren(...refused(sum)); return; }
    dialog.close();
    toast([t('done'), ...sentences(sum.plan, true)].join(' · '));
    later();
  }
  const sum = await each(rows, true, going);
  says.replaceChildren(el('ul', {}, sentences(sum.plan).map((one) => el('li', {}, one))), ...refused(sum));
  sure.disabled = sum.refused.length === rows.length;
  sure.focus();
}

document.getElementById('rerun-all')?.addEventListener('click', all);
document.getElementById('stale')?.addEventListener('click', async (event) => {
  const row = event.target.closest('[data-rerun]');
  if (row && await ask(verb(row), row.dataset.name)) later();
});
