// Bands along time: one line per machine or thing, coloured by what was the case (STATES) or by a number (GRID).
import { announce, chip, clock, meaningOf, number, t, el } from "./api.js";
import { Plot, paint, timeTicks, tone } from "./plot.js";

const SOFT = { neutral: 0.45, unknown: 0.35 };

/** data: rows of (time, metric, value), from, to. A GRID's cells end where the next of any band begins. */
export class Bands extends Plot {
  #bands = [];
  #range = [0, 1];
  #at = null;
  #hover = -1;

  constructor(host, panel) {
    super(host, `${panel.title}. ${t("Chart: the table below has the same in words.")}`);
    this.panel = panel;
    this.box.classList.add("bands");
    this.reading = el("p", { class: "at" });
    host.append(this.reading);
    this.box.addEventListener("pointermove", (event) => this.#point(event.offsetX, event.offsetY));
    this.box.addEventListener("pointerleave", () => { document.dispatchEvent(new CustomEvent("chartcursor", { detail: { at: null } })); });
    document.addEventListener("chartcursor", ({ detail }) => {
      if (!this.box.isConnected || this.#at === detail.at) return;
      this.#at = detail.at;
      if (detail.at === null) this.#hover = -1;
      this.point();
    });
    this.box.addEventListener("keydown", (event) => {
      const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step && !move) return;
      event.preventDefault();
      this.#hover = Math.min(this.#bands.length - 1, Math.max(0, this.#hover + (step ?? 0)));
      const [from, to] = this.#range;
      const at = Math.min(to, Math.max(from, (this.#at ?? to) + ((move ?? 0) * (to - from)) / 100));
      document.dispatchEvent(new CustomEvent("chartcursor", { detail: { at } }));
      announce(this.reading.textContent);
    });
  }

  show({ columns, rows, from, to }) {
    const [time, metric, value] = ["time", "metric", "value"].map((name) => columns.indexOf(name));
    const found = new Map();
    const starts = new Set();
    for (const row of rows) {
      if (!found.has(row[metric])) found.set(row[metric], []);
      found.get(row[metric]).push([row[time], row[value]]);
      starts.add(row[time]);
    }
    const order = [...starts].sort((a, b) => a - b);
    let step = Infinity;
    for (let n = 1; n < order.length; n++) step = Math.min(step, order[n] - order[n - 1]);
    this.step = this.panel.kind === "grid" && Number.isFinite(step) ? step : Infinity;
    this.#bands = [...found].map(([name, cells]) => ({ name: t(name), cells }));
    this.#range = [from, to];
    this.again();
  }

  #look(value) {
    if (this.panel.kind === "grid") return [value === null ? t("unknown") : `${number(value, this.panel.decimals)} ${this.panel.unit}`, meaningOf(this.panel.zones, value)];
    return this.panel.values?.[value] ?? [String(value ?? t("unknown")), value === null ? "unknown" : "neutral"];
  }

  draw(ctx) {
    const [from, to] = this.#range;
    this.widen(ctx, this.#bands.map((band) => band.name));
    this.top = 2;
    const { x, y, w, h } = this.inner;
    const each = h / Math.max(1, this.#bands.length), thick = Math.max(2, Math.min(2.8 * this.em, each - (each > 8 ? 4 : 1)));
    this.toX = (ms) => x + ((ms - from) / (to - from)) * w;
    this.grid(ctx, timeTicks(from, to, w).map(([ms, label]) => [this.toX(ms), label]), []);
    ctx.save();
    this.#bands.forEach((band, n) => {
      const middle = y + (n + 0.5) * each;
      ctx.fillStyle = paint("--ink");
      ctx.textAlign = "right";
      ctx.textBaseline = "middle";
      if (each >= this.em || n % Math.ceil(this.em / each) === 0) ctx.fillText(this.#short(ctx, band.name), x - 7, middle);
      ctx.textAlign = "left";
      band.cells.forEach(([start, value], at) => {
        const end = Math.min(band.cells[at + 1]?.[0] ?? Infinity, start + this.step, to);
        const left = Math.max(x, this.toX(start)), right = this.toX(end);
        if (right <= left) return;
        const [text, meaning] = this.#look(value);
        ctx.globalAlpha = SOFT[meaning] ?? (meaning === "healthy" ? 0.75 : 1);
        ctx.fillStyle = tone(meaning ?? "neutral");
        ctx.fillRect(left, middle - thick / 2, Math.max(0.6, right - left - (right - left > 6 ? 1 : 0)), thick);
        ctx.globalAlpha = 1;
        if (this.panel.kind === "states" && thick >= 13 && right - left > ctx.measureText(text).width + 10) {
          ctx.fillStyle = (SOFT[meaning] ?? 1) < 0.5 ? paint("--ink") : paint(`--on-${meaning}`);
          ctx.fillText(text, left + 5, middle);
        }
      });
    });
    ctx.restore();
  }

  #short(ctx, text) {
    if (ctx.measureText(text).width <= this.left - 12) return text;
    let shorter = text;
    while (shorter.length > 3 && ctx.measureText(`${shorter}…`).width > this.left - 12) shorter = shorter.slice(0, -1);
    return `${shorter}…`;
  }

  #point(px, py) {
    const { x, y, w, h } = this.inner;
    this.#hover = Math.max(0, Math.min(this.#bands.length - 1, Math.floor(((py - y) / h) * this.#bands.length)));
    const [from, to] = this.#range;
    document.dispatchEvent(new CustomEvent("chartcursor", { detail: { at: Math.min(to, Math.max(from, from + ((px - x) / w) * (to - from))) } }));
  }

  cursor(ctx) {
    this.reading.replaceChildren();
    const [from, to] = this.#range, at = this.#at;
    if (at === null || at < from || at > to) return;
    const { y, h } = this.inner;
    ctx.fillStyle = paint("--ink");
    ctx.fillRect(Math.round(this.toX(at)), y, 1, h);
    const band = this.#bands[this.#hover] ?? (this.#bands.length === 1 ? this.#bands[0] : null);
    const cell = band?.cells.findLast(([start]) => start <= at);
    this.reading.append(clock(at, "short"));
    if (!cell || at >= cell[0] + this.step) return;
    const [text, meaning] = this.#look(cell[1]);
    this.reading.append(` · ${band.name} `, chip(text, meaning));
  }
}
