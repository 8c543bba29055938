// What a person does about an alarm: asked for in a dialog, done by the service with the rights of his key.
import { announce, el, post, t } from "./api.js";

const SHELVES = [[30, "30 min"], [60, "1 h"], [240, "4 h"], [480, "8 h"], [1440, "1 d"], [10080, "7 d"]];
export const COMMANDS = {
  acknowledge: "Acknowledge", shelve: "Shelve", unshelve: "Take off the shelf", reset: "Reset",
  remove_from_service: "Take out of service", return_to_service: "Return to service",
};
const EXPLAINED = {
  acknowledge: "Says that you have seen it and take care of it.",
  shelve: "Silences it for a while. When the time is over it speaks again if it holds.",
  unshelve: "Brings it back, acknowledged if its condition holds.",
  reset: "Ends a latched alarm whose condition has gone.",
  remove_from_service: "It stays silent until somebody returns it to service.",
  return_to_service: "It speaks at once if its condition holds.",
};

/** Ask for the reason and do it; done() when the service has. */
export function ask(command, alarm, title, done) {
  const needs = command === "shelve";
  const reason = el("textarea", { name: "reason", maxlength: "1000", required: needs });
  const length = needs ? el("select", { name: "minutes" }, ...SHELVES.map(([minutes, text]) => el("option", { value: minutes, selected: minutes === 240, text: text.replace(/[a-z]+/, (unit) => t(unit)) }))) : null;
  const problem = el("p", { class: "refused", role: "alert", hidden: true });
  const send = el("button", { class: "primary", text: t(COMMANDS[command]) });
  const dialog = el("dialog", { "aria-labelledby": "ask-title" }, el("form", { method: "dialog", onsubmit: submit },
    el("h2", { id: "ask-title", text: `${t(COMMANDS[command])}: ${title}` }),
    el("p", { text: t(EXPLAINED[command]) }),
    length && el("label", {}, el("span", { text: t("For how long") }), length),
    el("label", {}, el("span", { text: needs ? t("Reason") : t("Comment (may be empty)") }), reason),
    problem,
    el("footer", {}, el("button", { type: "button", text: t("Cancel"), onclick: () => dialog.close() }), send)));

  async function submit(event) {
    event.preventDefault();
    send.disabled = true;
    try {
      const body = needs ? { reason: reason.value.trim(), minutes: Number(length.value) } : { comment: reason.value.trim() };
      await post(`/do/alarms/${alarm}/${command.replaceAll("_", "-")}`, body);
      dialog.close();
      announce(t("Done: {what}", { what: t(COMMANDS[command]) }));
      done();
    } catch (error) {
      problem.textContent = error.status ? t(error.message) : t("The service does not answer. Nothing was changed.");
      problem.hidden = false;
      send.disabled = false;
    }
  }
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  reason.focus();
}
