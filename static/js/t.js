// The texts of scripts: the key is the English text; the server has put the others into the page.

const texts = JSON.parse(document.getElementById('texts')?.textContent || '{}');

let patterns = null;
const escape = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** A reason of the engine in the viewer's language, and the one inside of it: found by its pattern. */
export function why(text, deep = 4) {
  patterns ??= JSON.parse(document.getElementById('reasons')?.textContent || '[]').map(([key, words]) => {
    const parts = key.split(/\{(\w+)\}/);
    return [new RegExp(`^${parts.map((part, at) => (at % 2 ? '([^]+?)' : escape(part))).join('')}$`), parts.filter((_, at) => at % 2), words];
  });
  for (const [pattern, names, words] of deep && text ? patterns : []) {
    const found = pattern.exec(text);
    if (found) return words.replace(/\{(\w+)\}/g, (_, name) => { const value = found[names.indexOf(name) + 1]; return /^wh/.test(name) ? why(value, deep - 1) : value; });
  }
  return text ?? '';
}

export function t(key, values = {}) {
  let text = texts[key] ?? key;
  for (const [name, value] of Object.entries(values)) text = text.replaceAll(`{${name}}`, String(value));
  return text;
}
