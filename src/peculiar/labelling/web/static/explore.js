// The screen of a catalogue: one galaxy beside maps and wall, sliders, saved views, and the way back to a place.
"use strict";
(() => {
  const root = document.documentElement.dataset.root;
  const page = (part) => document.getElementById(part);
  const wide = () => matchMedia("(min-width: 75rem)").matches;

  // --- One galaxy: the one that is pointed at, or the one that was clicked on a map.
  let shown = null, pinned = null, timer = 0;
  const point = (row, pin = false) => { document.dispatchEvent(new CustomEvent("galaxy", { detail: { row, pin } })); };
  const inspect = (row) => {
    if (row === null || row === shown) { return; }
    shown = row;
    const place = page("inspector"), picture = place.querySelector("img"), session = document.querySelector(".tiles img, .frame img")?.src.split("?")[1] || "";
    place.querySelector(".hint")?.remove();
    place.querySelector(".frame").hidden = false;
    picture.src = `${root}/picture/${row}/whole?${session}`;
    picture.alt = `Galaxy of row ${row}`;
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const got = await fetch(`${root}/galaxy/${row}/card`).catch(() => null);
      if (got?.ok && shown === row) { place.querySelector(".card").innerHTML = await got.text(); }
    }, 120);
  };
  document.addEventListener("galaxy", (event) => {
    const { row, pin } = event.detail;
    if (pin) { pinned = row; shown = null; }
    inspect(row ?? pinned);
    document.querySelector(".tiles .pointed")?.classList.remove("pointed");
    document.getElementById(`g${row ?? pinned}`)?.classList.add("pointed");
  });
  const rowOf = (target) => { const tile = target.closest?.(".tiles [data-row]"); return tile ? Number(tile.dataset.row) : null; };
  document.addEventListener("pointerover", (event) => { const row = rowOf(event.target); if (row !== null && event.pointerType === "mouse") { point(row); } });
  document.addEventListener("focusin", (event) => { const row = rowOf(event.target); if (row !== null) { point(row); } });

  // --- Back returns to the tile that was left: the address of the page names it before it is left.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.(".tiles [data-row] > a"), row = rowOf(event.target);
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) { return; }
    const place = new URL(link.href).searchParams.get("place"), step = Number(document.querySelector(".tiles").dataset.step), here = new URL(location.href);
    if (place === null) { return; }
    here.searchParams.set("start", String(Math.floor(Number(place) / step) * step));
    here.hash = `g${row}`;
    history.replaceState(history.state, "", here);
  });

  // --- Sliders: the ends of a column, as JSON in the form of the selection.
  const form = () => page("selection");
  const ends = (facet) => [...facet.querySelectorAll("input")].map((one) => Number(one.value));
  const edges = (facet) => facet.dataset.edges.split(" ").map(Number);
  const told = (facet) => {
    const [low, high] = ends(facet), at = edges(facet), last = at.length - 1, text = (value) => String(Number(value.toPrecision(3)));
    const names = [low ? text(at[low]) : "lowest", high < last ? text(at[high]) : "highest"];
    facet.querySelectorAll("input").forEach((one, place) => one.setAttribute("aria-valuetext", names[place]));
    facet.querySelector("output").textContent = low || high < last ? names.join(" to ") : "";
    facet.querySelectorAll("rect").forEach((bar, place) => bar.classList.toggle("out", place < low || place >= high));
  };
  document.addEventListener("input", (event) => {
    const facet = event.target.closest?.("fieldset.facet");
    if (!facet) { return; }
    const [low, high] = facet.querySelectorAll("input");
    if (Number(low.value) >= Number(high.value)) {
      if (event.target === low) { low.value = String(Number(high.value) - 1); } else { high.value = String(Number(low.value) + 1); }
    }
    told(facet);
  });
  // Keys move an end step by step: the galaxies are renewed once it rests.
  let focus = null, moved = 0;
  document.addEventListener("change", (event) => {
    const facet = event.target.closest?.("fieldset.facet");
    if (!facet) { return; }
    const narrow = JSON.parse(form().elements.narrow.value || "{}"), [low, high] = ends(facet), at = edges(facet), last = at.length - 1;
    delete narrow[facet.dataset.column];
    if (low || high < last) { narrow[facet.dataset.column] = [low ? at[low] : null, high < last ? at[high] : null]; }
    form().elements.narrow.value = Object.keys(narrow).length ? JSON.stringify(narrow) : "";
    focus = event.target.id;
    clearTimeout(moved);
    moved = setTimeout(() => form().requestSubmit(), 300);
  });
  const facets = async () => {
    const place = page("facets");
    if (!place || !page("narrow").open) { return; }
    const asked = new URLSearchParams(new FormData(form()));
    asked.set("on", form().getAttribute("action").split("/").at(-1));
    [...asked].forEach(([name, value]) => { if (!value) { asked.delete(name); } });
    focus = place.contains(document.activeElement) ? document.activeElement.id : focus;
    await window.htmx.ajax("GET", `${root}/facets?${asked}`, { target: place, swap: "innerHTML" });
    if (focus) { document.getElementById(focus)?.focus({ preventScroll: true }); }
    focus = null;
  };
  document.addEventListener("toggle", (event) => { if (event.target.id === "narrow" && event.target.open && !page("facets").firstElementChild) { facets(); } }, true);

  // --- Saved views: addresses under a name, in this browser.
  const place = () => `views of ${page("views").dataset.catalog}`;
  const read = () => { try { return JSON.parse(localStorage.getItem(place()) || "{}"); } catch { return {}; } };
  const keep = (views) => { try { localStorage.setItem(place(), JSON.stringify(views)); } catch { /* a browser that keeps nothing */ } };
  const list = () => {
    page("views")?.replaceChildren(...Object.entries(read()).map(([name, address]) => {
      const entry = document.createElement("li"), link = document.createElement("a"), remove = document.createElement("button");
      link.href = address;
      link.textContent = name;
      remove.type = "button";
      remove.textContent = "×";
      remove.setAttribute("aria-label", `Remove ${name}`);
      remove.addEventListener("click", () => { const views = read(); delete views[name]; keep(views); list(); });
      entry.append(link, remove);
      return entry;
    }));
  };
  document.addEventListener("submit", (event) => {
    if (event.target.id !== "save-view") { return; }
    event.preventDefault();
    const field = page("view-name");
    keep({ ...read(), [field.value.trim()]: location.pathname + location.search });
    field.value = "";
    list();
  });

  document.documentElement.classList.add("js");
  const begin = () => {
    if (!page("narrow")) { return; }
    if (wide()) { page("narrow").open = true; }
    list();
    facets();
  };
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.detail.target?.id === "content" || event.detail.elt?.id === "content") { facets(); }
  });
  begin();
  if (location.hash.startsWith("#g")) { document.getElementById(location.hash.slice(1))?.scrollIntoView({ block: "center" }); }
})();
