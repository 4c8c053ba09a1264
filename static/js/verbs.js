// Verbs: a button first asks the leader what it would do (dry run), shows that in numbers, then
// does it. One dialog at a time; no "are you sure?" without content.

import { t, why } from './t.js';
import { api, button, el } from './state.js';

/** What a plan says, in sentences. */
export function sentences(plan, past) {
  const say = [];
  const add = (n, one, many) => { if (n) say.push(n === 1 ? one : many.replace('{n}', n)); };
  if (past) {
    add(plan.runs_made, t('1 run was made'), t('{n} runs were made'));
    add(plan.jobs_stopped, t('1 job is being stopped'), t('{n} jobs are being stopped'));
    add(plan.jobs_skipped, t('1 job was skipped'), t('{n} jobs were skipped'));
    add(plan.jobs_reset, t('1 job starts again'), t('{n} jobs start again'));
    add(plan.runs_paused, t('1 run is paused'), t('{n} runs are paused'));
    add(plan.runs_started, t('1 run goes on'), t('{n} runs go on'));
  } else {
    add(plan.executions, t('1 execution of it is still to be made'), t('{n} executions of it are still to be made'));
    add(plan.runs_made, t('makes 1 new run'), t('makes {n} new runs'));
    add(plan.runs_joined, t('joins 1 run that is under way'), t('joins {n} runs that are under way'));
    add(plan.runs_satisfied, t('1 run has succeeded already and counts'), t('{n} runs have succeeded already and count'));
    add(plan.jobs_to_run, t('1 job will run'), t('{n} jobs will run'));
    add(plan.runs_paused, t('pauses 1 run'), t('pauses {n} runs'));
    add(plan.runs_started, t('lets 1 run go on'), t('lets {n} runs go on'));
    add(plan.jobs_stopped, t('stops 1 job'), t('stops {n} jobs'));
    add(plan.jobs_skipped, t('skips 1 job that has not begun'), t('skips {n} jobs that have not begun'));
    add(plan.jobs_reset, t('1 job starts again'), t('{n} jobs start again'));
    add(plan.attempts_abandoned, t('1 attempt is declared dead'), t('{n} attempts are declared dead'));
    add(plan.runs_waiting_on_it, t('1 other run waits for this'), t('{n} other runs wait for this'));
  }
  return say;
}

/** Words and looks of each verb. */
export const VERBS = {
  run_now: { title: t('Run now'), sure: t('Run now') },
  stop_execution: { title: t('Stop this execution'), sure: t('Stop it'), danger: true },
  resume_execution: { title: t('Resume from failure'), sure: t('Resume') },
  pause_execution: { title: t('Pause this execution: its runs begin nothing more'), sure: t('Pause') },
  start_execution: { title: t('Start what of this execution is paused'), sure: t('Start') },
  reset: { title: t('Reset: make all its runs anew, by the definitions of now; they wait for a start'), sure: t('Reset'), danger: true },
  follow: { title: t('Continue with all that follows in the mesh: what is missing or stale'), sure: t('Continue') },
  run_part: { title: t('Run some jobs only'), sure: t('Run now') },
  skip: { title: t('Leave this job out: what comes after it goes on'), sure: t('Leave it out'), reason: true, danger: true },
  force: { title: t('Begin in spite of what it waits for'), sure: t('Begin'), danger: true },
  stop: { title: t('Stop this run'), sure: t('Stop it'), danger: true },
  resume: { title: t('Resume this run from failure'), sure: t('Resume') },
  pause: { title: t('Pause this run'), sure: t('Pause') },
  unpause: { title: t('Let this run go on'), sure: t('Go on') },
  prioritize: { title: t('Priority of this run: the higher goes first'), sure: t('Set it'), number: true },
  kill: { title: t('Kill this job'), sure: t('Kill it'), danger: true },
  mark_success: { title: t('Mark this job as succeeded'), sure: t('Mark as succeeded'), reason: true, danger: true },
  abandon: { title: t('Abandon this attempt: declare it dead'), sure: t('Abandon it'), danger: true },
  pause_dispatch: { title: t('Pause this dispatch'), sure: t('Pause') },
  resume_dispatch: { title: t('Resume this dispatch'), sure: t('Resume') },
  run_dispatch: { title: t('Run this dispatch now'), sure: t('Run now') },
  pause_backfill: { title: t('Pause this backfill: it makes no more executions; what lives goes on'), sure: t('Pause') },
  resume_backfill: { title: t('Let this backfill go on'), sure: t('Go on') },
  cancel_backfill: { title: t('Cancel this backfill: it makes no more executions, ever'), sure: t('Cancel it'), danger: true },
  retire: { title: t('Retire this host: it is dead and will not come back'), sure: t('Retire it'), danger: true },
};

