// Verbs on definitions: run an interface or a dispatch now, pause and resume dispatches. What is asked
// first is the engine itself (the dry run of the very call); its answer is shown in numbers.
import { api } from './state.js';
import { t, why } from './t.js';

// Loaded when somebody asks for something.
const verbs = () => import('./verbs.js');

const command = (body) => api('/api/v1/commands', { method: 'POST', body: JSON.stringify(body) });

function element(name, attributes = {}, ...children) {
  const one = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) one.setAttribute(key, value);
  one.append(...children);
  return one;
}

/** A dialog whose `make` builds the command from its fields; its plan is shown before it is sent. */
function askWith(title, fields, make) {
  const plan = element('p', { class: 'muted', role: 'status' }, '…');
  const go = element('button', { class: 'layui-btn', type: 'submit' }, title);
  const no = element('button', { class: 'layui-btn layui-btn-primary', type: 'button' }, t('Cancel'));
  const form = element('form', {}, element('h2', {}, title), ...fields, plan, element('div', { class: 'buttons' }, no, go));
  const dialog = element('dialog', {}, form);
  let turn = 0;
  const dry = async () => {
    const mine = ++turn;
    go.disabled = true;
    try {
      const answer = await command({ ...make(form), dry_run: true });
      if (mine !== turn) return;
      const refused = why(answer.plan?.refused);
      const words = answer.plan ? (await verbs()).sentences(answer.plan) : [];
      if (mine !== turn) return;
      plan.textContent = refused ? `${t('This would be refused:')} ${refused}` : answer.plan ? words.join(' · ') || t('Nothing stands against it.') : t('The leader has not answered yet.');
      plan.className = refused ? 'notice bad' : 'notice';
      go.disabled = Boolean(refused);
    } catch (error) {
      if (mine !== turn) return;
      plan.textContent = error.message;
      plan.className = 'notice bad';
    }
  };
  form.addEventListener('change', dry);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    go.disabled = true;
    try {
      const answer = await command(make(form));
      if (answer.plan?.refused) throw new Error(why(answer.plan.refused));
      if (answer.plan?.execution) location.href = `/execute/flow/detail/${answer.plan.execution}/`;
      else location.reload();
    } catch (error) {
      plan.textContent = error.message;
      plan.className = 'notice bad';
      go.disabled = false;
    }
  });
  no.addEventListener('click', () => dialog.close());
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  dry();
}

/** The period before this one, as most runs are for. */
function lastPeriod(granularity) {
  const pad = (n) => String(n).padStart(2, '0');
  const day = (d) => `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}`;
  const now = new Date();
  const zone = -now.getTimezoneOffset();
  const offset = `${zone < 0 ? '-' : '+'}${pad(Math.floor(Math.abs(zone) / 60))}:${pad(Math.abs(zone) % 60)}`;
  switch (granularity) {
    case 'month': return day(new Date(now.getFullYear(), now.getMonth() - 1, 1)).slice(0, 7);
    case 'week': {
      const thursday = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 7 - ((now.getDay() + 6) % 7) + 3);
      const first = new Date(thursday.getFullYear(), 0, 4);
      const week = 1 + Math.round(((thursday - first) / 86400000 - 3 + ((first.getDay() + 6) % 7)) / 7);
      return `${thursday.getFullYear()}-W${pad(week)}`;
    }
    case 'hour': { const d = new Date(now - 3600000); return `${day(d)}T${pad(d.getHours())}${offset}`; }
    case 'minute': { const d = new Date(now - 60000); return `${day(d)}T${pad(d.getHours())}:${pad(d.getMinutes())}${offset}`; }
    default: return day(new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1));
  }
}

function periodField(value) {
  const input = element('input', { class: 'layui-input', name: 'period', value, required: '' });
  return element('p', {}, element('label', {}, t('Period'), ' ', input));
}
function switchField(name, text, on) {
  const input = element('input', { type: 'checkbox', name, checked: on ? '' : null });
  return element('p', {}, element('label', { class: 'inline' }, input, ' ', text));
}

