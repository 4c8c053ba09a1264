// Before the first paint: without a choice in the cookie, the system's light or dark holds.
(() => {
  const chosen = /(?:^|; )theme=(light|dark)/.exec(document.cookie);
  const system = matchMedia('(prefers-color-scheme: dark)');
  const apply = () => document.documentElement.classList.toggle('dark', chosen ? chosen[1] === 'dark' : system.matches);
  apply();
  if (!chosen) system.addEventListener('change', apply);
  // Whose days and hours the server is to show: the next page has them.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone) document.cookie = `zone=${zone}; path=/; max-age=31536000; samesite=lax`;
})();
