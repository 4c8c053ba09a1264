// What a viewer chooses and the server must know: language and theme, in cookies.

export function remember(name, value) {
  document.cookie = `${name}=${value}; Path=/; Max-Age=31536000; SameSite=Lax`;
}

export function choices() {
  // Lists are narrowed to it, and what is new goes there: back to the first page of the list.
  for (const one of document.querySelectorAll('[data-project]')) one.addEventListener('click', () => { remember('project', one.dataset.project); location.href = location.pathname; });
  document.getElementById('lang')?.addEventListener('click', (event) => {
    remember('lang', event.currentTarget.dataset.to);
    location.reload();
  });
  document.getElementById('theme')?.addEventListener('click', () => {
    const dark = document.documentElement.classList.toggle('dark');
    remember('theme', dark ? 'dark' : 'light');
    document.dispatchEvent(new CustomEvent('theme'));
  });
}
