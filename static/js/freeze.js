// Freezing and unfreezing an interface or a job: what that would hold, or let go on, is asked of the
// server and shown in numbers; then why, for the history of versions.

import { t } from './t.js';
import { api, button, clock, el } from './state.js';

const give = (place, body) => api(place, { method: 'POST', body: JSON.stringify(body) });

/** What a plan says, in sentences. */
function sentences(plan, freeze) {
  const say = [];
  const add = (n, one, many) => { if (n) say.push(n === 1 ? one : many.replace('{n}', n)); };
  add(plan.runs_live, t('1 run of it is live'), t('{n} runs of it are live'));
  if (freeze) add(plan.jobs_held, t('holds 1 job that has not begun'), t('holds {n} jobs that have not begun'));
  else add(plan.jobs_held, t('1 job that has not begun goes on'), t('{n} jobs that have not begun go on'));
  add(plan.jobs_queued, t('1 of these is queued'), t('{n} of these are queued'));
  add(plan.jobs_running, t('1 job is at work, and goes on in any case'), t('{n} jobs are at work, and go on in any case'));
  add(plan.jobs_after, t('1 job of the interface comes after it'), t('{n} jobs of the interface come after it'));
  if (freeze) add(plan.dispatches_skipped, t('1 dispatch starts nothing any more'), t('{n} dispatches start nothing any more'));
  else add(plan.dispatches_skipped, t('1 dispatch fires again'), t('{n} dispatches fire again'));
  if (plan.next_ms) say.push(t('the next instant is {at}', { at: clock(plan.next_ms, true) }));
  if (freeze) add(plan.dispatches_held, t('1 dispatch makes runs in which it is held'), t('{n} dispatches make runs in which it is held'));
  else add(plan.dispatches_held, t('1 dispatch makes runs of it'), t('{n} dispatches make runs of it'));
  add(plan.interfaces_waiting, t('1 interface waits for it'), t('{n} interfaces wait for it'));
  if (plan.interfaces_behind > plan.interfaces_waiting) say.push(t('{n} with those that wait for these', { n: plan.interfaces_behind }));
  return say;
}

/** `place`: of the API, ends with `freeze` or `unfreeze`. Resolves to whether it was done. */
export function turn(place, what) {
  const freeze = !place.endsWith('/unfreeze');
  const title = freeze ? t('Freeze') : t('Thaw');
  return new Promise((resolve) => {
    let done = false;
    const plan = el('div', { class: 'plan-says', 'aria-live': 'polite' }, el('p', { class: 'muted' }, '…'));
    const reason = el('textarea', { class: 'layui-textarea', rows: 2, maxlength: 500, id: 'plan-reason', placeholder: t('why: it is kept with the version that this makes') });
    const error = el('p', { class: 'field-error', role: 'alert', hidden: true });
    const fail = (problem) => { error.hidden = false; error.textContent = problem.fields?.[0]?.message || problem.message; };
    const sure = button(title, act, { disabled: true });
    const dialog = el('dialog', { class: 'plan-dialog', 'aria-label': title }, el('h2', {}, title), el('p', { class: 'plan-what' }, what), plan,
      el('label', { class: 'plan-reason', for: 'plan-reason' }, t('Reason'), reason), error,
      el('div', { class: 'plan-buttons' }, button(t('Cancel'), () => dialog.close(), { class: 'layui-btn-primary' }), sure));
    dialog.addEventListener('close', () => { dialog.remove(); resolve(done); });
    document.body.append(dialog);
    dialog.showModal();
    let from = null;
    async function act() {
      sure.disabled = true;
      error.hidden = true;
      try {
        await give(place, { reason: reason.value, from });
        done = true;
        dialog.close();
      } catch (problem) { fail(problem); sure.disabled = false; }
    }
    give(place, { dry_run: true }).then((dry) => {
      const said = sentences(dry.plan, freeze);
      from = dry.version;
      plan.replaceChildren(said.length ? el('ul', {}, said.map((one) => el('li', {}, one))) : el('p', {}, t('nothing of it lives, and nothing fires it')));
      sure.disabled = false;
      reason.focus();
    }, (problem) => { plan.replaceChildren(); fail(problem); });
  });
}
