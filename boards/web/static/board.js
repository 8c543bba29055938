// A board: asks for its panels, shows them, and asks again when the service says that something has happened.
import { clock, el, frame, get, now, page, setNow, t } from "./api.js";
import { Live, toast } from "./live.js";
import { PanelView } from "./panels.js";

const RANGES = [["1h", "1 h", 3600e3], ["6h", "6 h", 6 * 3600e3], ["24h", "24 h", 86400e3], ["7d", "7 d", 7 * 86400e3], ["30d", "30 d", 30 * 86400e3], ["365d", "1 y", 365 * 86400e3]];
const ALARM_PAUSE_MS = 120; // alarms of one moment are one refresh
const FLOOD_PAUSE_MS = 1000;

const { board } = page;
const address = new URL(location.href);
const variables = Object.fromEntries(page.variables.map((variable) => [variable.key, variable.chosen]));
const timed = board.rows.some((row) => row.panels.some((panel) => ["timeseries", "states", "grid", "xy"].includes(panel.kind)));
let range = { from: address.searchParams.get("from"), to: address.searchParams.get("to"), range: address.searchParams.get("range") };
let span = null; // what the last answer was about

frame();
const context = { chosen: () => variables, zoom, done: () => load(panels.filter((view) => view.panel.follows.length > 0)) };
const panels = board.rows.flatMap((row) => row.panels).map((panel) => new PanelView(document.querySelector(`[data-panel="${panel.key}"]`), panel, context));
const marks = { list: {}, digest: "", values: Object.fromEntries(board.annotations.map((note) => [note.key, note.values])) };

// --- asking ----------------------------------------------------------------------------------------------------------

let turn = 0;
async function load(wanted, fresh = false) {
  if (!wanted.length) return;
  const mine = fresh ? ++turn : turn;
  const started = performance.now();
  for (const view of wanted) view.asked = started;
  const width = Math.max(...wanted.map((view) => view.body.clientWidth), 300);
  const timeline = wanted.some((view) => view.panel.kind === "timeseries");
  const query = { ...variables, ...range, panels: wanted.map((view) => view.panel.key).join(","), pixels: Math.min(4000, Math.round(width)), marks: timeline && board.annotations.length ? 1 : null };
  let answer;
  try {
    answer = await get(`/data/${board.key}`, query);
  } catch (error) {
    if (mine !== turn) return;
    for (const view of wanted) {
      view.section.classList.add("late");
      if (view.section.getAttribute("aria-busy") === "true") view.show({ error: error.status ? error.message : "The service does not answer." });
    }
    return;
  }
  if (mine !== turn) return;
  span = [answer.from, answer.to];
  live.answered();
  setNow(answer.now, false);
  if (timeline && query.marks) {
    marks.list = answer.marks;
    marks.digest = Object.values(answer.marks).map((list) => `${list.length}:${list.at(-1)?.[0]}`).join();
  }
  const extra = { marks: Object.values(marks.list).flat(), markValues: Object.assign({}, ...Object.values(marks.values)), digest: marks.digest };
  for (const view of wanted) view.show(answer.panels[view.panel.key], extra);
}

/** Everything, row by row, so that what is on top comes first. */
function loadAll() {
  turn++;
  const rows = new Map();
  for (const view of panels) {
    const row = view.section.parentElement;
    rows.set(row, [...(rows.get(row) ?? []), view]);
  }
  return Promise.all([...rows.values()].map((row) => load(row)));
}

// --- time range and variables ----------------------------------------------------------------------------------------

function remember(push) {
  const next = new URL(location.pathname, location.origin);
  for (const [name, value] of Object.entries({ ...variables, ...range })) if (value !== null && value !== undefined && value !== "") next.searchParams.set(name, value);
  if (next.href !== location.href) history[push ? "pushState" : "replaceState"](null, "", next);
}

function choose(next) {
  range = { from: null, to: null, range: null, ...next };
  remember(true);
  buttons();
  loadAll();
}

function zoom(from, to) {
  if (to - from < 1000) return;
  choose({ from: Math.round(from), to: Math.round(to) });
}

function buttons() {
  const place = document.getElementById("range");
  if (!timed) { place.hidden = true; return; }
  const fixed = range.from !== null;
  const current = fixed ? null : RANGES.find(([key]) => key === range.range)?.[0] ?? RANGES.find(([, , ms]) => ms === board.window)?.[0];
  const step = (part) => {
    const [from, to] = span ?? [now() - board.window, now()];
    const width = (to - from) * part;
    zoom(from + width, to + width);
  };
  place.replaceChildren(
    el("button", { type: "button", "aria-label": t("Earlier"), title: t("Earlier"), text: "‹", onclick: () => step(-0.5) }),
    ...RANGES.map(([key, text]) => el("button", { type: "button", "aria-pressed": String(key === current), text: text.replace(/[a-z]+/, (unit) => t(unit)), onclick: () => choose({ range: key }) })),
    el("button", { type: "button", "aria-label": t("Later"), title: t("Later"), text: "›", disabled: !fixed, onclick: () => step(0.5) }));
  if (fixed) place.append(el("button", { type: "button", "aria-pressed": "true", title: t("Back to live"), text: `${clock(Number(range.from) || Date.parse(range.from), "short")} – ${clock(Number(range.to) || Date.parse(range.to), "short")} ×`, onclick: () => choose({}) }));
}

for (const select of document.querySelectorAll("[data-variable]")) {
  select.addEventListener("change", () => {
    // the page's title, tabs and what else may be chosen depend on it: a new page, whose address can be passed on
    const next = new URL(location.pathname, location.origin);
    const mine = page.variables.findIndex((variable) => variable.key === select.dataset.variable);
    page.variables.forEach((variable, n) => {
      const value = n === mine ? select.value : n < mine || !variable.dependent ? variables[variable.key] : null;
      if (value !== null && value !== undefined && value !== "") next.searchParams.set(variable.key, value);
    });
    for (const [name, value] of Object.entries(range)) if (value) next.searchParams.set(name, value);
    location.assign(next);
  });
}
addEventListener("popstate", () => location.reload());

// --- live ------------------------------------------------------------------------------------------------------------

let pending = 0, refreshed = 0;
function refreshAlarms() {
  if (pending) return;
  const wait = Math.max(ALARM_PAUSE_MS, refreshed + FLOOD_PAUSE_MS - performance.now());
  pending = setTimeout(() => {
    pending = 0;
    refreshed = performance.now();
    load(panels.filter((view) => view.panel.follows.includes("alarms")));
  }, wait);
}

function refreshDue() {
  if (document.hidden) return;
  const at = performance.now();
  const frozen = range.from !== null;
  load(panels.filter((view) => at - view.asked >= view.panel.refresh * 1000 && !(frozen && ["timeseries", "states", "grid", "xy"].includes(view.panel.kind))));
}

const live = new Live()
  .on("alarm", (alarm) => {
    if (alarm.kind === "alarm") toast(alarm);
    refreshAlarms();
  })
  .on("pulse", refreshDue)
  .on("back", () => loadAll());
setInterval(() => { if (!live.connected) refreshDue(); }, 5000);
document.addEventListener("visibilitychange", () => { if (!document.hidden) refreshDue(); });

buttons();
loadAll().then(() => { document.documentElement.dataset.ready = ""; });
live.start();
