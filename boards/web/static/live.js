// The line to the service: events as they happen, how old the data are, and what to do when the line is cut.
import { announce, chip, el, page, setNow, span, t } from "./api.js";

const STALE_SECONDS = 60;
const SILENT_SECONDS = 40; // the service says something every 15 s
const HIDDEN_MS = 60_000; // a page that nobody looks at gives its connection back: browsers have six per host

export class Live {
  #handlers = { alarm: [], pulse: [], lost: [], back: [] };
  #source = null;
  #last = null;
  #heard = 0;
  #lostAt = 0;
  #wait = 1000;
  #answered = 0;
  #pulse = null;
  #pulseAt = 0;
  #text = document.getElementById("live-text");
  #box = document.getElementById("live");
  #waiting = document.getElementById("waiting");

  on(name, handler) { this.#handlers[name].push(handler); return this; }
  /** The service answered a question: it is there, though we may not hear its events (too many streams are open). */
  answered() { this.#answered = Date.now(); }

  get connected() { return this.#lostAt === 0 && this.#source !== null; }

  start() {
    this.#open();
    setInterval(() => this.#show(), 1000);
    let hidden = 0;
    document.addEventListener("visibilitychange", () => {
      clearTimeout(hidden);
      if (document.hidden) hidden = setTimeout(() => this.#close(), HIDDEN_MS);
      else if (!this.#source) this.#open();
    });
    addEventListener("pagehide", () => this.#close());
    addEventListener("online", () => this.#again(0));
  }

  #tell(name, value) { for (const handler of this.#handlers[name]) handler(value); }
  #close() { this.#source?.close(); this.#source = null; }

  #open() {
    this.#close();
    const source = new EventSource(`${page.root}/stream${this.#last === null ? "" : `?after=${this.#last}`}`);
    this.#source = source;
    this.#heard = Date.now();
    const heard = (event) => {
      this.#heard = Date.now();
      if (event.lastEventId) this.#last = event.lastEventId;
      if (this.#lostAt) {
        this.#lostAt = 0;
        this.#tell("back");
      }
      this.#wait = 1000;
    };
    for (const kind of ["ready", "gap"]) source.addEventListener(kind, (event) => { heard(event); if (kind === "gap") this.#tell("back"); this.#show(); });
    for (const kind of ["alarm", "alarm_change"]) {
      source.addEventListener(kind, (event) => {
        heard(event);
        this.#tell("alarm", { kind, ...JSON.parse(event.data).payload });
      });
    }
    source.addEventListener("pulse", (event) => {
      heard(event);
      this.#pulse = JSON.parse(event.data);
      this.#pulseAt = performance.now();
      setNow(this.#pulse.event, this.#pulse.clock);
      this.#tell("pulse", this.#pulse);
      this.#show();
    });
    source.onopen = () => { this.#heard = Date.now(); };
    source.onerror = () => this.#lost();
  }

  #lost() {
    if (!this.#lostAt) {
      this.#lostAt = Date.now();
      this.#tell("lost");
      announce(t("Connection lost"));
    }
    this.#show();
    // the browser comes again by itself unless it was refused
    if (this.#source?.readyState === EventSource.CLOSED) this.#again(this.#wait);
  }

  #again(delay) {
    this.#close();
    this.#wait = Math.min(this.#wait * 2, 30_000);
    setTimeout(() => { if (!this.#source && !document.hidden) this.#open(); }, delay);
  }

  #show() {
    let state = "live", text;
    if (this.#source && !this.#lostAt && Date.now() - this.#heard > SILENT_SECONDS * 1000) { this.#lost(); this.#again(0); return; }
    const p = this.#pulse;
    const age = p && p.stored !== null ? (p.now - p.stored + performance.now() - this.#pulseAt) / 1000 : null;
    const old = age === null ? t("no data yet") : t("data {span} old", { span: span(Math.max(0, age)) });
    if (this.#lostAt && this.#answered > this.#lostAt) { state = "stale"; text = `${t("Not live, asks now and then")} · ${old}`; }
    else if (this.#lostAt) { state = "lost"; text = `${t("Connection lost")} · ${old}`; }
    else if (!p) { state = "starting"; text = t("Connecting …"); }
    else if (age === null || age > STALE_SECONDS) { state = "stale"; text = `${t("Connected")} · ${old}`; }
    else text = `${t("Live")} · ${old}`;
    if (this.#text.textContent !== text) this.#text.textContent = text;
    if (this.#box.dataset.state !== state) this.#box.dataset.state = state;
    if (p) {
      const count = String(p.unacknowledged);
      if (this.#waiting.textContent !== count) {
        this.#waiting.textContent = count;
        this.#waiting.hidden = !p.unacknowledged;
        this.#waiting.title = t("Not acknowledged");
      }
    }
  }
}

const PRIORITY = { urgent: "alarm", high: "warning", medium: "advisory", low: "neutral" };
const MOST_TOASTS = 4;

/** A new alarm in a corner, read aloud by screen readers; the newest few, each for a while. */
export function toast(alarm) {
  const place = document.getElementById("toasts");
  const meaning = PRIORITY[alarm.priority] ?? "neutral";
  const box = el("div", { class: `toast is-${meaning}` },
    el("p", {}, chip(t(alarm.priority[0].toUpperCase() + alarm.priority.slice(1)), meaning), " ", el("a", { href: `${page.root}/equipment?equipment=${alarm.equipment_id}`, text: alarm.equipment })),
    el("button", { type: "button", "aria-label": t("Close"), text: "×", onclick: () => box.remove() }),
    el("p", { text: alarm.title }));
  place.append(box);
  while (place.children.length > MOST_TOASTS) place.firstElementChild.remove();
  setTimeout(() => box.remove(), 20_000);
}