const give = (verb, dryRun) => api('/api/v1/commands', { method: 'POST', body: JSON.stringify({ ...verb, dry_run: dryRun }) });

let open = null;

/** Asks, shows, does. Resolves to the leader's answer, or to null when the person turned back. */
export function ask(verb, what = '') {
  open?.close();
  const look = VERBS[verb.verb];
  return new Promise((resolve) => {
    let answer = null;
    const plan = el('div', { class: 'plan-says', 'aria-live': 'polite' }, el('p', { class: 'muted' }, t('asking the leader what this would do …')));
    const reason = look.reason && el('textarea', { class: 'layui-textarea', rows: 2, maxlength: 500, id: 'plan-reason', placeholder: t('why: it is kept with the command') });
    const number = look.number && el('input', { type: 'number', class: 'layui-input', min: -1000, max: 1000, step: 1, id: 'plan-number', value: verb.priority });
    const error = el('p', { class: 'field-error', role: 'alert', hidden: true });
    const fail = (problem) => { error.hidden = false; error.textContent = problem.fields?.[0]?.message || problem.message; };
    const sure = button(look.sure, act, { class: look.danger ? 'layui-bg-red' : '', disabled: true });
    const dialog = el('dialog', { class: 'plan-dialog', 'aria-label': look.title },
      el('h2', {}, look.title), what && el('p', { class: 'plan-what' }, what), plan,
      reason && el('label', { class: 'plan-reason', for: 'plan-reason' }, t('Reason'), reason),
      number && el('label', { class: 'plan-reason', for: 'plan-number' }, t('Priority, from -1000 to 1000'), number), error,
      el('div', { class: 'plan-buttons' }, button(t('Cancel'), () => dialog.close(), { class: 'layui-btn-primary' }), sure));
    dialog.addEventListener('close', () => { dialog.remove(); if (open === dialog) open = null; resolve(answer); });
    document.body.append(dialog);
    open = dialog;
    dialog.showModal();

    async function act() {
      sure.disabled = true;
      error.hidden = true;
      try {
        if (number) verb = { ...verb, priority: Number(number.value) };
        answer = await give(reason ? { ...verb, reason: reason.value } : verb, false);
        answer.verb = verb;
        if (answer.result === 'refused') { fail({ message: why(answer.plan.refused) }); answer = null; sure.disabled = false; return; }
        dialog.close();
        toast(answer.result ? [t('done'), ...sentences(answer.plan, true)].join(' · ') : answer.detail);
      } catch (problem) { fail(problem); sure.disabled = false; }
    }

    give(verb, true).then((dry) => {
      if (!dry.result) { plan.replaceChildren(el('p', {}, t('No leader answers just now. The command would be written down and obeyed when one does.'))); sure.disabled = false; return; }
      if (dry.plan.refused && !number) { plan.replaceChildren(el('p', { class: 'plan-refused' }, why(dry.plan.refused))); return; }
      const said = sentences(dry.plan);
      plan.replaceChildren(said.length ? el('ul', {}, said.map((one) => el('li', {}, one))) : el('p', {}, t('changes no job; it only takes note')));
      sure.disabled = false;
      (reason || number || sure).focus();
    }, (problem) => { plan.replaceChildren(); fail(problem); });
  });
}

/** A word at the edge of the page that goes away by itself. */
export function toast(words) {
  const shown = el('div', { class: 'toast', role: 'status' }, words);
  document.body.append(shown);
  setTimeout(() => shown.remove(), 6000);
}
