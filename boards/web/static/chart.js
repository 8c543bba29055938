// Curves along time, and of one quantity over another. A year of a point is a few thousand stored readings, extremes
// kept, chosen by the database for the pixels there are; here they are only drawn.
import { announce, chip, clock, el, number, t } from "./api.js";
import { Plot, extent, paint, seriesColour, tickLabels, ticks, timeTicks, tone } from "./plot.js";

const DASH = { dashed: [6, 4] };

function drawZones(ctx, { x, y, w, h }, zones, toY, low, high) {
  if (!zones) return;
  const edges = [[low, zones.below], ...zones.steps.filter(([start]) => start < high)];
  edges.forEach(([start, meaning], n) => {
    if (["healthy", "neutral"].includes(meaning)) return;
    const top = Math.max(y, toY(Math.min(high, edges[n + 1]?.[0] ?? high))), bottom = Math.min(y + h, toY(Math.max(low, start)));
    if (bottom <= top) return;
    ctx.globalAlpha = 0.13;
    ctx.fillStyle = tone(meaning);
    ctx.fillRect(x, top, w, bottom - top);
    ctx.globalAlpha = 1;
  });
}

function limitLine(ctx, { x, w }, at, meaning, label) {
  ctx.strokeStyle = ctx.fillStyle = tone(meaning);
  ctx.lineWidth = 1.5;
  ctx.setLineDash([8, 4]);
  ctx.beginPath();
  ctx.moveTo(x, at);
  ctx.lineTo(x + w, at);
  ctx.stroke();
  ctx.setLineDash([]);
  ctx.textAlign = "left";
  ctx.textBaseline = at < 24 ? "top" : "bottom";
  ctx.fillText(label, x + 4, at + (at < 24 ? 2 : -2));
}

/** Position of the last time at or before `at`; -1: none. */
export function before(times, at) {
  let low = 0, high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= at) low = middle + 1; else high = middle;
  }
  return low - 1;
}

/** Longer than this between two readings is a gap: five times what is usual. */
function usualGap(times) {
  if (times.length < 3) return Infinity;
  const steps = [];
  const stride = Math.max(1, Math.floor(times.length / 400));
  for (let n = stride; n < times.length; n += stride) steps.push((times[n] - times[n - stride]) / stride);
  steps.sort((a, b) => a - b);
  return 5 * steps[Math.min(steps.length - 1, Math.floor(steps.length * 0.75))];
}

/** Curves along time. One cursor for all charts of the page: event "chartcursor" with detail {at} (null: none). */
export class TimeChart extends Plot {
  #data = { series: [], from: 0, to: 1, marks: [], markValues: {} };
  #hidden = new Set();
  #at = null;
  #drag = null;

  constructor(host, panel, onZoom) {
    super(host, `${panel.title}. ${t("Chart: arrow keys read values, plus and minus zoom.")}`);
    this.panel = panel;
    this.onZoom = onZoom;
    this.legend = el("ul", { class: "legend" });
    this.reading = el("p", { class: "at" });
    host.append(this.legend, this.reading);
    this.#listen();
  }

  show(data) {
    const known = new Map(this.panel.series.map((series, n) => [series.key, { ...series, order: n }]));
    const series = data.series.map((one, n) => {
      const made = known.get(one.metric);
      return { ...one, key: one.metric, title: made?.title ?? t(one.metric), style: made?.style ?? "line", meaning: made?.meaning ?? null, order: made?.order ?? 100 + n, gap: this.panel.steps ? Infinity : usualGap(one.t) };
    }).sort((a, b) => a.order - b.order);
    series.forEach((one, n) => { one.index = n; });
    this.#data = { ...data, series };
    this.#names();
    this.again();
  }