document.addEventListener('click', async (event) => {
  const run = event.target.closest('[data-run-interface], [data-run-dispatch]');
  if (run) {
    const dispatch = Number(run.dataset.runDispatch) || null;
    let granularity = run.dataset.granularity;
    if (!granularity) {
      const answer = await fetch(`/api/v1/interfaces/${run.dataset.interface}`);
      granularity = answer.ok ? (await answer.json()).spec.granularity : 'day';
    }
    const fields = [element('p', {}, run.dataset.name), periodField(lastPeriod(granularity)), switchField('cascade', t('with all interfaces that follow it in the mesh'), run.dataset.cascade !== 'false')];
    if (!dispatch) fields.push(switchField('missing_only', t('runs that have succeeded count, and are not made again'), false));
    askWith(t('Run now'), fields, (form) => {
      const period = form.elements.period.value.trim();
      const cascade = form.elements.cascade.checked;
      if (dispatch) return { verb: 'run_dispatch', dispatch, period, cascade };
      return { verb: 'run_now', interface: Number(run.dataset.runInterface), period, cascade, missing_only: form.elements.missing_only.checked };
    });
    return;
  }
  const job = event.target.closest('[data-run-job]');
  if (job) {
    const parts = [['alone', t('it alone')], ['from', t('it and all that comes after it')], ['to', t('all that comes before it, and it')]];
    const select = element('select', { class: 'layui-input', name: 'part' }, ...parts.map(([value, text]) => element('option', { value }, text)));
    const fields = [element('p', {}, job.dataset.name), periodField(lastPeriod(job.dataset.granularity)), element('p', {}, element('label', {}, t('Jobs'), ' ', select)),
      element('p', { class: 'muted' }, t('Of the other jobs counts what they have done for this period before; what they have not done is left out.'))];
    askWith(t('Run now'), fields, (form) => ({
      verb: 'run_part', interface: Number(job.dataset.interface), job: Number(job.dataset.runJob), period: form.elements.period.value.trim(), part: form.elements.part.value,
    }));
    return;
  }
  const turned = event.target.closest('[data-turn]');
  if (turned) {
    const { turn } = await import('./freeze.js');
    if (await turn(turned.dataset.turn, turned.dataset.name)) location.reload();
    return;
  }
  const verb = event.target.closest('button[data-verb]');
  if (verb) {
    const { ask } = await verbs();
    const answer = await ask({ verb: verb.dataset.verb, ...(verb.dataset.host ? { host: Number(verb.dataset.host) } : { dispatch: Number(verb.dataset.dispatch) }) }, verb.dataset.name);
    if (answer) location.reload();
    return;
  }
  const all = event.target.closest('[data-verb-all]');
  if (all) {
    const ids = [...document.querySelectorAll('input[name=id]:checked')].map((box) => Number(box.value));
    const dialog = element('dialog', {});
    const status = element('p', {}, all.dataset.text.replaceAll('{n}', ids.length));
    const go = element('button', { class: 'layui-btn', type: 'button' }, all.dataset.title);
    const no = element('button', { class: 'layui-btn layui-btn-primary', type: 'button' }, t('Cancel'));
    dialog.append(element('h2', {}, all.dataset.title), status, element('div', { class: 'buttons' }, no, go));
    no.addEventListener('click', () => dialog.close());
    dialog.addEventListener('close', () => dialog.remove());
    go.addEventListener('click', async () => {
      go.disabled = true;
      const failed = [];
      for (const id of ids) {
        try { await command({ verb: all.dataset.verbAll, dispatch: id }); } catch (error) { failed.push(`#${id}: ${error.message}`); }
      }
      if (failed.length) { status.textContent = failed.join('; '); status.className = 'notice bad'; } else location.reload();
    });
    document.body.append(dialog);
    dialog.showModal();
  }
});
