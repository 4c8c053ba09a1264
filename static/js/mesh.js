// Draws a mesh on a canvas: pan, zoom, levels of detail, hover, keyboard. Where things stand was
// computed on the server (web/graph.rs); this only paints. Used by the pages of executions and
// interfaces.
//
// data: { width, height, down,
//   groups: [{ id, name, sub, state, folded, rect: [x, y, w, h], note }],
//   nodes:  [{ id, name, group, state, rect, note, start, end }],
//   edges:  [{ from, to, expect, line: [x, y, …] }] }   from/to: node index, or -1 - group index;
//                                                       expect: success | failure | done | parent
// options: { onNode(node), onGroup(group), onFold(group), critical }

import { t, why } from './t.js';
import { SHAPES, WORDS, cssVar, onTheme, el, duration } from './state.js';

const STATES = Object.keys(SHAPES);
const ZOOM = [0.02, 2.5];
const FULL = 0.5;   // from here on texts are drawn
const PLAIN = 0.16; // below this nodes are specks
const TEXT = {
  fit: t('Fit to the window'), in: t('Zoom in'), out: t('Zoom out'), critical: t('Critical path'),
  fold: t('Fold all'), unfold: t('Unfold all'),
  help: t('Graph: arrow keys walk, Enter opens, plus and minus zoom, 0 fits'),
};

