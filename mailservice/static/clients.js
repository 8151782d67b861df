// Conveniences of the clients' pages: every one of them works without this file.
"use strict";

// Tick all rows of this page, and say how many are ticked.
const all = document.querySelector("[data-pick-all]");
if (all) {
  const picks = [...document.querySelectorAll("input[name=client]")];
  const said = document.querySelector("[data-picked]");
  const count = () => {
    const ticked = picks.filter((pick) => pick.checked).length;
    said.textContent = ticked || "";
    all.checked = ticked === picks.length;
    all.indeterminate = ticked > 0 && ticked < picks.length;
  };
  all.hidden = false;
  all.addEventListener("change", () => {
    for (const pick of picks) pick.checked = all.checked;
    count();
  });
  for (const pick of picks) pick.addEventListener("change", count);
  window.addEventListener("pageshow", count);
}

// Beside a field of tags, those that there are: a click writes one into the field or takes it out.
const MOST = 12;
const split = (text) => text.split(",").map((name) => name.trim()).filter(Boolean);
for (const field of document.querySelectorAll("input[data-tags]")) {
  const known = [...document.querySelectorAll(`#${field.dataset.tags} option`)].map((option) => option.value);
  if (!known.length) continue;
  const offers = document.createElement("div");
  offers.className = "tag-offers";
  offers.hidden = true;
  field.after(offers);
  const show = () => {
    const names = split(field.value);
    const has = new Set(names.map((name) => name.toLowerCase()));
    const typed = /,\s*$/.test(field.value) ? "" : (names.at(-1) || "").toLowerCase();
    const isWhole = known.some((name) => name.toLowerCase() === typed);
    const fitting = known.filter((name) => has.has(name.toLowerCase()) || isWhole || name.toLowerCase().includes(typed));
    offers.replaceChildren(...fitting.slice(0, MOST).map((name) => {
      const chip = document.createElement("button");
      chip.type = "button";
      chip.className = "chip";
      chip.textContent = name;
      chip.setAttribute("aria-pressed", has.has(name.toLowerCase()));
      chip.addEventListener("click", () => {
        const kept = names.filter((other) => other.toLowerCase() !== name.toLowerCase());
        if (typed && !isWhole) kept.pop(); // what was typed so far becomes the tag
        if (!has.has(name.toLowerCase())) kept.push(name);
        field.value = kept.join(", ");
        field.dispatchEvent(new Event("input", { bubbles: true }));
        field.focus();
      });
      return chip;
    }));
  };
  field.addEventListener("focus", () => { show(); offers.hidden = false; });
  field.addEventListener("input", show);
}

// Whom the conditions mean, while they are typed.
const form = document.querySelector("form[data-preview]");
if (form) {
  const here = document.querySelector("[data-preview-here]");
  let timer, asked = 0;
  form.querySelector("[data-needless]").hidden = true;
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const values = new URLSearchParams(new FormData(form));
      for (const name of ["csrf_token", "name"]) values.delete(name);
      const number = ++asked;
      try {
        const answer = await fetch(`${form.dataset.preview}?${values}`);
        const text = await answer.text();
        if (answer.ok && !answer.redirected && number === asked) here.innerHTML = text;
      } catch { /* the last one stays */ }
    }, 350);
  });
}
