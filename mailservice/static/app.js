// Conveniences only: every page works without this file.
"use strict";

// Light or dark.
for (const button of document.querySelectorAll("[data-theme-switch]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const root = document.documentElement;
    const theme = root.getAttribute("data-bs-theme") === "dark" ? "light" : "dark";
    root.setAttribute("data-bs-theme", theme);
    try { localStorage.setItem("theme", theme); } catch { /* for this page only */ }
  });
}

// The rail's foot is folded on a narrow screen.
const foot = document.querySelector("details.rail-foot");
if (foot && matchMedia("(max-width: 60rem)").matches) foot.open = false;

// Ask before a dangerous form is sent.
document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
});

// Say so before typed text is lost. A form that came back, with errors or with a preview, holds unsaved text too.
let unsaved = Boolean(document.querySelector("form[data-guard] .is-invalid, form[data-unsaved]"));
for (const form of document.querySelectorAll("form[data-guard]")) {
  form.addEventListener("input", () => { unsaved = true; });
}
document.addEventListener("submit", (event) => {
  const { guard, confirm } = event.target.dataset; // the language, or signing out, saves nothing
  if (!event.defaultPrevented && (guard !== undefined || confirm)) unsaved = false;
});
window.addEventListener("beforeunload", (event) => {
  if (unsaved) event.preventDefault();
});

// A form is sent once: a double click makes no second mailing. Its buttons rest until the answer comes.
const resting = new Set();
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post" || "download" in form.dataset) return;
  if (resting.has(form)) return event.preventDefault();
  resting.add(form);
  setTimeout(() => rest(form, true)); // only after the browser has noted which button it was
});
window.addEventListener("pageshow", () => {
  for (const form of resting) rest(form, false);
  resting.clear();
});
function rest(form, resting) {
  for (const button of form.querySelectorAll("button:not([type=button])")) button.disabled = resting;
}

// The zone of a new account is that of its browser.
for (const field of document.querySelectorAll("input[data-time-zone]")) {
  field.value ||= Intl.DateTimeFormat().resolvedOptions().timeZone || "";
}

// The first field that needs another look.
const wrong = document.querySelector("form .is-invalid");
if (wrong) wrong.focus();
