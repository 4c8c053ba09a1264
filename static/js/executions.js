// The list of executions: live rows, a bar for what is new, links that keep the filters, run now.

import { t } from './t.js';
import { api, badge, button, duration, el, jobsBar } from './state.js';
import { ask } from './verbs.js';
import { watch } from './live.js';

const list = document.getElementById('list');
for (const cell of document.querySelectorAll('.ex-jobs[data-jobs]')) cell.replaceWith(jobsBar(JSON.parse(cell.dataset.jobs), cell.dataset.total));

function tick() {
  for (const cell of document.querySelectorAll('[data-cell="duration"]')) {
    if (!cell.dataset.until) cell.textContent = duration(Date.now() - Number(cell.dataset.from));
  }
}
tick();
setInterval(tick, 1000);

// Filters are in the URL: every choice at once, the next page with all of them.
const filters = document.getElementById('filters');
filters?.addEventListener('change', (event) => { if (event.target.matches('select, [data-day]')) filters.requestSubmit(); });
// Days are typed as ISO has them, whatever the browser's language; what is none is said in the page's.
filters?.addEventListener('input', ({ target }) => {
  if (!target.dataset.day) return;
  const [year, month, day] = target.value.split('-').map(Number);
  const real = !month || new Date(Date.UTC(year, month - 1, day)).getUTCDate() === day;
  target.setCustomValidity('');
  if (!real || !target.validity.valid) target.setCustomValidity(target.dataset.day);
});
filters?.addEventListener('submit', () => {
  for (const input of filters.elements) if (input.name && !input.value) input.disabled = true;
});
addEventListener('pageshow', () => { for (const input of filters?.elements || []) input.disabled = false; });
const next = document.getElementById('next-page');
if (next) {
  const query = new URLSearchParams(location.search);
  query.set('cursor', next.dataset.cursor);
  next.href = `?${query}`;
}
const firstPage = document.getElementById('first-page');
if (firstPage) {
  const query = new URLSearchParams(location.search);
  query.delete('cursor');
  firstPage.href = `?${query}`;
}
list?.addEventListener('click', (event) => {
  const row = event.target.closest('tr[data-href]');
  if (row && !event.target.closest('a, button, input') && !getSelection().toString()) location.href = row.dataset.href;
});

if (list) {
  const items = [...list.querySelectorAll?.('tr[data-id]') ?? []].map((row) => row.dataset.id).join(',');
  watch({ items, newest: list.dataset.newest || null, after: list.dataset.batch }, {
    items({ items: changed }) {
      for (const one of changed) {
        const row = list.querySelector(`tr[data-id="${one.id}"]`);
        if (!row) continue;
        row.querySelector('[data-cell="state"]').replaceChildren(badge(one.state));
        row.querySelector('[data-cell="jobs"]').replaceChildren(jobsBar(one.jobs, one.jobs_total));
        const took = row.querySelector('[data-cell="duration"]');
        took.dataset.until = one.ended_ms ?? '';
        if (one.ended_ms) took.textContent = duration(one.ended_ms - one.created_ms);
      }
    },
    newer({ count }) {
      const bar = document.getElementById('newer');
      bar.hidden = !count;
      bar.textContent = count === 1 ? t('1 new execution: show it') : t('{n} new executions: show them', { n: count });
      bar.onclick = () => location.reload();
    },
  });
}

document.getElementById('resume-all')?.addEventListener('click', async () => (await import('./resume-all.js')).resumeAll());

