// One renderer per kind of panel. Each takes an answer of the service and shows it; what it showed before it replaces.
import { chip, clock, el, meaningOf, number, page, span, t, when } from "./api.js";
import { Bands } from "./bands.js";
import { TimeChart, XYChart } from "./chart.js";
import { ask } from "./work.js";

const TABLE_ROWS = 200;
const NAME = 20; // letters that stay on one line

/** Address of a link for a row, or null where the row has not what it needs. */
export function address(link, row, at, chosen) {
  const query = new URLSearchParams();
  for (const [name, source] of Object.entries(link.variables)) {
    const value = source.startsWith("$") ? chosen[source.slice(1)] : row[at[source]];
    if (value === null || value === undefined || value === "") { if (source.startsWith("$")) continue; return null; }
    query.set(name, value);
  }
  const text = query.toString();
  return `${page.root}/${link.board}${text ? `?${text}` : ""}`;
}

function positions(columns) { return Object.fromEntries(columns.map((name, n) => [name, n])); }

/** Filled colours are for what wants somebody: good news and second words of a row are outlined. */
function mark(text, meaning, loud) {
  const made = chip(text, meaning);
  if (!loud || meaning === "healthy") made.classList.add("line");
  return made;
}

/** What a column shows of a row: a node, and whether there is anything. */
function content(column, row, at, loud = true) {
  const value = row[at[column.key]];
  if (value === null || value === undefined || value === "") {
    if (column.zones && column.format === "number") return chip("–", "unknown");
    return null;
  }
  if (column.values) {
    const [text, meaning] = column.values[value] ?? [t(String(value)), "neutral"];
    return mark(text, meaning, loud);
  }
  const meaning = column.zones ? meaningOf(column.zones, value) : null;
  switch (column.format) {
    case "number": {
      const unit = column.unitColumn ? row[at[column.unitColumn]] : column.unit;
      const text = `${number(value, column.decimals)}${unit ? `\u00a0${unit}` : ""}`;
      if (!meaning || meaning === "neutral") return el("span", { text, class: value === 0 && column.decimals === 0 ? "zero" : null });
      return mark(text, meaning, true);
    }
    case "time": return when(value);
    case "duration": return el("span", { text: span(value) });
    case "reasons": return el("ul", { class: "reasons" }, ...(Array.isArray(value) ? value : [value]).map((text) => el("li", { text: typeof text === "string" ? t(text) : String(text?.text ?? text) })));
    default: return el("span", { text: t(String(value)) });
  }
}

/** Columns of sentences share the room; all others are as wide as what is in them. */
const wordy = (column) => ["text", "reasons"].includes(column.format) && !column.values && !column.width;
/** What to do stays on a phone too, where something can be done. */
const spare = (column, panel) => column.wideOnly && !(wordy(column) && panel.actions.length);
const shape = (column) => (numeric(column) ? "number" : column.format === "time" ? "time" : wordy(column) ? "text" : column.values ? "short" : "name");
const numeric = (column) => column.format === "number" || column.format === "duration";

class Table {
  constructor(host, panel, context) {
    this.panel = panel;
    this.context = context;
    this.head = el("tr");
    this.rows = el("tbody");
    const columns = panel.columns.map((column) => {
      return el("th", { scope: "col", class: `${shape(column)}${spare(column, panel) ? " wide" : ""}`, text: column.title });
    });
    this.acting = panel.actions.length > 0 && page.mayOperate;
    if (this.acting) columns.push(el("th", { scope: "col" }, el("span", { class: "unseen", text: t("Actions") })));
    this.head.append(...columns);
    host.append(el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": panel.title }, el("table", {}, el("thead", {}, this.head), this.rows)));
  }

  show({ columns, rows }) {
    const at = positions(columns);
    const { panel } = this;
    const focused = this.rows.contains(document.activeElement) ? document.activeElement.dataset.act : null;
    this.rows.replaceChildren(...rows.map((row) => {
      const tone = panel.zones ? meaningOf(panel.zones, row[at.value]) : null;
      const line = el("tr", { class: tone });
      panel.columns.forEach((column, n) => {
        let inside = content(column, row, at, n === 0);
        const first = n === 0;
        const link = column.link && inside && address(column.link, row, at, this.context.chosen());
        if (link) inside = el("a", { href: link }, inside);
        const cell = el(first ? "th" : "td", {
          scope: first ? "row" : null, "data-label": first || (column.format === "text" && !column.wideOnly) ? null : column.title,
          class: [shape(column), shape(column) === "name" && String(row[at[column.key]] ?? "").length > NAME ? "long" : "", spare(column, panel) ? "wide" : "", inside ? "" : "blank"].filter(Boolean).join(" "),
        });
        if (first && panel.kind === "tree") {
          const depth = row[at.depth] ?? 0;
          cell.style.paddingInlineStart = `${8 + depth * 18}px`;
          cell.append(el("span", { class: "tree-line" }, depth ? el("span", { "aria-hidden": "true", text: "└" }) : null, inside));
        } else if (inside) cell.append(inside);
        line.append(cell);
      });
      if (this.acting) line.append(this.#acts(row, at));
      return line;
    }));
    if (focused) this.rows.querySelector(`[data-act="${focused}"]`)?.focus();
  }

  #acts(row, at) {
    const cell = el("td", { class: "acts" });
    const id = row[at.alarm_id], state = row[at.state];
    if (!id) return cell;
    const what = row[at.title] ?? "";
    if (this.panel.actions.includes("acknowledge") && state?.endsWith("unacknowledged")) {
      cell.append(el("button", { type: "button", "data-act": `acknowledge-${id}`, "aria-label": `${t("Acknowledge")}: ${what}`, text: t("Acknowledge"), onclick: () => ask("acknowledge", id, what, this.context.done) }));
    }
    if (this.panel.actions.includes("shelve") && !["shelved", "out_of_service", "normal", "suppressed_by_design"].includes(state)) {
      cell.append(el("button", { type: "button", "data-act": `shelve-${id}`, "aria-label": `${t("Shelve")}: ${what}`, text: t("Shelve"), onclick: () => ask("shelve", id, what, this.context.done) }));
    }
    return cell;
  }
}

class Stat {
  constructor(host, panel, context) {
    this.panel = panel;
    this.context = context;
    this.list = el("dl", { class: "stats" });
    host.append(this.list);
  }

