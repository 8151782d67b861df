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

// Say so before typed text is lost. A form that came back with errors holds unsaved text too.
let unsaved = Boolean(document.querySelector("form[data-guard] .is-invalid"));
for (const form of document.querySelectorAll("form[data-guard]")) {
  form.addEventListener("input", () => { unsaved = true; });
}
document.addEventListener("submit", (event) => {
  if (!event.defaultPrevented) unsaved = false;
});
window.addEventListener("beforeunload", (event) => {
  if (unsaved) event.preventDefault();
});

// The first field that needs another look.
const wrong = document.querySelector("form .is-invalid");
if (wrong) wrong.focus();