// ---- run now ----
function runNow(chosen) {
  let choices = JSON.parse(document.getElementById('choices').textContent);
  const MANY = 200; // the page has only so many of them: the others are found by typing
  const options = () => choices.map((one) => el('option', { value: one.id, selected: String(one.id) === String(chosen) }, one.name));
  const pick = el('select', { class: 'layui-input', id: 'rn-interface' }, options());
  const seek = choices.length < MANY ? null : el('input', { type: 'search', class: 'layui-input', maxlength: 100, placeholder: t('Type to search'), 'aria-label': t('Search') });
  const find = async (words) => {
    const { items } = await api(`/api/v1/runnable?q=${encodeURIComponent(words)}`);
    if (seek && seek.value && seek.value !== words) return;
    choices = items;
    pick.replaceChildren(...options());
    defaults();
  };
  let typed = 0;
  seek?.addEventListener('input', () => { clearTimeout(typed); typed = setTimeout(() => find(seek.value.trim()), 150); });
  const period = el('input', { class: 'layui-input', id: 'rn-period', maxlength: 32, required: true });
  const help = el('p', { class: 'help' });
  const cascade = el('input', { type: 'checkbox', id: 'rn-cascade', checked: true });
  const missing = el('input', { type: 'checkbox', id: 'rn-missing' });
  const params = el('textarea', { class: 'layui-textarea mono', id: 'rn-params', rows: 3, placeholder: 'name=value' });
  const wrongs = {};
  const field = (id, label, control, helped) => el('div', { class: 'field' }, el('label', { for: id }, label),
    el('div', { class: 'box' }, control, helped, (wrongs[id] = el('p', { class: 'wrong', hidden: true, role: 'alert' }))));
  const wrong = (id, words) => { wrongs[id].hidden = !words; wrongs[id].textContent = words || ''; wrongs[id].closest('.field').classList.toggle('bad', !!words); };
  const defaults = () => {
    const one = choices.find((choice) => String(choice.id) === pick.value);
    if (!one) return;
    period.value = one.period || '';
    const example = { minute: '2026-11-20T13:45+08:00', hour: '2026-11-20T13+08:00', day: '2026-11-20', week: '2026-W47', month: '2026-11' }[one.granularity];
    help.textContent = t('which data it is for, such as {example} ({zone}); the one before now is filled in', { example, zone: one.zone });
  };
  pick.addEventListener('change', defaults);
  defaults();
  if (chosen && !choices.some((one) => String(one.id) === String(chosen))) find(String(chosen));
  const form = el('form', { class: 'form run-form' },
    field('rn-interface', t('Interface'), pick, seek), field('rn-period', t('Period'), period, help),
    field('rn-cascade', t('Cascade'), el('label', { class: 'switch' }, cascade, t('with all interfaces that follow from it'))),
    field('rn-missing', t('Missing only'), el('label', { class: 'switch' }, missing, t('what has succeeded for this period already counts and is not run again'))),
    field('rn-params', t('Parameters'), params, el('p', { class: 'help' }, t('one name=value a line; they beat those of interfaces and jobs'))),
    el('div', { class: 'plan-buttons' }, button(t('Cancel'), () => dialog.close(), { class: 'layui-btn-primary' }),
      el('button', { type: 'submit', class: 'layui-btn layui-btn-sm' }, t('What would it do?'))));
  const dialog = el('dialog', { class: 'plan-dialog', 'aria-label': t('Run now') }, el('h2', {}, t('Run an interface now')), form);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    for (const id of Object.keys(wrongs)) wrong(id);
    const given = {};
    for (const line of params.value.split('\n').filter((one) => one.trim())) {
      const [name, ...rest] = line.split('=');
      if (!rest.length || !/^\w+$/.test(name.trim())) { wrong('rn-params', t('this line is no name=value: {line}', { line })); return; }
      given[name.trim()] = rest.join('=');
    }
    const verb = { verb: 'run_now', interface: Number(pick.value), period: period.value.trim(), cascade: cascade.checked, missing_only: missing.checked, params: given };
    // What the fields are refused for is shown beside them, before anything else is asked.
    try {
      await api('/api/v1/commands', { method: 'POST', body: JSON.stringify({ ...verb, dry_run: true }) });
    } catch (problem) {
      const ids = { period: 'rn-period', interface: 'rn-interface', params: 'rn-params' };
      for (const one of problem.fields || []) wrong(ids[one.path.split('.')[0]] || 'rn-period', one.message);
      if (!problem.fields?.length) wrong('rn-interface', problem.message);
      return;
    }
    dialog.close();
    const answer = await ask(verb, `${pick.selectedOptions[0].textContent} ${verb.period}`);
    if (answer?.plan?.execution) location.href = `/execute/flow/detail/${answer.plan.execution}/`;
  });
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  period.focus();
}
document.getElementById('run-now')?.addEventListener('click', () => runNow(new URLSearchParams(location.search).get('interface')));
addEventListener('keydown', (event) => {
  if (event.key === 'r' && !event.ctrlKey && !event.metaKey && !event.target.closest('input, textarea, select, dialog')) document.getElementById('run-now')?.click();
});
const wanted = new URLSearchParams(location.search).get('run');
if (wanted) runNow(wanted);
