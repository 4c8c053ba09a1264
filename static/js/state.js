// The words of states, each with its shape and its colour: the same in graph, Gantt and tables.
// Colours are CSS variables (--state-WORD), read once per theme.

export const SHAPES = {
  waiting: "◔", queued: "◑", assigned: "◌", running: "●", stopping: "◒", unknown: "?",
  succeeded: "✓", failed: "✕", timed_out: "⧖", skipped: "⊘", stopped: "■", paused: "‖", ready: "○",
};

const LIVE = new Set(["waiting", "ready", "queued", "assigned", "running", "stopping", "paused", "unknown"]);
export const isLive = (state) => LIVE.has(state);

/** The value of a CSS variable, with a fallback for a page without the palette. */
export function cssVar(name, fallback) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim() || fallback;
}

/** Calls back when light changes to dark or back. Returns what ends it. */
export function onTheme(callback) {
  const observer = new MutationObserver(callback);
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ["class", "data-theme"] });
  const media = matchMedia("(prefers-color-scheme: dark)");
  media.addEventListener("change", callback);
  return () => { observer.disconnect(); media.removeEventListener("change", callback); };
}

/** `3m 12s`; two units at most. */
export function duration(ms) {
  if (ms == null || ms < 0) return "";
  if (ms < 1000) return `${Math.round(ms)}ms`;
  const s = Math.floor(ms / 1000);
  if (s < 60) return `${s}s`;
  const m = Math.floor(s / 60);
  if (m < 60) return `${m}m ${s % 60}s`;
  const h = Math.floor(m / 60);
  if (h < 24) return `${h}h ${m % 60}m`;
  return `${Math.floor(h / 24)}d ${h % 24}h`;
}

const pad = (n) => String(n).padStart(2, "0");

/** In the viewer's zone: `13:45:07`, with the date when it is not of today. */
export function clock(ms, withDate) {
  if (ms == null) return "";
  const at = new Date(ms);
  const time = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
  const same = at.toDateString() === new Date().toDateString();
  return same && !withDate ? time : `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())} ${time}`;
}

/** An element with attributes and children; texts become text nodes, never markup. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value == null || value === false) continue;
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat()) if (child != null && child !== false) node.append(child);
  return node;
}

/** A state as people see it: shape and word in its colour. */
export function badge(state, words) {
  return el("span", { class: `state state-${state}` },
    el("span", { class: "state-shape", "aria-hidden": "true" }, SHAPES[state] || "·"), " ", words?.[state] || state);
}
