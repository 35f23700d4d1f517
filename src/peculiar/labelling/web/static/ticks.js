// Ticks in the gallery: kept while scrolling, sorting and filtering; Shift ticks a range. Without this script the ticks on the page are sent.
"use strict";
(() => {
  let last = null;
  const form = () => document.getElementById("ticked");
  const boxes = () => [...document.querySelectorAll('.tiles input[name="rows"]')];
  const place = () => `ticked ${form().dataset.catalog}`;
  const read = () => {
    try { return new Set(JSON.parse(sessionStorage.getItem(place()) || "[]")); } catch { return new Set(); }
  };
  const tell = (rows, more = "") => {
    const count = rows.size;
    form().querySelector("output").textContent = more || (count ? `${count.toLocaleString("en")} ticked` : "Tick galaxies; Shift ticks a range");
    form().querySelectorAll("button").forEach((one) => { one.disabled = !count; });
  };
  const keep = (rows, more) => { sessionStorage.setItem(place(), JSON.stringify([...rows])); tell(rows, more); };
  const show = () => {
    if (!form()) { return; }
    const rows = read();
    boxes().forEach((one) => { one.checked = rows.has(one.value); });
    tell(rows);
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
    if (event.target === form()) { event.formData.delete("rows"); event.formData.set("rows", [...read()].join(" ")); }
  });
  document.addEventListener("htmx:afterSettle", show);
  window.addEventListener("pageshow", show);
})();