export function drawMesh(host, data, options = {}) {
  const text = TEXT;
  const canvas = el("canvas", { class: "mesh-canvas", tabindex: "0", role: "application", "aria-label": text.help });
  const tip = el("div", { class: "mesh-tip", hidden: true });
  const said = el("div", { class: "visually-hidden", "aria-live": "polite" });
  const bar = el("div", { class: "mesh-bar" });
  host.replaceChildren(canvas, bar, tip, said);
  host.classList.add("mesh");
  const paint = canvas.getContext("2d");
  const view = { x: 0, y: 0, k: 1 };
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let colours = {}, hover = null, chosen = null, near = null, frame = 0, moved = false, critical = null, pulse = 0;
  let index = new Map(), before = [], after = [];

  // ---- data ----
  function link() {
    index = new Map(data.nodes.map((node, at) => [node.id, at]));
    before = data.nodes.map(() => []);
    after = data.nodes.map(() => []);
    for (const edge of data.edges) {
      if (edge.from >= 0 && edge.to >= 0) { after[edge.from].push(edge.to); before[edge.to].push(edge.from); }
    }
  }

  function palette() {
    colours = {
      text: cssVar("--text", "#1d2733"), dim: cssVar("--muted", "#5a6675"), line: cssVar("--faint", "#8a95a3"),
      card: cssVar("--surface", "#ffffff"), box: cssVar("--sunken", "#eef1f4"), border: cssVar("--line-strong", "#c3cbd5"),
      accent: cssVar("--accent", "#0b6e66"), fail: cssVar("--state-failed", "#c21f1f"),
      glyph: cssVar("--surface", "#ffffff"),
    };
    for (const state of STATES) colours[state] = cssVar(`--state-${state}`, "#6b7280");
    draw();
  }

  // ---- view ----
  const size = () => [canvas.clientWidth || 1, canvas.clientHeight || 1];
  function fit() {
    const [w, h] = size();
    view.k = Math.max(ZOOM[0], Math.min((w - 32) / Math.max(1, data.width), (h - 32) / Math.max(1, data.height), 1.15));
    view.x = (w - data.width * view.k) / 2;
    view.y = Math.max(16, (h - data.height * view.k) / 2);
    moved = false;
    draw();
  }
  function zoom(factor, x, y) {
    const [w, h] = size();
    x ??= w / 2; y ??= h / 2;
    const k = Math.min(ZOOM[1], Math.max(ZOOM[0], view.k * factor));
    view.x = x - (x - view.x) * (k / view.k);
    view.y = y - (y - view.y) * (k / view.k);
    view.k = k;
    moved = true;
    draw();
  }
  function reveal(rect) {
    const [w, h] = size();
    const x = rect[0] * view.k + view.x, y = rect[1] * view.k + view.y;
    if (x < 8 || y < 8 || x + rect[2] * view.k > w - 8 || y + rect[3] * view.k > h - 8) {
      view.x = w / 2 - (rect[0] + rect[2] / 2) * view.k;
      view.y = h / 2 - (rect[1] + rect[3] / 2) * view.k;
      moved = true;
    }
    draw();
  }

  // ---- painting ----
  function draw() {
    if (!frame) frame = requestAnimationFrame(() => { frame = 0; render(); });
  }

  function render() {
    const [w, h] = size();
    const ratio = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
      canvas.width = Math.round(w * ratio);
      canvas.height = Math.round(h * ratio);
    }
    paint.setTransform(ratio, 0, 0, ratio, 0, 0);
    paint.clearRect(0, 0, w, h);
    paint.setTransform(ratio * view.k, 0, 0, ratio * view.k, view.x * ratio, view.y * ratio);
    const seen = [-view.x / view.k, -view.y / view.k, (w - view.x) / view.k, (h - view.y) / view.k];
    const visible = (r) => r[2] > 0 && r[0] < seen[2] && r[1] < seen[3] && r[0] + r[2] > seen[0] && r[1] + r[3] > seen[1];
    data.groups.forEach((group, at) => { if (visible(group.rect)) paintGroup(group, at); });
    for (const edge of data.edges) if (edge.line.length) paintEdge(edge, seen);
    data.nodes.forEach((node, at) => { if (visible(node.rect)) paintNode(node, at); });
    paint.globalAlpha = 1;
    beat();
  }

  const faded = (at) => near && !near.has(at);

  function paintGroup(group, at) {
    const [x, y, w, h] = group.rect;
    const colour = colours[group.state] || colours.line;
    paint.globalAlpha = faded(-1 - at) && group.folded ? 0.35 : 1;
    round(x, y, w, h, 8);
    paint.fillStyle = group.folded ? colours.card : colours.box;
    paint.fill();
    paint.lineWidth = (hover === -1 - at || chosen === -1 - at) ? 2.5 : 1.2;
    paint.strokeStyle = chosen === -1 - at ? colours.accent : group.folded ? colour : colours.border;
    paint.stroke();
    if (view.k < PLAIN * 0.6 && !group.folded) return;
    paint.fillStyle = colour;
    round(x, y, 5, h, 3);
    paint.fill();
    if (view.k < 0.22) return;
    paint.textBaseline = "middle";
    let left = x + 16;
    const line = y + (group.folded ? 22 : 20);
    if (group.state) {
      paint.font = "700 14px system-ui, sans-serif";
      paint.fillText(SHAPES[group.state] || "", left, line);
      left += 20;
    }
    paint.fillStyle = colours.text;
    paint.font = "600 14px system-ui, 'Noto Sans CJK SC', sans-serif";
    const sub = group.sub ? `  ${group.sub}` : "";
    const name = cut(group.name, x + w - left - 12 - (group.folded ? 0 : sub.length * 7));
    paint.fillText(name, left, line);
    const after = left + paint.measureText(name).width;
    paint.fillStyle = colours.dim;
    paint.font = "12px system-ui, sans-serif";
    if (!group.folded) paint.fillText(cut(sub, x + w - after - 34), after, line);
    else paint.fillText(cut(`${group.sub || ""}${group.note ? "  " + group.note : ""}`, w - 30), x + 16, y + 46);
    if (options.onFold) paint.fillText(group.folded ? "＋" : "－", x + w - 22, line);
  }

  function paintEdge(edge, seen) {
    const line = edge.line;
    const last = line.length - 2;
    if (Math.max(line[0], line[last]) < seen[0] || Math.min(line[0], line[last]) > seen[2]) {
      if (!data.down) return;
    }
    const lit = near && near.has(edge.from) && near.has(edge.to)
      && (edge.from === (hover ?? chosen) || edge.to === (hover ?? chosen));
    const path = critical && critical.has(`${edge.from}>${edge.to}`);
    paint.globalAlpha = near && !lit ? 0.15 : 1;
    paint.strokeStyle = path || lit ? colours.accent : edge.expect === "failure" ? colours.fail : colours.line;
    paint.lineWidth = (path ? 3 : lit ? 2.2 : edge.expect === "parent" ? 1.8 : 1.3) / Math.max(0.4, Math.min(1, view.k * 1.4));
    paint.setLineDash(edge.expect === "failure" ? [6, 4] : edge.expect === "done" ? [2, 3] : []);
    paint.beginPath();
    paint.moveTo(line[0], line[1]);
    const inner = edge.from >= 0 && edge.to >= 0 && data.nodes[edge.from].group === data.nodes[edge.to].group;
    const down = data.down && !inner;
    for (let at = 2; at < line.length; at += 2) {
      const [x0, y0, x1, y1] = [line[at - 2], line[at - 1], line[at], line[at + 1]];
      if (view.k < PLAIN || (down ? x0 === x1 : y0 === y1)) paint.lineTo(x1, y1);
      else if (down) paint.bezierCurveTo(x0, (y0 + y1) / 2, x1, (y0 + y1) / 2, x1, y1);
      else paint.bezierCurveTo((x0 + x1) / 2, y0, (x0 + x1) / 2, y1, x1, y1);
    }
    paint.stroke();
    paint.setLineDash([]);
    if (view.k >= PLAIN) arrow(line[last], line[last + 1], down);
  }

  function arrow(x, y, down) {
    paint.fillStyle = paint.strokeStyle;
    paint.beginPath();
    paint.moveTo(x, y);
    if (down) { paint.lineTo(x - 4, y - 8); paint.lineTo(x + 4, y - 8); }
    else { paint.lineTo(x - 8, y - 4); paint.lineTo(x - 8, y + 4); }
    paint.fill();
  }

  function paintNode(node, at) {
    const [x, y, w, h] = node.rect;
    const colour = colours[node.state] || colours.accent;
    paint.globalAlpha = faded(at) ? 0.25 : 1;
    if (view.k < PLAIN) {
      paint.fillStyle = colour;
      paint.fillRect(x, y, w, h);
      return;
    }
    round(x, y, w, h, 6);
    paint.fillStyle = colours.card;
    paint.fill();
    if (node.state === "running" && !still.matches) {
      paint.save();
      paint.globalAlpha *= 0.10 + 0.10 * Math.abs(Math.sin(pulse));
      paint.fillStyle = colour;
      paint.fill();
      paint.restore();
    }
    const marked = at === hover || at === chosen || (critical && critical.has(at));
    paint.strokeStyle = at === chosen || (critical && critical.has(at)) ? colours.accent : colour;
    paint.lineWidth = marked ? 2.6 : 1.3;
    if (["waiting", "queued", "skipped", "left_out"].includes(node.state)) paint.setLineDash([4, 3]);
    paint.stroke();
    paint.setLineDash([]);
    paint.fillStyle = colour;
    round(x, y, 28, h, 6);
    paint.fill();
    if (view.k < FULL * 0.6) return;
    paint.fillStyle = colours.glyph;
    paint.font = "700 15px system-ui, sans-serif";
    paint.textAlign = "center";
    paint.textBaseline = "middle";
    paint.fillText(SHAPES[node.state] || "▸", x + 14, y + h / 2 + 1);
    paint.textAlign = "left";
    if (view.k < FULL * 0.75) return;
    const words = node.state ? `${WORDS[node.state] || node.state}${node.note ? " · " + node.note : ""}` : node.note || "";
    paint.fillStyle = colours.text;
    paint.font = "600 13px system-ui, 'Noto Sans CJK SC', sans-serif";
    paint.fillText(cut(node.name, w - 42), x + 36, y + (words ? 14 : h / 2));
    paint.fillStyle = colours.dim;
    paint.font = "11px system-ui, 'Noto Sans CJK SC', sans-serif";
    if (words) paint.fillText(cut(words, w - 42), x + 36, y + 29);
  }

  function round(x, y, w, h, r) {
    paint.beginPath();
    paint.roundRect(x, y, w, h, r);
  }

  function cut(words, room) {
    if (room <= 0) return "";
    if (paint.measureText(words).width <= room) return words;
    let [low, high] = [0, words.length];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (paint.measureText(words.slice(0, middle) + "…").width <= room) low = middle; else high = middle - 1;
    }
    return low ? words.slice(0, low) + "…" : "";
  }

  // Running nodes breathe, ten times a second at most, only where somebody looks and motion is allowed.
  let beating = 0;
  function beat() {
    if (beating || still.matches || document.hidden || data.nodes.length > 2000) return;
    if (!data.nodes.some((node) => node.state === "running" && node.rect[2] > 0)) return;
    beating = setTimeout(() => { beating = 0; pulse += 0.22; draw(); }, 100);
  }

  // ---- who is meant ----
  function hit(x, y) {
    const [px, py] = [(x - view.x) / view.k, (y - view.y) / view.k];
    const inside = (r) => r[2] > 0 && px >= r[0] && px <= r[0] + r[2] && py >= r[1] && py <= r[1] + r[3];
    for (let at = data.nodes.length - 1; at >= 0; at--) if (inside(data.nodes[at].rect)) return at;
    for (let at = 0; at < data.groups.length; at++) {
      const group = data.groups[at];
      const [gx, gy, gw, gh] = group.rect;
      if (inside([gx, gy, gw, group.folded ? gh : 36])) return -1 - at;
    }
    return null;
  }

  function neighbours(at) {
    if (at == null) return null;
    const found = new Set([at]);
    for (const edge of data.edges) {
      if (edge.from === at) found.add(edge.to);
      if (edge.to === at) found.add(edge.from);
    }
    return found;
  }

  function point(at, x, y) {
    if (at !== hover) {
      hover = at;
      near = neighbours(at != null && (at >= 0 || data.groups[-1 - at].folded) ? at : null);
      canvas.style.cursor = at == null ? "grab" : "pointer";
      draw();
    }
    const node = at != null && at >= 0 ? data.nodes[at] : null;
    tip.hidden = !node;
    if (!node) return;
    const lines = [node.name, data.groups[node.group]?.name];
    if (node.state) lines.push(`${SHAPES[node.state] || ""} ${WORDS[node.state] || node.state}`);
    if (node.start) lines.push(duration((node.end || Date.now()) - node.start));
    if (node.reason) lines.push(why(node.reason));
    tip.replaceChildren(...lines.filter(Boolean).map((words, n) => el(n ? "div" : "strong", {}, words)));
    const [w, h] = size();
    tip.style.left = `${Math.min(x + 14, w - tip.offsetWidth - 8)}px`;
    tip.style.top = `${Math.min(y + 14, h - tip.offsetHeight - 8)}px`;
  }

  function choose(at, open) {
    chosen = at;
    if (at == null) return draw();
    const thing = at >= 0 ? data.nodes[at] : data.groups[-1 - at];
    const state = thing.state ? `, ${WORDS[thing.state] || thing.state}` : "";
    said.textContent = `${thing.name}${state}`;
    if (open && at >= 0) options.onNode?.(thing);
    if (open && at < 0) options.onGroup?.(thing);
    draw();
  }

  // ---- hands ----
  const fingers = new Map();
  let pressed = null;
  const place = (event) => {
    const bounds = canvas.getBoundingClientRect();
    return [event.clientX - bounds.left, event.clientY - bounds.top];
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, place(event));
    pressed = { at: place(event), dragged: false };
  });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = place(event);
    const old = fingers.get(event.pointerId);
    if (!old) return point(hit(x, y), x, y);
    if (fingers.size === 2) {
      const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
      const gap = (a) => Math.hypot(a[0] - other[0], a[1] - other[1]);
      if (gap(old) > 4) zoom(gap([x, y]) / gap(old), (x + other[0]) / 2, (y + other[1]) / 2);
    } else if (pressed && (pressed.dragged || Math.hypot(x - pressed.at[0], y - pressed.at[1]) > 4)) {
      pressed.dragged = true;
      view.x += x - old[0];
      view.y += y - old[1];
      moved = true;
      tip.hidden = true;
      draw();
    }
    fingers.set(event.pointerId, [x, y]);
  });
  const release = (event) => {
    const [x, y] = place(event);
    if (event.type === "pointerup" && pressed && !pressed.dragged && fingers.size === 1) {
      const at = hit(x, y);
      const group = at != null && at < 0 ? data.groups[-1 - at] : null;
      const px = (x - view.x) / view.k;
      if (group && options.onFold && px > group.rect[0] + group.rect[2] - 34) options.onFold(group);
      else choose(at, true);
    }
    fingers.delete(event.pointerId);
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => point(null));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const [x, y] = place(event);
    zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), x, y);
  }, { passive: false });
  canvas.addEventListener("dblclick", (event) => {
    const at = hit(...place(event));
    if (at != null && at < 0) options.onFold?.(data.groups[-1 - at]);
  });
  canvas.addEventListener("keydown", (event) => {
    const act = {
      "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), "0": fit,
      Enter: () => choose(chosen, true), Escape: () => choose(null),
      ArrowRight: () => walk(after, 1, 0), ArrowLeft: () => walk(before, -1, 0),
      ArrowUp: () => walk(null, 0, -1), ArrowDown: () => walk(null, 0, 1),
    }[event.key];
    if (!act || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  });

  // An arrow goes to a neighbour by edge, or else to the nearest job that way.
  function walk(edges, dx, dy) {
    const drawn = (at) => data.nodes[at].rect[2] > 0;
    let next = chosen != null && chosen >= 0 && edges ? edges[chosen].find(drawn) : undefined;
    if (next === undefined) {
      const from = chosen != null && chosen >= 0 ? data.nodes[chosen].rect : null;
      let best = Infinity;
      data.nodes.forEach((node, at) => {
        if (!drawn(at) || at === chosen) return;
        const [ax, ay] = from ? [node.rect[0] - from[0], node.rect[1] - from[1]] : [node.rect[0], node.rect[1]];
        if (from && ax * dx + ay * dy <= 0) return;
        const far = Math.abs(ax) * (dx ? 1 : 4) + Math.abs(ay) * (dy ? 1 : 4);
        if (far < best) { best = far; next = at; }
      });
    }
    if (next === undefined) return;
    choose(next, false);
    reveal(data.nodes[next].rect);
  }

  // ---- the critical path: back from what ended last, always to what kept it waiting longest ----
  function findCritical() {
    const path = new Set();
    const end = (at) => data.nodes[at].end || (data.nodes[at].start ? Date.now() : 0);
    let at = -1;
    data.nodes.forEach((_, n) => { if (end(n) > (at < 0 ? 0 : end(at))) at = n; });
    const into = data.nodes.map(() => []);
    const ends = new Map();
    for (const edge of data.edges) {
      if (edge.to >= 0 && edge.from >= 0) into[edge.to].push([edge.from, edge]);
      else ends.set(`${edge.from}>${edge.to}`, edge);
    }
    const groupFrom = data.groups.map(() => []);
    for (const edge of data.edges) if (edge.from < 0 && edge.to < 0) groupFrom[-1 - edge.to].push([-1 - edge.from, edge]);
    for (let steps = 0; at >= 0 && steps <= data.nodes.length; steps++) {
      path.add(at);
      let found = into[at].map(([from, edge]) => [from, edge]).sort((a, b) => end(b[0]) - end(a[0]))[0];
      if (!found) {
        const all = groupFrom[data.nodes[at].group].flatMap(([group, edge]) =>
          data.nodes.map((node, n) => [n, edge, node]).filter(([, , node]) => node.group === group));
        found = all.sort((a, b) => end(b[0]) - end(a[0]))[0];
      }
      if (!found || path.has(found[0]) || !end(found[0])) break;
      path.add(`${found[1].from}>${found[1].to}`);
      at = found[0];
    }
    return path;
  }

  function button(label, glyph, act, pressedNow) {
    return el("button", { type: "button", class: "mesh-button", title: label, "aria-label": label,
      "aria-pressed": pressedNow === undefined ? null : String(pressedNow), onclick: act }, glyph);
  }
  function buttons() {
    bar.replaceChildren(...[
      button(text.in, "+", () => zoom(1.25)), button(text.out, "−", () => zoom(0.8)), button(text.fit, "⤢", fit),
      options.critical && button(text.critical, "⟿", () => { critical = critical ? null : findCritical(); buttons(); draw(); }, !!critical),
      options.onFoldAll && button(text.fold, "▣", () => options.onFoldAll(true)),
      options.onFoldAll && button(text.unfold, "▦", () => options.onFoldAll(false)),
    ].filter(Boolean));
  }

  const resized = new ResizeObserver(() => { if (moved) draw(); else fit(); });
  resized.observe(canvas);
  const untheme = onTheme(palette);
  link();
  buttons();
  palette();
  fit();

  return {
    canvas,
    fit,
    /** New data; the view stays when the same things are drawn at the same places. */
    setData(fresh) {
      const same = fresh.width === data.width && fresh.height === data.height;
      const id = chosen != null && chosen >= 0 ? data.nodes[chosen].id : null;
      data = fresh;
      link();
      chosen = index.get(id) ?? null;
      hover = near = null;
      if (critical) critical = findCritical();
      if (same) draw(); else fit();
    },
    /** Changes in place: { id: { state, note, start, end, reason } }. */
    update(changes) {
      for (const [id, change] of Object.entries(changes)) {
        const at = index.get(id);
        if (at !== undefined) Object.assign(data.nodes[at], change);
        else { const group = data.groups.find((one) => one.id === id); if (group) Object.assign(group, change); }
      }
      if (critical) critical = findCritical();
      draw();
    },
    select(id) {
      const at = index.get(id);
      chosen = at ?? null;
      if (at !== undefined && data.nodes[at].rect[2] > 0) reveal(data.nodes[at].rect); else draw();
    },
    /** Where a node stands on the page: for tests and for what is hung beside it. */
    where(id) {
      const at = index.get(id);
      if (at === undefined) return null;
      const [x, y, w, h] = data.nodes[at].rect;
      return [(x + w / 2) * view.k + view.x, (y + h / 2) * view.k + view.y];
    },
    destroy() {
      resized.disconnect();
      untheme();
      clearTimeout(beating);
      cancelAnimationFrame(frame);
      host.replaceChildren();
    },
  };
}