  #names() {
    if (!this.panel.legend && this.#data.series.length < 2) { this.legend.hidden = true; return; }
    this.legend.replaceChildren(...this.#data.series.map((series) => {
      const key = el("span", { class: `key ${series.style}` });
      const colour = seriesColour(series, series.index);
      key.style.borderColor = key.style.backgroundColor = colour;
      if (series.style !== "points" && series.style !== "big_point") key.style.backgroundColor = "transparent";
      return el("li", {}, el("button", {
        type: "button", "aria-pressed": String(!this.#hidden.has(series.key)),
        onclick: (event) => {
          const off = this.#hidden.delete(series.key) ? false : Boolean(this.#hidden.add(series.key));
          event.currentTarget.setAttribute("aria-pressed", String(!off));
          this.again();
        },
      }, key, el("span", { text: series.title }), (series.value = el("b"))));
    }));
  }

  get shown() { return this.#data.series.filter((series) => !this.#hidden.has(series.key)); }

  draw(ctx) {
    const { from, to, marks } = this.#data, { panel } = this;
    const values = function* (list) { for (const series of list) yield* series.v; };
    let [low, high] = extent(values(this.shown), panel.low, panel.high);
    for (const [value] of panel.limits) if (value > high && value < high + (high - low)) high = value + (high - low) * 0.06;
    this.top = panel.unit || panel.yTitle ? Math.round(1.7 * this.em) : 8;
    const count = Math.max(2, Math.floor((this.height - 40) / (3.6 * this.em)));
    const marksY = ticks(low, high, count), labels = tickLabels(marksY);
    this.widen(ctx, labels);
    const { x, y, w, h } = this.inner;
    this.toX = (ms) => x + ((ms - from) / (to - from)) * w;
    this.toTime = (px) => from + ((px - x) / w) * (to - from);
    this.toY = (value) => y + h - ((value - low) / (high - low)) * h;
    drawZones(ctx, this.inner, panel.zones, this.toY, low, high);
    this.grid(ctx, timeTicks(from, to, w).map(([ms, label]) => [this.toX(ms), label]), marksY.map((value, n) => [this.toY(value), labels[n]]));
    if (this.top > 8) {
      ctx.textAlign = "left";
      ctx.textBaseline = "top";
      ctx.fillText([panel.yTitle, panel.unit].filter(Boolean).join(", "), 4, 2);
    }
    ctx.save();
    ctx.beginPath();
    ctx.rect(x, y - 3, w, h + 6);
    ctx.clip();
    for (const mark of marks ?? []) this.#mark(ctx, mark, { y, h });
    for (const [value, meaning] of panel.limits) if (value >= low && value <= high) limitLine(ctx, this.inner, this.toY(value), meaning, number(value));
    for (const series of this.shown) this.#curve(ctx, series);
    ctx.restore();
  }

  #mark(ctx, [time, end, , , tag], { y, h }) {
    const at = this.toX(time);
    ctx.fillStyle = ctx.strokeStyle = tone(this.#data.markValues?.[tag]?.[1] ?? "neutral");
    if (end) {
      ctx.globalAlpha = 0.12;
      ctx.fillRect(at, y, this.toX(end) - at, h);
      ctx.globalAlpha = 1;
    }
    ctx.globalAlpha = 0.75;
    ctx.lineWidth = 1;
    ctx.beginPath();
    ctx.moveTo(at, y);
    ctx.lineTo(at, y + h);
    ctx.stroke();
    ctx.globalAlpha = 1;
    ctx.beginPath();
    ctx.moveTo(at - 5, y - 3);
    ctx.lineTo(at + 5, y - 3);
    ctx.lineTo(at, y + 6);
    ctx.fill();
  }

  #curve(ctx, { t: times, v: values, style, gap, index, meaning }) {
    ctx.strokeStyle = ctx.fillStyle = seriesColour({ meaning }, index);
    if (style === "points" || style === "big_point") {
      const size = style === "points" ? 2 : 5;
      for (let n = 0; n < times.length; n++) {
        if (values[n] === null) continue;
        ctx.beginPath();
        ctx.arc(this.toX(times[n]), this.toY(values[n]), size, 0, 7);
        ctx.fill();
      }
      return;
    }
    ctx.lineWidth = 1.6;
    ctx.lineJoin = "round";
    ctx.setLineDash(DASH[style] ?? []);
    ctx.beginPath();
    let open = false;
    for (let n = 0; n < times.length; n++) {
      if (values[n] === null) { open = false; continue; }
      const px = this.toX(times[n]), py = this.toY(values[n]);
      if (open && times[n] - times[n - 1] <= gap) {
        if (this.panel.steps) ctx.lineTo(px, this.toY(values[n - 1]));
        ctx.lineTo(px, py);
      }
      else { ctx.moveTo(px, py); ctx.lineTo(px + 0.5, py); }
      open = true;
    }
    ctx.stroke();
    ctx.setLineDash([]);
  }

  cursor(ctx) {
    const { x, y, w, h } = this.inner;
    if (this.#drag) {
      ctx.globalAlpha = 0.2;
      ctx.fillStyle = paint("--focus");
      ctx.fillRect(Math.min(this.#drag.from, this.#drag.to), y, Math.abs(this.#drag.to - this.#drag.from), h);
      ctx.globalAlpha = 1;
    }
    const at = this.#at;
    const inside = at !== null && at >= this.#data.from && at <= this.#data.to;
    for (const series of this.#data.series) {
      const n = inside ? before(series.t, at) : -1;
      const value = n >= 0 && at - series.t[n] <= series.gap ? series.v[n] : null;
      if (series.value) series.value.textContent = inside ? (value === null ? "–" : `${number(value, this.panel.decimals)} ${this.panel.unit}`) : "";
      if (value === null || this.#hidden.has(series.key)) continue;
      ctx.fillStyle = seriesColour(series, series.index);
      ctx.beginPath();
      ctx.arc(this.toX(series.t[n]), this.toY(value), 4, 0, 7);
      ctx.fill();
    }
    this.reading.replaceChildren();
    if (!inside) return;
    const px = Math.min(x + w, Math.max(x, this.toX(at)));
    ctx.fillStyle = paint("--faint");
    ctx.fillRect(Math.round(px), y, 1, h);
    const near = (this.#data.marks ?? []).find(([time]) => Math.abs(this.toX(time) - px) < 6);
    const single = this.legend.hidden && this.shown[0];
    const n = single ? before(single.t, at) : -1;
    this.reading.append(clock(at, "exact"), single && n >= 0 ? ` · ${number(single.v[n], this.panel.decimals)} ${this.panel.unit}` : "",
      ...(near ? [" · ", chip(this.#data.markValues?.[near[4]]?.[0] ?? near[4], this.#data.markValues?.[near[4]]?.[1]), ` ${near[2]}`] : []));
  }

  #move(at) { document.dispatchEvent(new CustomEvent("chartcursor", { detail: { at } })); }

  #listen() {
    document.addEventListener("chartcursor", ({ detail }) => {
      if (this.#at === detail.at || !this.box.isConnected) return;
      this.#at = detail.at;
      this.point();
    });
    const box = this.box;
    box.addEventListener("pointermove", (event) => {
      if (!this.toTime) return;
      if (this.#drag) this.#drag.to = event.offsetX;
      this.#move(this.toTime(event.offsetX));
      if (this.#drag) this.point();
    });
    box.addEventListener("pointerleave", () => { if (!this.#drag) this.#move(null); });
    box.addEventListener("pointerdown", (event) => {
      if (!this.onZoom || event.pointerType === "touch" || event.button !== 0) return;
      this.#drag = { from: event.offsetX, to: event.offsetX };
      box.setPointerCapture(event.pointerId);
    });
    box.addEventListener("pointerup", () => {
      const drag = this.#drag;
      this.#drag = null;
      if (drag && Math.abs(drag.to - drag.from) > 8) this.onZoom(...[this.toTime(drag.from), this.toTime(drag.to)].sort((a, b) => a - b));
      this.point();
    });
    box.addEventListener("keydown", (event) => this.#key(event));
  }

  #key(event) {
    const { from, to } = this.#data, width = to - from;
    const at = this.#at ?? to;
    const keys = {
      ArrowLeft: () => this.#say(Math.max(from, at - width / (event.shiftKey ? 10 : 100))),
      ArrowRight: () => this.#say(Math.min(to, at + width / (event.shiftKey ? 10 : 100))),
      Home: () => this.#say(from),
      End: () => this.#say(to),
      Escape: () => this.#move(null),
      "+": () => this.onZoom?.(at - width / 4, at + width / 4),
      "-": () => this.onZoom?.(at - width, at + width),
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  }

  #say(at) {
    this.#move(at);
    const said = this.shown.map((series) => {
      const n = before(series.t, at);
      return `${series.title} ${n < 0 ? "–" : number(series.v[n], this.panel.decimals)} ${this.panel.unit}`;
    });
    announce(`${clock(at, "exact")}: ${said.join(", ")}`);
  }
}

/** One quantity over another: rows of (series, x, y) in the order given. */
export class XYChart extends Plot {
  #series = [];

  constructor(host, panel) {
    super(host, panel.title);
    this.panel = panel;
    this.legend = el("ul", { class: "legend" });
    host.append(this.legend);
  }

  show({ columns, rows }) {
    const [key, x, y] = ["series", "x", "y"].map((name) => columns.indexOf(name));
    const found = new Map();
    for (const row of rows) {
      if (!found.has(row[key])) found.set(row[key], []);
      if (row[x] !== null && row[y] !== null) found.get(row[key]).push([row[x], row[y]]);
    }
    const order = this.panel.series.map((series) => series.key);
    this.#series = [...found].map(([name, points]) => {
      const made = this.panel.series.find((series) => series.key === name);
      return { name, points, title: made?.title ?? t(name), style: made?.style ?? "line", meaning: made?.meaning ?? null, order: made ? order.indexOf(name) : 99 };
    }).sort((a, b) => a.order - b.order);
    const named = this.#series.filter((series) => this.panel.series.length === 0 || this.panel.series.some((made) => made.key === series.name));
    this.legend.replaceChildren(...(this.panel.legend ? named : []).map((series) => {
      const sign = el("span", { class: `key ${series.style.includes("point") ? "points" : series.style}` });
      const colour = seriesColour(series, this.#series.indexOf(series));
      sign.style.borderColor = colour;
      if (series.style.includes("point")) sign.style.backgroundColor = colour;
      return el("li", {}, sign, el("span", { text: series.title }));
    }));
    this.again();
  }

  draw(ctx) {
    const { panel } = this;
    const all = this.#series.flatMap((series) => series.points);
    const [low, high] = extent(all.map((point) => point[1]), panel.low, panel.high);
    const [first, last] = extent(all.map((point) => point[0]), null, null);
    this.top = Math.round(1.7 * this.em);
    this.bottom = Math.round(3.2 * this.em);
    const ys = ticks(low, high, Math.max(2, this.height / 60)), labels = tickLabels(ys);
    this.widen(ctx, labels);
    const { x, y, w, h } = this.inner;
    const xs = ticks(first, last, Math.max(2, w / 80)), below = tickLabels(xs);
    const toX = (value) => x + ((value - first) / (last - first)) * w;
    const toY = (value) => y + h - ((value - low) / (high - low)) * h;
    drawZones(ctx, this.inner, panel.zones, toY, low, high);
    this.grid(ctx, xs.map((value, n) => [toX(value), below[n]]), ys.map((value, n) => [toY(value), labels[n]]));
    ctx.textAlign = "left";
    ctx.textBaseline = "top";
    ctx.fillText([panel.yTitle, panel.unit].filter(Boolean).join(", "), 4, 2);
    ctx.textAlign = "right";
    ctx.textBaseline = "bottom";
    ctx.fillText([panel.xTitle, panel.xUnit].filter(Boolean).join(", "), this.width - this.right, this.height - 1);
    this.#series.forEach((series, n) => {
      ctx.strokeStyle = ctx.fillStyle = seriesColour(series, n);
      ctx.lineWidth = 1.8;
      ctx.setLineDash(DASH[series.style] ?? []);
      ctx.beginPath();
      if (series.style.includes("point")) {
        for (const [px, py] of series.points) {
          ctx.moveTo(toX(px), toY(py));
          ctx.arc(toX(px), toY(py), series.style === "big_point" ? 7 : 2.2, 0, 7);
        }
        ctx.fill();
        if (series.style === "big_point") { ctx.strokeStyle = paint("--sheet"); ctx.stroke(); }
      } else {
        series.points.forEach(([px, py], at) => (at ? ctx.lineTo(toX(px), toY(py)) : ctx.moveTo(toX(px), toY(py))));
        ctx.stroke();
      }
      ctx.setLineDash([]);
    });
  }
}
