// Mailings: conveniences only, every page works without this file.
"use strict";

document.documentElement.classList.add("scripted");
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function fetched(url, tag) {
  const headers = tag ? { "If-None-Match": tag } : {};
  return fetch(url, { headers, cache: "no-store", credentials: "same-origin" });
}

// What runs now, every second and a half while something may change.
for (const box of document.querySelectorAll("[data-live]")) watch(box);

async function watch(box) {
  let tag = null;
  let wait = 1500;
  while (!box.querySelector("[data-over]")) {
    await pause(wait);
    if (document.hidden) continue;
    try {
      const answer = await fetched(box.dataset.live, tag);
      if (answer.redirected) return location.reload(); // signed out meanwhile
      if (answer.status === 404) return;
      if (answer.status !== 304 && !answer.ok) throw new Error(answer.status); // it starts again, or rests
      wait = 1500;
      if (answer.status === 304) continue;
      tag = answer.headers.get("ETag");
      replace(box, await answer.text());
    } catch { // the service or the network is away
      wait = Math.min(wait * 2, 15000);
    }
  }
}

function replace(box, html) {
  const focused = box.contains(document.activeElement) ? document.activeElement : null;
  const where = focused && (focused.getAttribute("formaction") || focused.getAttribute("href"));
  const before = stages(box);
  box.style.minHeight = `${box.offsetHeight}px`; // what is below stays where it is
  box.innerHTML = html;
  if (where) box.querySelector(`[formaction="${where}"], [href="${where}"]`)?.focus();
  const news = document.getElementById("live-news");
  if (news && stages(box) !== before) news.textContent = stages(box);
  tick();
}

const stages = (box) => Array.from(box.querySelectorAll("[data-stage]"), (part) => part.dataset.stage).join(", ");

// Seconds that remain, and the time until a mailing fires.
function tick() {
  for (const part of document.querySelectorAll("[data-seconds]")) {
    const left = Math.ceil((new Date(part.dataset.seconds) - Date.now()) / 1000);
    part.textContent = left > 0 ? String(left) : "";
  }
  const words = new Intl.RelativeTimeFormat(document.documentElement.lang || "en", { numeric: "always" });
  for (const part of document.querySelectorAll("[data-until]")) {
    const left = Math.round((new Date(part.dataset.until) - Date.now()) / 1000);
    if (left > 0 && left < 120) part.textContent = words.format(left, "second");
    else if (left >= 120 && left < 7200) part.textContent = words.format(Math.round(left / 60), "minute");
  }
}
if (document.querySelector("[data-seconds], [data-until], [data-live]")) {
  tick();
  setInterval(tick, 1000);
}

// The form: next times and found clients follow what is typed.
function later(act) {
  let timer = 0;
  return () => { clearTimeout(timer); timer = setTimeout(act, 250); };
}

async function fill(box, url) {
  box.asked = url;
  try {
    const answer = await fetched(url);
    if (answer.ok && !answer.redirected && box.asked === url) box.innerHTML = await answer.text();
  } catch { /* what stands there stays */ }
}

const firings = document.getElementById("firings");
const WHEN = ["start_date", "start_time", "time_zone", "periodicity", "end_date", "end_time"];
if (firings && firings.dataset.firings) {
  const form = firings.closest("form");
  const show = later(() => {
    const url = new URL(firings.dataset.firings, location.href);
    for (const name of WHEN) url.searchParams.set(name, form.elements[name].value);
    fill(firings, url.href);
  });
  form.addEventListener("input", (event) => { if (WHEN.includes(event.target.name)) show(); });
}

const find = document.querySelector("[data-find]");
if (find) {
  const found = document.getElementById("found");
  find.addEventListener("input", later(() => {
    const url = new URL(find.dataset.find, location.href);
    url.searchParams.set("find_words", find.value);
    fill(found, url.href);
  }));
  // What is ticked outlives the next search: an address goes into the text, a group below the list.
  found.addEventListener("change", (event) => {
    const { name, checked, dataset, value } = event.target;
    if (name === "ticked") note(dataset.address, checked);
    if (name === "matching" && checked) {
      const groups = document.getElementById("groups");
      const known = Array.from(groups.querySelectorAll("input"), (input) => input.value);
      const group = event.target.closest("label");
      if (known.includes(value)) group.remove();
      else groups.append(group);
    }
  });
}
function note(address, isWanted) {
  const text = document.querySelector("[name=pasted]");
  const lines = text.value.split(/\n/).filter((line) => line.trim() && line.trim() !== address);
  if (isWanted) lines.push(address);
  text.value = lines.join("\n");
}

const message = document.querySelector("[data-preview]");
message?.addEventListener("change", () => {
  const letter = document.getElementById("letter");
  const id = message.value;
  letter.hidden = id === "0";
  if (id === "0") return;
  letter.querySelector("iframe").src = message.dataset.preview.replace("/0/", `/${id}/`);
  document.getElementById("letter-page").href = message.dataset.preview.replace("/0/preview", `/${id}`);
});

document.addEventListener("keydown", (event) => {
  const form = document.querySelector("form[data-guard]");
  if (!form || event.key.toLowerCase() !== "s" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  form.requestSubmit(form.querySelector(".buttons .btn-primary"));
});

// The list: how many are ticked, one tick for all, selects that act at once, menus beside their buttons.
for (const bulk of document.querySelectorAll("[data-bulk]")) {
  const ticks = document.querySelectorAll(`input[type=checkbox][form="${bulk.id}"]`);
  const all = document.querySelector(`[data-all="${bulk.id}"]`);
  const count = () => {
    const number = Array.from(ticks).filter((tick) => tick.checked).length;
    for (const button of bulk.querySelectorAll("button")) {
      button.disabled = !number;
      button.querySelector(".how-many").textContent = number ? String(number) : "";
    }
    all.checked = number === ticks.length;
    all.indeterminate = number > 0 && number < ticks.length;
  };
  all.hidden = false;
  all.addEventListener("change", () => { for (const tick of ticks) tick.checked = all.checked; count(); });
  for (const tick of ticks) tick.addEventListener("change", count);
  window.addEventListener("pageshow", () => setTimeout(count));
  count();
}
for (const select of document.querySelectorAll("[data-at-once]")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}
for (const button of document.querySelectorAll("[popovertarget]")) {
  const menu = document.getElementById(button.getAttribute("popovertarget"));
  menu.addEventListener("toggle", (event) => {
    if (event.newState !== "open") return;
    menu.classList.add("placed");
    const at = button.getBoundingClientRect();
    const below = at.bottom + menu.offsetHeight < innerHeight;
    menu.style.top = `${below ? at.bottom : Math.max(4, at.top - menu.offsetHeight)}px`;
    menu.style.left = `${Math.max(4, Math.min(at.right - menu.offsetWidth, innerWidth - menu.offsetWidth - 4))}px`;
    menu.querySelector("a, button").focus();
  });
}
