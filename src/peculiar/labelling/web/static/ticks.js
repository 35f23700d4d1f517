// Ticks in the gallery: kept while scrolling, sorting and filtering; Shift ticks a range. Answers by key for those that are
// ticked, in a lasso or rectangle, or pointed at. Without this script the ticks on the page are sent.
"use strict";
(() => {
  let last = null, pointed = null, sent = [];
  const form = () => document.getElementById("ticked");
  const boxes = () => [...document.querySelectorAll('.tiles input[name="rows"]')];
  const place = () => `ticked ${form().dataset.catalog}`;
  const read = () => {
    try { return new Set(JSON.parse(sessionStorage.getItem(place()) || "[]")); } catch { return new Set(); }
  };
  // The galaxies that an answer is for, and how to call them.
  const targets = () => {
    const rows = read(), most = Number(form().dataset.most);
    if (rows.size) { return [[...rows], `${rows.size.toLocaleString("en")} ticked`]; }
    const around = window.maps?.around() || [];
    if (around.length > most) { return [[], `${around.length.toLocaleString("en")} on the map, more than ${most.toLocaleString("en")}: none is answered for`]; }
    if (around.length) { return [around, `${around.length.toLocaleString("en")} within the line on the map`]; }
    return pointed === null ? [[], "Tick galaxies; Shift ticks a range"] : [[String(pointed)], "For the galaxy that you point at"];
  };
  const tell = (more = "") => {
    const [rows, called] = targets(), ticked = read().size;
    form().querySelector("output").textContent = more || called;
    form().querySelectorAll("button").forEach((one) => { one.disabled = one.dataset.key ? !rows.length : !ticked; });
  };
  const keep = (rows, more) => { sessionStorage.setItem(place(), JSON.stringify([...rows])); tell(more); };
  const show = () => {
    if (!form()) { return; }
    const rows = read();
    boxes().forEach((one) => { one.checked = rows.has(one.value); });
    tell();
  };
  document.addEventListener("click", (event) => {
    if (!event.target.matches('.tiles input[name="rows"]')) { return; }
    const all = boxes(), here = all.indexOf(event.target), rows = read(), most = Number(form().dataset.most);
    const from = event.shiftKey && last?.isConnected ? all.indexOf(last) : here;
    let refused = false;
    all.slice(Math.min(from, here), Math.max(from, here) + 1).forEach((one) => {
      one.checked = event.target.checked && (rows.has(one.value) || rows.size < most);
      refused ||= event.target.checked && !one.checked;
      if (one.checked) { rows.add(one.value); } else { rows.delete(one.value); }
    });
    last = event.target;
    keep(rows, refused ? `${most.toLocaleString("en")} ticked, the maximum; use a condition for larger sets` : "");
  });
  document.addEventListener("reset", (event) => { if (event.target === form()) { keep(new Set()); setTimeout(show); } });
  document.addEventListener("formdata", (event) => {
    if (event.target === form()) { event.formData.delete("rows"); event.formData.set("rows", targets()[0].join(" ")); }
  });
  document.addEventListener("galaxy", (event) => { if (form() && event.detail.row !== null) { pointed = event.detail.row; tell(); } });
  document.addEventListener("map", () => { if (form()) { tell(); } });

  // --- What was stored, told and shown on the tiles; each batch has a name of its own.
  const mark = (rows, text) => rows.forEach((row) => {
    const tile = document.getElementById(`g${row}`);
    tile?.querySelector(".mine")?.remove();
    if (tile && text) { const note = document.createElement("small"); note.className = "mine"; note.textContent = text; tile.append(note); }
  });
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.path.endsWith("/batch")) { sent = event.detail.parameters.rows.split(" "); }
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id !== "stored") { return; }
    const told = event.detail.target.querySelector("strong");
    mark(sent, told ? `you: ${told.textContent}` : "");
    if (told) {
      form().elements.event.value = crypto.getRandomValues(new Uint32Array(4)).reduce((text, one) => text + one.toString(16).padStart(8, "0"), "");
      keep(new Set());
      show();
    }
  });
  document.addEventListener("htmx:afterSettle", show);
  window.addEventListener("pageshow", show);
})();
