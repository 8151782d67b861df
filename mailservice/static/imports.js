// Conveniences of imports: every page works without this file.
"use strict";

// Parts of a page that move by themselves: fetched again while they say so, and when their state has changed the whole
// page is.
const EVERY = 1000; // milliseconds
async function follow(part) {
  while (part.dataset.live) {
    await new Promise((done) => setTimeout(done, EVERY));
    if (document.hidden) continue;
    try {
      const answer = await fetch(part.dataset.live, { headers: { Accept: "text/html" } });
      if (answer.redirected || answer.status === 404) return location.reload();
      if (!answer.ok) continue;
      const found = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-state]");
      if (!found || found.dataset.state !== part.dataset.state) return location.reload();
      part.replaceWith(found);
      part = found;
    } catch { /* the network is away for a moment */ }
  }
}
for (const part of document.querySelectorAll("[data-live]")) follow(part);

// A file that is too big is told of before it travels.
for (const field of document.querySelectorAll("input[type=file][data-most]")) {
  field.addEventListener("change", () => {
    const file = field.files[0];
    field.setCustomValidity(file && file.size > Number(field.dataset.most) ? field.dataset.tooBig : "");
    field.reportValidity();
  });
  field.form.addEventListener("submit", (event) => {
    if (!field.checkValidity()) {
      event.preventDefault();
      event.stopImmediatePropagation();
      field.reportValidity();
    }
  });
}
