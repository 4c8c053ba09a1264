// Backfills: pause, go on, cancel; and a page that keeps up with one that lives.
import { api } from './state.js';
import { ask } from './verbs.js';

document.addEventListener('click', async (event) => {
  const button = event.target.closest('[data-backfill-verb]');
  if (!button) return;
  const verb = { verb: button.dataset.backfillVerb, backfill: Number(button.dataset.backfill) };
  if (verb.verb === 'cancel_backfill') verb.stop = Boolean(button.dataset.stop);
  if (await ask(verb, button.dataset.name)) location.reload();
});

const one = document.getElementById('backfill');
if (one?.dataset.live) {
  setInterval(async () => {
    if (document.hidden || document.querySelector('dialog[open]')) return;
    const now = await api(`/api/v1/backfills/${one.dataset.id}?brief=true`).catch(() => null); // the next one may be answered
    if (!now) return;
    const seen = [now.state, now.made, now.executions.live, now.executions.succeeded, now.why].join(' ');
    if (seen.trim() !== one.dataset.seen.trim()) location.reload();
  }, 3000);
}
