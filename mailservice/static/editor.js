// Writing a message: fields at the cursor, pictures, the letter beside the form as it changes. All works without it.
"use strict";

// Clients to look at the letter as.
for (const box of document.querySelectorAll("[data-readers]")) {
  const who = box.querySelector("[name=who]");
  const list = box.querySelector("datalist");
  let asked = "";
  who.addEventListener("input", async () => {
    const words = who.value.trim();
    if (!words || words === asked) return;
    asked = words;
    const answer = await fetch(`${box.dataset.readers}?who=${encodeURIComponent(words)}`).catch(() => null);
    if (answer?.ok && words === asked) list.innerHTML = await answer.text();
  });
}

const editor = document.querySelector("form[data-editor]");
if (editor) {
  const body = editor.elements.body;
  const stage = document.querySelector(".look-stage");
  for (const button of document.querySelectorAll("[data-without-script]")) button.hidden = true;

  // Insert at the cursor of what was written in last.
  let last = body;
  for (const name of ["subject", "preheader", "body"]) {
    editor.elements[name].addEventListener("focus", (event) => { last = event.target; });
  }
  const insert = (field, text) => {
    field.focus();
    if (!document.execCommand("insertText", false, text)) { // this way it can be undone
      field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }
  };
  const kind = () => editor.elements.kind.value;
  for (const button of editor.querySelectorAll("[data-insert]")) {
    button.addEventListener("click", () => {
      const special = last === body && (kind() === "markdown" ? button.dataset.insertMarkdown : kind() === "html" && button.dataset.insertHtml);
      insert(last, special || button.dataset.insert);
    });
  }

  // Upload a picture and put it where the cursor is.
  const upload = editor.querySelector("[data-upload]");
  const file = editor.querySelector("input[type=file]");
  const says = editor.querySelector("[data-upload-says]");
  upload.hidden = false;
  upload.addEventListener("click", () => file.click());
  file.addEventListener("change", async () => {
    if (!file.files.length) return;
    const form = new FormData();
    form.append("csrf_token", editor.elements.csrf_token.value);
    form.append("image", file.files[0]);
    file.value = "";
    says.textContent = "…";
    upload.disabled = true;
    const answer = await fetch(upload.dataset.upload, { method: "POST", body: form }).catch(() => null);
    const page = new DOMParser().parseFromString(answer ? await answer.text() : "", "text/html");
    upload.disabled = false;
    const found = page.querySelector("[data-url]")?.dataset;
    says.textContent = found ? "" : (page.querySelector("[role=alert], h1")?.textContent.trim() || "?");
    if (!found) return;
    const quoted = found.title.replace(/["<>&]/g, "");
    insert(body, {
      markdown: `![${found.title}](${found.url})`,
      html: `<img src="${found.url}" alt="${quoted}" width="${found.width}" style="max-width:100%;height:auto">`,
      plain: found.url,
    }[kind()]);
  });

  // The letter beside the form. Each look is a frame of its own, so that the way back skips none of them.
  let running = null;
  const look = async () => {
    running?.abort();
    running = new AbortController();
    showLetter();
    const answer = await fetch(editor.dataset.editor, {
      method: "POST", body: new URLSearchParams(new FormData(editor)), signal: running.signal,
    }).catch(() => null);
    if (!answer?.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of page.querySelectorAll("[data-part]")) {
      const here = document.querySelector(`.column [data-part="${part.dataset.part}"]`);
      if (here && here.innerHTML !== part.innerHTML) here.innerHTML = part.innerHTML;
    }
  };
  let count = 0;
  const showLetter = () => {
    for (const late of stage.querySelectorAll(".coming")) late.remove();
    const [before] = stage.querySelectorAll("iframe");
    const frame = before.cloneNode();
    frame.removeAttribute("src");
    frame.name = `letter-${++count}`;
    frame.classList.add("coming");
    stage.append(frame);
    const { action, target } = editor;
    editor.action = editor.dataset.frame;
    editor.target = frame.name;
    editor.submit(); // without the event: nothing is saved, no guard is lifted
    editor.action = action;
    editor.target = target;
    frame.addEventListener("load", () => {
      if (!frame.isConnected) return;
      for (const old of stage.querySelectorAll("iframe")) if (old !== frame) old.remove();
      frame.classList.remove("coming");
    });
  };
  let timer = 0;
  const soon = () => { clearTimeout(timer); timer = setTimeout(look, 400); };
  editor.addEventListener("input", soon);
  for (const field of document.querySelectorAll(".as-whom [name]")) field.addEventListener("input", soon);
  if (body.value || editor.elements.subject.value) look();

  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "s") {
      event.preventDefault();
      editor.requestSubmit(editor.querySelector("[data-save]"));
    }
  });
}
