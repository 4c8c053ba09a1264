// The texts of scripts: the key is the English text; the server has put the others into the page.

const texts = JSON.parse(document.getElementById('texts')?.textContent || '{}');

export function t(key, values = {}) {
  let text = texts[key] ?? key;
  for (const [name, value] of Object.entries(values)) text = text.replaceAll(`{${name}}`, String(value));
  return text;
}
