// Times: in the viewer's zone, with the server's zone and the age on hover. `<time datetime>` comes
// from the server in its own zone; here the text is written anew.
import { t } from './t.js';

const full = new Intl.DateTimeFormat('sv-SE', { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit' });
const here = Intl.DateTimeFormat().resolvedOptions().timeZone;

export function ago(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return t('{n} s ago', { n: seconds });
  if (seconds < 3600) return t('{n} min ago', { n: Math.floor(seconds / 60) });
  if (seconds < 172800) return t('{n} h ago', { n: Math.floor(seconds / 3600) });
  return t('{n} days ago', { n: Math.floor(seconds / 86400) });
}

export function localTimes(root) {
  for (const time of root.querySelectorAll('time[datetime]:not([data-local])')) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const text = full.format(at);
    // The server has chosen how much of it is shown.
    const shown = time.textContent.trim();
    if (shown.length === 11) time.textContent = text.slice(5, 16);
    else if (shown.length === 8) time.textContent = text.slice(11, 19);
    else time.textContent = text;
    time.title = `${text} ${here}\n${time.title}\n${ago(Date.now() - at.getTime())}`;
    time.dataset.local = '';
  }
}
