// All alarms: most urgent first, each with why, what to do, its journal, and what its state allows.
import { ago, chip, clock, el, frame, get, number, page, t, when } from "./api.js";
import { Live, toast } from "./live.js";
import { COMMANDS, ask } from "./work.js";

const PRIORITIES = { urgent: ["Urgent", "alarm"], high: ["High", "warning"], medium: ["Medium", "advisory"], low: ["Low", "neutral"] };
const STATES = {
  unacknowledged: ["Not acknowledged", "alarm"], acknowledged: ["Acknowledged", "warning"], returned_unacknowledged: ["Returned, not acknowledged", "advisory"],
  latched_unacknowledged: ["Latched, not acknowledged", "warning"], latched_acknowledged: ["Latched", "advisory"], shelved: ["Shelved", "neutral"],
  suppressed_by_design: ["Suppressed by design", "neutral"], out_of_service: ["Out of service", "neutral"], normal: ["Normal", "healthy"],
};
const CHOICES = {
  unacknowledged: (query) => { for (const state of ["unacknowledged", "returned_unacknowledged", "latched_unacknowledged"]) query.append("state", state); },
  standing: (query) => query.set("standing", "true"),
  shelved: (query) => query.append("state", "shelved"),
  all: () => {},
};
const ORDER = ["urgent", "high", "medium", "low"];

frame();
const list = document.getElementById("list"), which = document.getElementById("which"), priority = document.getElementById("priority");
const address = new URL(location.href);
which.value = address.searchParams.get("which") in CHOICES ? address.searchParams.get("which") : which.value;
priority.value = address.searchParams.get("priority") ?? "";
let opened = Number(address.searchParams.get("alarm")) || null;
let items = [], more = null;

async function load(add = false) {
  const query = new URLSearchParams();
  if (opened && address.searchParams.get("which") === null && !items.length) which.value = "all";
  CHOICES[which.value](query);
  if (priority.value) query.set("priority", priority.value);
  if (add && more) { query.set("before", more[0]); query.set("before_id", more[1]); }
  try {
    const answer = await get(`/data/alarm-list?${query}`);
    items = add ? [...items, ...answer.items] : answer.items;
    more = answer.more;
  } catch (error) {
    list.replaceChildren(el("p", { class: "failed", role: "alert", text: error.status ? t(error.message) : t("The service does not answer.") }));
    return;
  }
  show();
}

function show() {
  list.parentElement.setAttribute("aria-busy", "false");
  const sorted = which.value === "all" ? items : [...items].sort((a, b) => ORDER.indexOf(a.priority) - ORDER.indexOf(b.priority) || Date.parse(b.raised_at) - Date.parse(a.raised_at));
  const focus = document.activeElement?.closest?.(".alarm")?.dataset.alarm;
  list.replaceChildren(...sorted.map(line));
  if (!items.length) list.append(el("p", { class: "empty", text: t("No alarm is standing.") }));
  if (more) list.append(el("button", { type: "button", text: t("More"), onclick: () => load(true) }));
  if (focus) list.querySelector(`[data-alarm="${focus}"] > summary`)?.focus();
}

function outlined(text, tone) {
  const made = chip(text, tone);
  made.classList.add("line");
  return el("span", {}, made);
}

function line(alarm) {
  const [name, meaning] = PRIORITIES[alarm.priority], [state, tone] = STATES[alarm.state];
  const inside = el("div", { class: "inside" });
  const box = el("details", { class: `alarm is-${meaning}`, "data-alarm": alarm.id, open: alarm.id === opened },
    el("summary", {}, chip(t(name), meaning),
      el("span", { class: "who", text: alarm.equipment.name }),
      el("span", { class: "title" }, alarm.title, alarm.action && el("small", { text: alarm.action })),
      outlined(t(state), tone),
      alarm.raised_at ? when(Date.parse(alarm.raised_at)) : el("span")), inside);
  const fill = () => { if (box.open) explain(alarm, inside); };
  box.addEventListener("toggle", () => {
    if (box.open) opened = alarm.id;
    else if (opened === alarm.id) opened = null;
    remember();
    if (!inside.childElementCount) fill();
  });
  fill();
  return box;
}

async function explain(alarm, place) {
  const fact = (label, text) => (text ? [el("h3", { text: label }), el("p", { text })] : []);
  const value = alarm.value === null ? "" : `${number(alarm.value)}${alarm.limit === null ? "" : ` (${t("Limit").toLowerCase()} ${number(alarm.limit)})`}`;
  place.replaceChildren(
    el("div", {}, ...fact(t("What to do"), alarm.action), ...fact(t("If nobody does anything"), alarm.consequence), ...fact(t("Value when it spoke"), value),
      el("p", {}, el("a", { href: `${page.root}/equipment?equipment=${alarm.equipment.id}`, text: t("Open the machine") }))),
    el("div", {},
      ...(alarm.consequences.length ? [el("h3", { text: t("What follows from it") }), el("ul", {}, ...alarm.consequences.map((other) => el("li", { text: other.title })))] : []),
      ...(alarm.shelf ? fact(t("On the shelf"), `${t("until")} ${clock(Date.parse(alarm.shelf.until), "full")} · ${alarm.shelf.by} · ${alarm.shelf.reason}`) : []),
      el("h3", { text: t("What happened") }), el("p", { class: "journal", text: "…" })));
  if (page.mayOperate) {
    place.append(el("p", { class: "acts" }, ...alarm.allowed.map((command) => el("button", { type: "button", text: t(COMMANDS[command]), onclick: () => ask(command, alarm.id, alarm.title, () => load()) }))));
  }
  const story = await get(`/data/alarm-list/${alarm.id}`).catch(() => null);
  const journal = place.querySelector(".journal");
  if (!journal) return;
  if (!story) { journal.textContent = t("The service does not answer."); return; }
  journal.replaceWith(el("ol", { reversed: true }, ...story.journal.slice(0, 30).map((entry) => el("li", {
    text: [clock(Date.parse(entry.at), "short"), t(entry.event), entry.actor === "processor" ? "" : entry.actor, entry.reason].filter(Boolean).join(" · "),
    title: ago(Date.parse(entry.at)),
  }))));
}

function remember() {
  const next = new URL(location.pathname, location.origin);
  if (which.value !== "standing") next.searchParams.set("which", which.value);
  if (priority.value) next.searchParams.set("priority", priority.value);
  if (opened) next.searchParams.set("alarm", opened);
  history.replaceState(null, "", next);
}

for (const choice of [which, priority]) choice.addEventListener("change", () => { opened = null; remember(); load(); });

let pending = 0;
new Live()
  .on("alarm", (alarm) => {
    if (alarm.kind === "alarm") toast(alarm);
    clearTimeout(pending);
    pending = setTimeout(load, 150);
  })
  .on("back", () => load())
  .start();
load().then(() => { document.documentElement.dataset.ready = ""; });
