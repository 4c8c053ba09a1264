// The words of states, each with its shape and its colour: the same in graph, Gantt and tables.
// Colours are CSS variables (--state-WORD), read once per theme.

import { t } from './t.js';

export const SHAPES = {
  waiting: "◔", queued: "◑", assigned: "◌", running: "●", stopping: "◒", unknown: "?",
  succeeded: "✓", failed: "✕", timed_out: "⧖", skipped: "⊘", left_out: "⊖", stopped: "■", paused: "‖", ready: "○",
};

/** The words of the states in the viewer's language. */
export const WORDS = {
  waiting: t('waiting'), ready: t('ready'), queued: t('queued'), assigned: t('assigned'), running: t('running'),
  stopping: t('stopping'), unknown: t('unknown'), succeeded: t('succeeded'), failed: t('failed'),
  timed_out: t('timed out'), skipped: t('skipped'), left_out: t('left out'), stopped: t('stopped'), paused: t('paused'),
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
  // What was there from the beginning has no time.
  if (ms === 0) return "–";
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
export function badge(state, title) {
  return el('span', { class: `state s-${state}`, title },
    el('i', { 'aria-hidden': 'true' }, SHAPES[state] || '·'), WORDS[state] || state);
}

/** JSON from the API; an error has the words of the server. */
export async function api(path, options = {}) {
  const answer = await fetch(path, {
    headers: { accept: 'application/json', ...(options.body ? { 'content-type': 'application/json' } : {}) },
    ...options,
  });
  const text = await answer.text();
  let json;
  try { json = text ? JSON.parse(text) : {}; } catch { json = {}; }
  if (answer.ok) return json;
  if (answer.status === 401) location.reload();
  const error = new Error(json.detail || t('the server answered {status}', { status: answer.status }));
  error.fields = json.errors || [];
  error.request = json.instance;
  throw error;
}

/** A button in the manner of the frame. */
export function button(words, act, attributes = {}) {
  return el('button', { type: 'button', onclick: act, ...attributes, class: `layui-btn layui-btn-sm ${attributes.class || ''}` }, words);
}

/** `1.4 MiB`. */
export function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (n >= 1024 && unit < 4) { n /= 1024; unit++; }
  return `${unit && n < 100 ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}

const ORDER = ['succeeded', 'failed', 'timed_out', 'running', 'stopping', 'unknown', 'assigned', 'queued', 'waiting', 'skipped', 'left_out', 'stopped'];

/** A bar of all jobs by state, with its words. */
export function jobsBar(jobs, total) {
  const failed = (jobs.failed || 0) + (jobs.timed_out || 0);
  const words = [`${jobs.succeeded || 0} / ${total}`, failed && t('{n} failed', { n: failed })].filter(Boolean).join(' · ');
  return el('span', { class: 'ex-jobs' },
    el('span', { class: 'ex-bar', 'aria-hidden': 'true' }, ORDER.filter((state) => jobs[state]).map((state) => {
      const part = el('i', { class: `s-${state}` });
      part.style.flexGrow = jobs[state];
      return part;
    })), el('span', {}, words));
}
