// The calendar: a click on a day or an hour lists its firings below, without the whole page anew.
// The address names what is listed, so that a reload and a bookmark show it; without this script the
// links do the same.
import { t } from './t.js';

const place = document.getElementById('firings');
let turn = 0;

function mark(link) {
  for (const one of document.querySelectorAll('.heat [aria-current], .heat [aria-selected]')) {
    one.removeAttribute('aria-current');
    one.removeAttribute('aria-selected');
  }
  link.closest('tr').setAttribute('aria-selected', 'true');
  if (link.closest('td')) link.setAttribute('aria-current', 'true');
  else for (const one of link.closest('tr').querySelectorAll('td a')) one.setAttribute('aria-current', 'true');
}

async function list(link) {
  const mine = ++turn;
  const asked = new URL(link.href).searchParams;
  try {
    const answer = await fetch(`/dispatch/calendar/firings/?${asked}`);
    // Led to the login, or refused: the page itself tells why.
    if (answer.redirected || !answer.ok) { location.href = link.href; return; }
    const html = await answer.text();
    if (mine !== turn) return;
    place.replaceChildren(...new DOMParser().parseFromString(html, 'text/html').body.childNodes);
    history.replaceState(null, '', link.href);
    mark(link);
    place.scrollIntoView({ block: 'nearest' });
  } catch {
    if (mine !== turn) return;
    place.textContent = t('The firings cannot be loaded; try again');
  }
}

document.querySelector('.heat')?.addEventListener('click', (event) => {
  const link = event.target.closest('a[data-hour]');
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  list(link);
});
