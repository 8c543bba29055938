// The page's own data, words and numbers in the reader's language, and requests to where the page came from.

const source = document.getElementById("page");
export const page = source ? JSON.parse(source.textContent) : { root: "/board", words: {}, language: document.documentElement.lang.slice(0, 2) };

export const locale = page.language === "zh" ? "zh-Hans" : "en-GB";

/** A word in the reader's language; {name} is filled in. */
export function t(text, values = {}) {
  const found = page.words[text] ?? text;
  return found.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** An element. Texts only ever become text: nothing here makes markup of a string. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "text") made.textContent = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// --- numbers and times -----------------------------------------------------------------------------------------------

const formats = new Map();
function kept(key, make) {
  let found = formats.get(key);
  if (!found) formats.set(key, (found = make()));
  return found;
}

/** A number with fixed decimals, or with as many digits as it deserves. */
export function number(value, decimals = null) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (typeof value !== "number") return String(value);
  const digits = decimals ?? (value === 0 ? 0 : Math.max(0, Math.min(6, 3 - Math.floor(Math.log10(Math.abs(value))))));
  const fixed = decimals === null ? 0 : digits;
  if (Math.abs(value) < 0.5 * 10 ** -digits) value = 0; // no "-0.0"
  return kept(`n${digits}/${fixed}`, () => new Intl.NumberFormat(locale, { maximumFractionDigits: digits, minimumFractionDigits: fixed })).format(value);
}

export function clock(ms, style = "full") {
  const options = {
    full: { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" },
    exact: { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" },
    short: { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" },
    time: { hour: "2-digit", minute: "2-digit" },
    second: { hour: "2-digit", minute: "2-digit", second: "2-digit" },
    day: { month: "short", day: "numeric" },
    month: { month: "short", year: "numeric" },
  }[style];
  return kept(`t${style}`, () => new Intl.DateTimeFormat(locale, { ...options, hourCycle: "h23" })).format(ms);
}

const STEPS = [[1, "s"], [60, "min"], [3600, "h"], [86400, "d"]];

/** Seconds in words: "40 s", "12 min", "3.5 h", "6 d". */
export function span(seconds) {
  const size = Math.abs(seconds);
  const [unit, name] = STEPS.findLast(([from]) => size >= from * (from === 1 ? 0 : 2)) ?? STEPS[0];
  const count = seconds / unit;
  return `${number(Math.abs(count) < 10 && unit >= 3600 ? Math.round(count * 10) / 10 : Math.round(count))} ${t(name)}`;
}

let reference = { event: page.now ?? null, clock: false };
/** What "now" is for data: the clock, or where a replayed tenant's time has come. */
export function setNow(event, isClock) { reference = { event, clock: isClock }; }
export function now() { return reference.clock || reference.event === null ? Date.now() : reference.event; }

/** "3 h ago" or "in 3 h", by the data's own time. */
export function ago(ms) {
  const seconds = (now() - ms) / 1000;
  if (seconds < -60) return t("in {span}", { span: span(-seconds) });
  return seconds < 5 ? t("just now") : t("{span} ago", { span: span(seconds) });
}

export function when(ms) {
  return el("span", { class: "when" }, el("time", { datetime: new Date(ms).toISOString(), title: clock(ms, "exact"), text: ago(ms) }), el("small", { text: clock(ms, "short") }));
}

/** A word that carries a meaning: colour, sign and text. */
export function chip(text, meaning, sign = true) {
  const quiet = !meaning || meaning === "neutral";
  return el("span", { class: quiet ? "chip plain" : `chip is-${meaning}${sign ? " sign" : ""}`, text });
}

export function meaningOf(zones, value) {
  if (!zones) return null;
  if (typeof value !== "number") return "unknown";
  let found = zones.below;
  for (const [start, meaning] of zones.steps) if (value >= start) found = meaning;
  return found;
}

// --- requests --------------------------------------------------------------------------------------------------------

export class Refused extends Error {
  constructor(status, detail) { super(detail); this.status = status; }
}

async function answer(response) {
  if (response.status === 401) {
    location.assign(`${page.root}/sign-in?after=${encodeURIComponent(location.pathname + location.search)}`);
    return new Promise(() => {});
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, body.detail ?? response.statusText);
  return body;
}

export async function get(path, query = {}, signal = undefined) {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== null && value !== undefined && value !== "") given.set(name, value);
  const text = given.toString();
  return answer(await fetch(page.root + path + (text ? `?${text}` : ""), { headers: { accept: "application/json" }, signal }));
}

export async function post(path, body) {
  return answer(await fetch(page.root + path, {
    method: "POST", body: JSON.stringify(body),
    headers: { accept: "application/json", "content-type": "application/json", "x-csrf-token": page.csrf },
  }));
}

// --- the page's frame ------------------------------------------------------------------------------------------------

/** For screen readers only, when they have finished what they are saying. */
export function announce(text) {
  const place = document.getElementById("polite");
  if (place) place.textContent = text;
}

function remember(name, value) {
  document.cookie = `${name}=${value}; path=${page.root}; max-age=31536000; samesite=strict${location.protocol === "https:" ? "; secure" : ""}`;
}

export function frame() {
  document.getElementById("language").addEventListener("change", (event) => {
    remember("board-language", event.target.value);
    const address = new URL(location.href);
    address.searchParams.delete("lang");
    if (address.href === location.href) location.reload(); else location.replace(address);
  });
  document.getElementById("theme").addEventListener("change", (event) => {
    remember("board-theme", event.target.value);
    document.documentElement.dataset.theme = event.target.value;
    document.dispatchEvent(new Event("themechange"));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("themechange")));
}
