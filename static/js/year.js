// The form of a calendar: an .ics file is read by the server, shown, and taken over into the days.
import { t } from './t.js';

const input = document.getElementById('ics');
const days = document.getElementById('f-days');
const place = document.getElementById('ics-review');
const BYTES_MAX = 1024 * 1024;

function say(text, look) {
  const line = document.createElement('p');
  line.className = `notice ${look}`;
  line.textContent = text;
  place.replaceChildren(line);
}

async function review() {
  const [file] = input.files;
  if (!file) return;
  if (file.size > BYTES_MAX) { say(t('The file is larger than 1 MB'), 'bad'); return; }
  try {
    const answer = await fetch('/calendar/import/', {
      method: 'POST', headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ics: await file.text(), days: days.value }),
    });
    if (answer.redirected || !answer.ok) throw new Error(answer.statusText);
    const html = await answer.text();
    place.replaceChildren(...new DOMParser().parseFromString(html, 'text/html').body.childNodes);
  } catch {
    say(t('The file cannot be read; try again'), 'bad');
  }
}

input?.addEventListener('change', review);
place?.addEventListener('click', (event) => {
  if (!event.target.closest('[data-take]')) return;
  days.value = place.querySelector('textarea').value;
  days.dispatchEvent(new Event('input', { bubbles: true }));
  say(t('Taken over into the days below: look at them, then save.'), 'good');
  input.value = '';
});
