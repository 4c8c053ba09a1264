// All executions that the filters of the list find, resumed: first what that would be, in numbers.

import { t, why } from './t.js';
import { api, button, el } from './state.js';
import { toast } from './verbs.js';

const MOST = 1000;
const AT_ONCE = 8;

async function found() {
  const query = new URLSearchParams(location.search);
  query.delete('cursor');
  query.set('limit', '200');
  const all = [];
  for (;;) {
    const page = await api(`/api/v1/executions?${query}`);
    all.push(...page.items);
    if (!page.next || all.length >= MOST) return { all: all.slice(0, MOST), more: Boolean(page.next) || all.length > MOST };
    query.set('cursor', page.next);
  }
}

/** The same command for each, some at a time; the oldest first, as they would have run. */
async function each(all, dryRun, tell, going) {
  const sum = { resumed: [], jobs: 0, refused: [] };
  const rest = [...all].reverse();
  let done = 0;
  const work = async () => {
    for (let one = going() && rest.shift(); one; one = going() && rest.shift()) {
      try {
        const answer = await api('/api/v1/commands', { method: 'POST', body: JSON.stringify({ verb: 'resume_execution', execution: one.id, dry_run: dryRun }) });
        // Written down, and not answered: no leader just now.
        if (!answer.result) sum.refused.push({ one, why: answer.detail });
        else if (answer.plan?.refused) sum.refused.push({ one, why: why(answer.plan.refused) });
        else { sum.resumed.push(one); sum.jobs += answer.plan?.jobs_reset ?? 0; }
      } catch (problem) { sum.refused.push({ one, why: problem.message }); }
      done += 1;
      tell(done);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return sum;
}

function listed(refused) {
  if (!refused.length) return [];
  const first = refused.slice(0, 10).map(({ one, why: because }) => el('li', {}, `${one.interface.name} ${one.period}: ${because}`));
  return [el('p', {}, t('{n} are refused', { n: refused.length })), el('ul', {}, first)];
}

export async function resumeAll() {
  const says = el('div', { class: 'plan-says', 'aria-live': 'polite' }, el('p', { class: 'muted' }, t('asking the leader what this would do …')));
  const sure = button(t('Resume'), act, { disabled: true });
  const dialog = el('dialog', { class: 'plan-dialog', 'aria-label': t('Resume all of these') }, el('h2', {}, t('Resume all of these')), says,
    el('div', { class: 'plan-buttons' }, button(t('Cancel'), () => dialog.close(), { class: 'layui-btn-primary' }), sure));
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  let chosen = [];
  const counting = (all) => (done) => { says.replaceChildren(el('p', { class: 'muted' }, `${done} / ${all.length}`)); };

  async function act() {
    sure.disabled = true;
    const sum = await each(chosen, false, counting(chosen), () => dialog.open);
    if (sum.refused.length) {
      says.replaceChildren(el('p', {}, t('Executions resumed: {n}; jobs that start again: {jobs}', { n: sum.resumed.length, jobs: sum.jobs })), ...listed(sum.refused));
      return;
    }
    dialog.close();
    toast(t('Executions resumed: {n}; jobs that start again: {jobs}', { n: sum.resumed.length, jobs: sum.jobs }));
    setTimeout(() => location.reload(), 1500);
  }

  try {
    const { all, more } = await found();
    const plan = await each(all, true, counting(all), () => dialog.open);
    chosen = plan.resumed;
    says.replaceChildren(el('p', {}, t('Executions to resume: {n}; jobs that start again: {jobs}', { n: plan.resumed.length, jobs: plan.jobs })),
      more ? el('p', { class: 'notice warn' }, t('There are more than {n}: these are the newest.', { n: MOST })) : '',
      ...listed(plan.refused));
    sure.disabled = chosen.length === 0;
    sure.focus();
  } catch (problem) { says.replaceChildren(el('p', { class: 'field-error' }, problem.message)); }
}
