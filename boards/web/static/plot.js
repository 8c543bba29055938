// A drawing area with axes: scales, ticks, resizing, and colours of the theme. What is drawn on it is in chart.js and bands.js.
import { clock, el, number } from "./api.js";

let paints = new Map();
document.addEventListener("themechange", () => { paints = new Map(); for (const plot of alive) plot.again(); });
const alive = new Set();

/** A custom property of the sheet, such as "--series-0". */
export function paint(name) {
  let found = paints.get(name);
  if (!found) paints.set(name, (found = getComputedStyle(document.documentElement).getPropertyValue(name).trim()));
  return found;
}

export const tone = (meaning) => paint(`--${meaning}`);
export const SERIES = 8;
export const seriesColour = (series, index) => (series?.meaning && series.meaning !== "neutral" ? tone(series.meaning) : series?.meaning ? tone("neutral") : paint(`--series-${index % SERIES}`));

/** Round numbers from low to high, about count of them. */
export function ticks(low, high, count) {
  const rough = (high - low) / Math.max(1, count);
  if (!(rough > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough * 0.999) * power;
  const found = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n++) found.push(n * step === 0 ? 0 : n * step);
  return found;
}

const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const TIME_STEPS = [SECOND, 5 * SECOND, 15 * SECOND, MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY];

/** [ms, label] at round local times. */
export function timeTicks(from, to, width) {
  const most = Math.max(3, width / 92);
  const step = TIME_STEPS.find((one) => (to - from) / one <= most);
  const found = [];
  if (!step) {
    const months = [1, 2, 3, 6, 12, 24].find((one) => (to - from) / (one * 30 * DAY) <= most) ?? 60;
    const at = new Date(from);
    at.setHours(0, 0, 0, 0);
    at.setDate(1);
    at.setMonth(Math.floor(at.getMonth() / months) * months);
    for (; at.getTime() <= to; at.setMonth(at.getMonth() + months)) if (at.getTime() >= from) found.push([at.getTime(), clock(at, "month")]);
    return found;
  }
  const shift = -new Date(from).getTimezoneOffset() * MINUTE;
  for (let at = Math.ceil((from + shift) / step) * step - shift; at <= to; at += step) {
    const midnight = (at + shift) % DAY === 0;
    found.push([at, midnight ? clock(at, "day") : clock(at, step < MINUTE ? "second" : "time")]);
  }
  return found;
}

const watcher = new ResizeObserver((entries) => { for (const { target } of entries) target.plot?.again(); });

/**
 * Two canvases over each other: the picture, and the cursor above it, so that pointing redraws nothing else.
 * draw(ctx) and cursor(ctx) are the heir's; it sets left, right, top, bottom (the frame) in draw.
 */
export class Plot {
  width = 0; height = 0; left = 46; right = 10; top = 8; bottom = 22; em = 12;

  constructor(host, label) {
    this.picture = el("canvas", { "aria-hidden": "true" });
    this.overlay = el("canvas", { "aria-hidden": "true" });
    this.box = el("div", { class: "chart", role: "group", tabindex: "0", "aria-label": label }, this.picture, this.overlay);
    this.box.plot = this;
    host.append(this.box);
    watcher.observe(this.box);
    alive.add(this);
  }

  remove() { alive.delete(this); watcher.unobserve(this.box); this.box.remove(); }

  #fit(canvas) {
    const scale = devicePixelRatio || 1, w = Math.round(this.width * scale), h = Math.round(this.height * scale);
    if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
    const ctx = canvas.getContext("2d");
    ctx.setTransform(scale, 0, 0, scale, 0, 0);
    ctx.clearRect(0, 0, this.width, this.height);
    ctx.font = `${this.em}px ${getComputedStyle(this.box).fontFamily}`;
    return ctx;
  }

  again() {
    this.width = this.box.clientWidth;
    this.height = this.box.clientHeight;
    if (this.width < 20 || this.height < 20) return;
    // letters grow with the screen, as all others do
    this.em = Math.round(0.8 * parseFloat(getComputedStyle(document.documentElement).fontSize));
    this.bottom = Math.round(1.85 * this.em);
    this.draw(this.#fit(this.picture));
    this.point();
  }

  point() { if (this.width >= 20) this.cursor?.(this.#fit(this.overlay)); }

  get inner() { return { x: this.left, y: this.top, w: this.width - this.left - this.right, h: this.height - this.top - this.bottom }; }

  /** Room for the widest label at the left. */
  widen(ctx, labels) { this.left = Math.min(10 * this.em, Math.max(2.5 * this.em, ...labels.map((label) => ctx.measureText(label).width + 14))); }

  grid(ctx, xs, ys) {
    const { x, y, w, h } = this.inner;
    ctx.lineWidth = 1;
    ctx.strokeStyle = paint("--line");
    ctx.fillStyle = paint("--faint");
    ctx.textBaseline = "middle";
    ctx.textAlign = "right";
    ctx.beginPath();
    for (const [at, label] of ys) {
      ctx.moveTo(x, Math.round(at) + 0.5);
      ctx.lineTo(x + w, Math.round(at) + 0.5);
      ctx.fillText(label, x - 7, at);
    }
    ctx.stroke();
    ctx.textAlign = "center";
    ctx.textBaseline = "top";
    let free = -Infinity;
    for (const [at, label] of xs) {
      const half = ctx.measureText(label).width / 2;
      ctx.fillRect(Math.round(at), y + h, 1, 4);
      const place = Math.min(Math.max(at, half + 2), this.width - half - 2);
      if (place - half < free) continue;
      ctx.fillText(label, place, y + h + 7);
      free = place + half + 8;
    }
  }
}

/** Least and greatest of numbers, a little widened; fixed ends stay. */
export function extent(values, low, high) {
  let least = Infinity, most = -Infinity;
  for (const value of values) {
    if (value === null || value === undefined) continue;
    if (value < least) least = value;
    if (value > most) most = value;
  }
  if (least > most) [least, most] = [0, 1];
  const room = (most - least || Math.abs(most) || 1) * 0.06;
  return [low ?? (least >= 0 && least - room < 0 ? 0 : least - room), high ?? most + room];
}

/** Labels for ticks with as many decimals as tell them apart. */
export function tickLabels(values) {
  const step = values.length > 1 ? Math.abs(values[1] - values[0]) : 1;
  let decimals = Math.max(0, Math.min(6, -Math.floor(Math.log10(step) + 1e-9)));
  if (step * 10 ** decimals % 1 > 1e-6) decimals++;
  return values.map((value) => number(value, decimals));
}
