// The test button of an exec host: asks through our own server, shows what the host says.
import { t } from './t.js';
import { localTimes } from './time.js';

for (const button of document.querySelectorAll('[data-probe]')) {
  button.addEventListener('click', async () => {
    const place = document.getElementById('probe');
    const address = button.dataset.probe || document.getElementById('f-address')?.value || '';
    button.disabled = true;
    place.textContent = t('Asking {address} …', { address });
    try {
      const answer = await fetch('/base/exec/host/probe/', { method: 'POST', body: new URLSearchParams({ address }) });
      const parsed = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const card = document.createElement('div');
      card.className = 'card card-body';
      card.append(...parsed.body.childNodes);
      place.replaceChildren(card);
      localTimes(place);
    } catch {
      place.textContent = t('The master did not answer; try again');
    }
    button.disabled = false;
  });
}