  show({ columns, rows }) {
    const at = positions(columns), row = rows[0] ?? [];
    this.list.replaceChildren(...this.panel.columns.map((column) => {
      const value = row[at[column.key]];
      const meaning = column.values ? column.values[value]?.[1] : column.zones ? meaningOf(column.zones, value) : null;
      const missing = value === null || value === undefined;
      const unit = column.unitColumn ? row[at[column.unitColumn]] : column.unit;
      const shown = el("dd");
      if (missing) shown.append("–");
      else if (column.format === "number" && !column.values) shown.append(number(value, column.decimals), unit ? el("small", { text: unit }) : "");
      else {
        if (column.format !== "number" || String(value).length > 9) shown.className = "words";
        shown.append(column.values ? column.values[value]?.[0] ?? t(String(value)) : content({ ...column, zones: null }, row, at) ?? "–");
      }
      const link = column.link && address(column.link, row, at, this.context.chosen());
      if (link) shown.replaceChildren(el("a", { href: link }, ...shown.childNodes));
      if (meaning) shown.classList.add("sign", `is-${meaning}`);
      return el("div", { class: meaning ? `is-${meaning}` : null }, el("dt", { text: column.title }), shown);
    }));
  }
}

class Matrix {
  constructor(host, panel, context) {
    this.panel = panel;
    this.context = context;
    this.table = el("table", { class: "matrix" });
    host.append(el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": panel.title }, this.table));
  }

  show({ columns, rows }) {
    const at = positions(columns), { panel } = this;
    const lines = [...new Set(rows.map((row) => row[at.row]))], heads = [...new Set(rows.map((row) => row[at.column]))];
    const cells = new Map(rows.map((row) => [JSON.stringify([row[at.row], row[at.column]]), row]));
    this.table.replaceChildren(
      el("thead", {}, el("tr", {}, el("td"), ...heads.map((head) => el("th", { scope: "col", text: t(String(head)) })))),
      el("tbody", {}, ...lines.map((line) => el("tr", {}, el("th", { scope: "row", text: t(String(line)) }), ...heads.map((head) => {
        const row = cells.get(JSON.stringify([line, head]));
        if (!row) return el("td");
        const value = row[at.value];
        const inside = el("span", { text: value === null ? "?" : number(value, panel.decimals) });
        const link = panel.links[0] && address(panel.links[0], row, at, this.context.chosen());
        return el("td", { class: `is-${meaningOf(panel.zones, value) ?? "neutral"}`, title: panel.unit ? `${line} ${head}: ${number(value, panel.decimals)} ${panel.unit}` : null }, link ? el("a", { href: link, class: "on-tone" }, inside) : inside);
      })))));
  }
}

class Bars {
  constructor(host, panel, context) {
    this.panel = panel;
    this.context = context;
    this.list = el("ul", { class: "bars" });
    host.append(this.list);
  }

