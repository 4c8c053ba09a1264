// Exec hosts, live: when the stream says that they were heard of, the page is asked for again, and what
// differs is put in its place. Filters, folded columns and the scroll position stay.

import { watch } from './live.js';
import { localTimes } from './time.js';

const shown = (page) => [...page.querySelectorAll('[data-live-row]')].map((row) => row.dataset.liveRow).join();
let asking = false;
async function refresh() {
  if (asking || document.hidden) return;
  asking = true;
  try {
    const answer = await fetch(location.href);
    if (!answer.ok || answer.redirected) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
    localTimes(fresh);
    // One that the filter does not show any more, or shows now: the list is another one.
    if (shown(fresh) !== shown(document)) { location.reload(); return; }
    for (const part of document.querySelectorAll('[data-live]')) {
      const newer = fresh.querySelector(`[data-live="${CSS.escape(part.dataset.live)}"]`);
      if (newer && newer.innerHTML !== part.innerHTML) part.replaceChildren(...newer.childNodes);
    }
  } catch { /* the bar of the stream tells of it */ } finally { asking = false; }
}

// A beat comes when nothing else does: a host that nobody hears is seen to grow silent.
watch({ hosts: 1 }, { hosts: refresh, beat: refresh });
document.addEventListener('visibilitychange', refresh);
