// A link from the command line has its one-time word behind the #, where no server and no log sees it.
import { frame } from "./api.js";

frame();
const form = document.getElementById("sign-in");
const word = new URLSearchParams(location.hash.slice(1)).get("once");
if (form && word) {
  history.replaceState(null, "", location.pathname + location.search);
  form.elements.ticket.value = word;
  form.elements.key.required = false;
  form.requestSubmit();
}