  show({ columns, rows }) {
    const at = positions(columns), { panel } = this;
    const most = Math.max(panel.high ?? 0, ...rows.map((row) => row[at.value] ?? 0)) || 1;
    this.list.replaceChildren(...rows.map((row) => {
      const value = row[at.value], named = panel.values?.[row[at.label]];
      const meaning = panel.zones ? meaningOf(panel.zones, value) : named && value ? named[1] : null;
      const fill = el("i", { "aria-hidden": "true" });
      fill.style.width = `${(Math.max(0, value ?? 0) / most) * 70}%`;
      let label = el("span", { text: named?.[0] ?? t(String(row[at.label])) });
      const link = panel.links[0] && address(panel.links[0], row, at, this.context.chosen());
      if (link) label = el("a", { href: link }, label);
      return el("li", { class: meaning && meaning !== "neutral" ? `is-${meaning}` : null }, label,
        el("span", { class: "track" }, fill, el("span", { text: `${number(value, panel.decimals)} ${panel.unit}`.trim() })));
    }));
  }
}

/** The same as a chart in rows and columns; filled when it is opened. */
function asTable(host, panel, answer) {
  const place = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("Table of {title}", { title: panel.title }) });
  const box = el("details", { class: "as-table" }, el("summary", { text: t("As a table") }), place);
  const fill = () => {
    if (!box.open) return;
    const { columns, rows } = answer();
    const shown = rows.slice(-TABLE_ROWS);
    place.replaceChildren(el("table", {},
      el("caption", { text: shown.length < rows.length ? t("The last {n} of {all} rows", { n: shown.length, all: rows.length }) : panel.question }),
      el("thead", {}, el("tr", {}, ...columns.map((name) => el("th", { scope: "col", text: t(name) })))),
      el("tbody", {}, ...shown.map((row) => el("tr", {}, ...row.map((value, n) => el("td", { class: typeof value === "number" && columns[n] !== "time" ? "number" : null, text: columns[n] === "time" ? clock(value, "exact") : typeof value === "number" ? number(value) : value === null ? "–" : panel.values?.[value]?.[0] ?? t(String(value)) })))))));
  };
  box.addEventListener("toggle", fill);
  host.append(box);
  return fill;
}

class Drawn {
  constructor(host, panel, context) {
    this.panel = panel;
    this.answer = { columns: [], rows: [] };
    const make = { timeseries: () => new TimeChart(host, panel, context.zoom), xy: () => new XYChart(host, panel) }[panel.kind];
    this.chart = make ? make() : new Bands(host, panel);
    this.refill = asTable(host, panel, () => this.#rows());
  }

  #rows() {
    if (this.panel.kind !== "timeseries") return this.answer;
    const names = Object.fromEntries(this.panel.series.map((series) => [series.key, series.title]));
    const rows = this.answer.series.flatMap((series) => series.t.map((at, n) => [at, names[series.metric] ?? series.metric, series.v[n]]));
    return { columns: ["time", "metric", "value"], rows: rows.sort((a, b) => a[0] - b[0]) };
  }

  show(answer) {
    this.answer = answer;
    this.chart.show(answer);
    this.refill();
  }
}

const KINDS = { stat: Stat, table: Table, tree: Table, matrix: Matrix, bars: Bars, timeseries: Drawn, states: Drawn, grid: Drawn, xy: Drawn };

/** A panel on the page: shows answers, errors and emptiness; skips what it shows already. */
export class PanelView {
  #digest = null;
  #inner = null;

  constructor(section, panel, context) {
    this.section = section;
    this.panel = panel;
    this.context = context;
    this.body = section.querySelector(".body");
    const links = panel.links.filter((link) => Object.values(link.variables).every((source) => source.startsWith("$")));
    if (links.length) section.append(el("p", { class: "links" }, ...links.map((link) => el("a", { href: address(link, [], {}, context.chosen()), text: `${link.title} ›` }))));
    this.asked = 0;
  }

  show(answer, extra) {
    this.section.setAttribute("aria-busy", "false");
    this.section.classList.remove("late");
    if (answer.error) { this.#note("failed", t(answer.error)); return; }
    const drawn = ["timeseries", "states", "grid"].includes(this.panel.kind);
    const digest = drawn ? `${answer.digest}/${answer.from}/${answer.to}/${extra.digest}` : answer.digest;
    const rows = answer.series ?? answer.rows;
    if (!rows.length || (answer.series && rows.every((series) => !series.t.length))) {
      this.#note("empty", this.panel.empty || t("No data in this time."));
      return;
    }
    if (digest === this.#digest) {
      if (this.#inner && this.panel.columns.some((column) => column.format === "time")) this.#times();
      return;
    }
    if (!this.#inner) {
      this.body.replaceChildren();
      this.#inner = new KINDS[this.panel.kind](this.body, this.panel, this.context);
    }
    this.section.classList.remove("noted");
    this.section.dataset.shown = this.#digest = digest;
    this.#inner.show(drawn ? { ...answer, ...extra } : answer);
  }

  #times() {
    for (const time of this.body.querySelectorAll(".when time")) {
      const text = when(Date.parse(time.dateTime)).firstChild.textContent;
      if (time.textContent !== text) time.textContent = text;
    }
  }

  #note(kind, text) {
    if (this.#digest === text) return;
    this.#inner?.chart?.remove();
    this.#inner = null;
    this.#digest = text;
    this.section.classList.add("noted");
    this.body.replaceChildren(el("p", { class: kind, text, role: kind === "failed" ? "alert" : null }));
  }
}
