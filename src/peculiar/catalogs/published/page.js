// A published catalogue: filters, a map and a wall of pictures over the columns of columns.js. Nothing is requested from
// elsewhere, and the page also works from a disk.
"use strict";

const { columns, rows, missing, axes } = window.published;
const byName = new Map(columns.map((column) => [column.name, column]));
const lacking = new Set(missing);
const filters = new Map(); // by column: a set of categories, or [from, to]
const COLOURS = ["#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#d55e00", "#b8c4de"];
const at = (selector, inside = document) => inside.querySelector(selector);
const made = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
const ids = byName.get("id");
let shown = [];
let current = 0; // the tile that has the keyboard

const text = (column, row) => {
  const value = column.values[row];
  if (value === null || value === undefined) return "";
  if (column.kind === "category") return column.categories[value];
  return typeof value === "number" && value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(2) : String(value);
};
const pictureOf = (row) => `pictures/${String(Math.floor(row / 1000)).padStart(3, "0")}/${row}.jpg`;

// Filters

function passes(row, without) {
  for (const [name, wanted] of filters) {
    if (name === without) continue;
    const value = byName.get(name).values[row];
    if (wanted instanceof Set ? !wanted.has(value) : value === null || value < wanted[0] || value > wanted[1]) return false;
  }
  const words = at("#find").value.trim().toLowerCase();
  return !words || text(ids, row).toLowerCase().includes(words);
}

function choose() {
  shown = [];
  for (let row = 0; row < rows; row++) if (passes(row)) shown.push(row);
  const column = byName.get(at("#by").value);
  if (column) {
    const sign = at("#rising").checked ? 1 : -1;
    const worth = column.kind === "number" ? (row) => column.values[row] : (row) => text(column, row);
    const empty = (value) => value === null || value === "";
    shown.sort((a, b) => {
      const [one, other] = [worth(a), worth(b)];
      if (empty(one) || empty(other)) return empty(one) - empty(other); // last, whatever the order
      return sign * (one < other ? -1 : one > other ? 1 : 0);
    });
  }
  at("#count").value = `${shown.length.toLocaleString("en")} of ${rows.toLocaleString("en")} galaxies`;
  at("#clear").disabled = !filters.size && !at("#find").value;
  at("#wall").scrollTop = current = 0;
  lay();
  draw();
  remember();
}

function facet(column) {
  const title = made("summary", {}, column.name, made("small", { textContent: column.unit ? ` (${column.unit})` : "" }));
  const box = made("details", { title: column.description }, title);
  box.dataset.name = column.name;
  box.addEventListener("toggle", () => box.open && box.childElementCount === 1 && box.append(inside(column)), { once: false });
  box.open = column.name === "class" || filters.has(column.name);
  return box;
}

function inside(column) {
  return column.kind === "category" ? categories(column) : interval(column);
}

function categories(column) {
  const counts = column.categories.map(() => 0);
  for (const value of column.values) if (value !== null) counts[value]++;
  const field = made("fieldset", {}, made("legend", { className: "soft", textContent: column.description || column.name }));
  column.categories.forEach((name, number) => {
    const input = made("input", { type: "checkbox", checked: filters.get(column.name)?.has(number) ?? false });
    input.addEventListener("change", () => {
      const wanted = filters.get(column.name) ?? new Set();
      input.checked ? wanted.add(number) : wanted.delete(number);
      wanted.size ? filters.set(column.name, wanted) : filters.delete(column.name);
      choose();
    });
    field.append(made("label", {}, input, name || "(empty)", made("small", { textContent: counts[number].toLocaleString("en") })));
  });
  return field;
}

function interval(column) {
  const { low, high } = column;
  const step = (high - low) / 200 || 1;
  const bars = made("div", { className: "bars", ariaHidden: "true" });
  const counts = new Array(40).fill(0);
  for (const value of column.values) if (value !== null) counts[Math.min(39, Math.floor(((value - low) / (high - low || 1)) * 40))]++;
  const most = Math.max(...counts, 1);
  for (const count of counts) bars.append(made("i", { style: `height:${(100 * count) / most}%` }));
  const inputs = [low, high].map((value, end) => {
    const input = made("input", { type: "range", min: 0, max: 200, step: 1, value: 200 * end });
    input.setAttribute("aria-label", `${column.name} ${end ? "to" : "from"}`);
    return input;
  });
  const told = [made("span"), made("span")];
  const values = () => inputs.map((input, end) => (+input.value === 200 * end ? [low, high][end] : low + step * input.value));
  const show = () => values().forEach((value, end) => (told[end].textContent = `${end ? "to" : "from"} ${+value.toPrecision(4)}`));
  const given = filters.get(column.name);
  if (given) inputs.forEach((input, end) => (input.value = Math.round((given[end] - low) / step)));
  inputs.forEach((input) =>
    input.addEventListener("input", () => {
      show();
      const [from, to] = values();
      from <= low && to >= high ? filters.delete(column.name) : filters.set(column.name, [from, to]);
      clearTimeout(interval.waiting);
      interval.waiting = setTimeout(choose, 60);
    }),
  );
  show();
  return made("div", {}, made("p", { className: "soft", textContent: column.description }), bars, made("div", { className: "range" }, ...told, ...inputs));
}

// The wall: only the tiles in view are there, so a hundred thousand scroll like a hundred.

function layout() {
  const wall = at("#wall"), gap = 8, lines = 40;
  const across = Math.max(1, Math.floor((wall.clientWidth - gap) / (+at("#size").value + gap)));
  const wide = (wall.clientWidth - gap) / across - gap; // so that the line is filled
  return { wall, gap, across, wide, height: wide + lines + gap };
}

function lay() {
  const { wall, gap, across, wide, height } = layout(), tiles = at("#tiles");
  tiles.style.height = `${Math.ceil(shown.length / across) * height + gap}px`;
  const first = Math.max(0, Math.floor(wall.scrollTop / height) - 1) * across;
  const last = Math.min(shown.length, (Math.ceil((wall.scrollTop + wall.clientHeight) / height) + 1) * across);
  current = Math.min(Math.max(current, 0), shown.length - 1);
  const kept = new Map([...tiles.children].map((tile) => [tile.dataset.key, tile]));
  const focused = document.activeElement?.dataset?.key;
  const wanted = [];
  for (let place = first; place < last; place++) {
    const row = shown[place], key = `${row}/${at("#by").value}`;
    const tile = kept.get(key) ?? tileOf(row, key);
    kept.delete(key);
    tile.dataset.number = place;
    tile.tabIndex = place === (first <= current && current < last ? current : first) ? 0 : -1;
    tile.setAttribute("aria-posinset", place + 1);
    tile.setAttribute("aria-setsize", shown.length);
    tile.style.cssText = `left:${gap + (place % across) * (wide + gap)}px;top:${gap + Math.floor(place / across) * height}px;width:${wide}px`;
    wanted.push(tile);
  }
  for (const tile of kept.values()) tile.remove();
  for (const tile of wanted) if (!tile.isConnected) tiles.append(tile);
  if (focused && !document.activeElement?.dataset?.key) at(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

function tileOf(row, key) {
  const name = text(ids, row), kind = byName.get("class"), by = byName.get(at("#by").value);
  const picture = lacking.has(row)
    ? made("span", { className: "none", textContent: "no picture" })
    : made("img", { src: pictureOf(row), alt: "", loading: "lazy", decoding: "async" });
  const under = [kind && text(kind, row), by && by !== kind && by !== ids ? `${by.name} ${text(by, row)}` : ""].filter(Boolean).join(", ");
  const tile = made("div", { className: "tile", title: name, role: "option" }, picture, made("span", { textContent: name }), made("span", { className: "soft", textContent: under }));
  tile.dataset.key = key;
  return tile;
}

// Tab leads to one tile of the wall and past it; arrow keys lead from tile to tile.
function step(event) {
  const { wall, across, height } = layout(), page = across * Math.max(1, Math.floor(wall.clientHeight / height));
  const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across, PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity }[event.key];
  if (by === undefined) return;
  event.preventDefault();
  go(current + by);
}

function go(place) {
  const { wall, gap, across, height } = layout();
  current = Math.min(Math.max(place, 0), shown.length - 1);
  const top = Math.floor(current / across) * height;
  if (top < wall.scrollTop) wall.scrollTop = top;
  if (top + height + gap > wall.scrollTop + wall.clientHeight) wall.scrollTop = top + height + gap - wall.clientHeight;
  lay();
  at(`.tile[data-number="${current}"]`)?.focus({ preventScroll: true });
}

// One galaxy

let open = 0;
function inspect(place) {
  open = Math.max(0, Math.min(shown.length - 1, place));
  const row = shown[open], dialog = at("#galaxy");
  at("#name").textContent = text(ids, row);
  const picture = at("img", dialog);
  picture.hidden = lacking.has(row);
  if (!picture.hidden) picture.src = pictureOf(row);
  picture.alt = `Picture of ${text(ids, row)}`;
  at("table", dialog).replaceChildren(
    ...columns.map((column) =>
      made("tr", { title: column.description }, made("th", { scope: "row", textContent: column.name }), made("td", { textContent: [text(column, row), text(column, row) && column.unit].filter(Boolean).join(" ") })),
    ),
  );
  at('[data-step="-1"]').disabled = open === 0;
  at('[data-step="1"]').disabled = open === shown.length - 1;
  if (!dialog.open) dialog.showModal();
}

// The map

const canvas = at("canvas");
let drag = null;
const plane = () => axes.map((name) => byName.get(name));
function spot(row) {
  const [x, y] = plane();
  if (x.values[row] === null || y.values[row] === null) return null;
  const across = (x.values[row] - x.low) / (x.high - x.low || 1);
  // Right ascension grows to the left, as on the sky.
  return [8 + (axes[0] === "x" ? across : 1 - across) * (canvas.width - 16), 8 + (1 - (y.values[row] - y.low) / (y.high - y.low || 1)) * (canvas.height - 16)];
}
function draw() {
  if (!axes.length) return;
  const pen = canvas.getContext("2d"), kind = byName.get("class");
  const size = rows > 20000 ? 1.5 : rows > 2000 ? 2.5 : 4;
  pen.clearRect(0, 0, canvas.width, canvas.height);
  const inSight = new Set(shown);
  for (const visible of [false, true])
    for (let row = 0; row < rows; row++) {
      if (inSight.has(row) !== visible) continue;
      const place = spot(row);
      if (!place) continue;
      pen.fillStyle = !visible ? "#2b3350" : kind?.kind === "category" ? COLOURS[kind.values[row] % COLOURS.length] : COLOURS[0];
      pen.fillRect(place[0] - size / 2, place[1] - size / 2, size, size);
    }
  if (drag) {
    pen.strokeStyle = "#ffd08a";
    pen.strokeRect(drag[0], drag[1], drag[2] - drag[0], drag[3] - drag[1]);
  }
}
const inCanvas = (event) => {
  const box = canvas.getBoundingClientRect();
  return [((event.clientX - box.left) / box.width) * canvas.width, ((event.clientY - box.top) / box.height) * canvas.height];
};
canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  drag = [...inCanvas(event), ...inCanvas(event)];
});
canvas.addEventListener("pointermove", (event) => {
  if (!drag) return;
  drag.splice(2, 2, ...inCanvas(event));
  draw();
});
canvas.addEventListener("pointerup", () => {
  const [left, top, right, bottom] = drag;
  drag = null;
  if (Math.abs(right - left) < 4 || Math.abs(bottom - top) < 4) return draw();
  const value = (column, share) => column.low + Math.min(1, Math.max(0, share)) * (column.high - column.low);
  const [x, y] = plane();
  const across = [left, right].map((end) => (end - 8) / (canvas.width - 16)).map((share) => (axes[0] === "x" ? share : 1 - share));
  const up = [top, bottom].map((end) => 1 - (end - 8) / (canvas.height - 16));
  filters.set(x.name, across.map((share) => value(x, share)).sort((a, b) => a - b));
  filters.set(y.name, up.map((share) => value(y, share)).sort((a, b) => a - b));
  renew();
  choose();
});
canvas.addEventListener("pointercancel", () => (drag = null));

// The view in the address, so that it can be kept and sent

function remember() {
  const view = new URLSearchParams();
  for (const [name, wanted] of filters)
    if (wanted instanceof Set) for (const one of wanted) view.append(name, byName.get(name).categories[one]);
    else view.set(name, wanted.map((one) => +one.toPrecision(7)).join(".."));
  if (at("#find").value) view.set("find", at("#find").value);
  if (at("#by").value) view.set("by", (at("#rising").checked ? "" : "-") + at("#by").value);
  history.replaceState(null, "", `#${view}`);
}

function recall() {
  for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
    const column = byName.get(name);
    if (name === "find") at("#find").value = value;
    else if (name === "by") {
      at("#by").value = value.replace(/^-/, "");
      at("#rising").checked = !value.startsWith("-");
    } else if (column?.kind === "category" && column.categories.includes(value))
      filters.set(name, (filters.get(name) ?? new Set()).add(column.categories.indexOf(value)));
    else if (column?.kind === "number" && value.includes("..")) filters.set(name, value.split("..").map(Number));
  }
}

function renew() {
  for (const box of document.querySelectorAll("#facets details")) {
    const column = byName.get(box.dataset.name);
    if (box.childElementCount > 1) box.lastElementChild.replaceWith(inside(column));
  }
}

// The page

const sortable = columns.filter((column) => column.kind !== "text" || column === ids);
at("#by").append(made("option", { value: "", textContent: "the order published" }), ...sortable.map((column) => made("option", { value: column.name, textContent: column.name })));
recall();
// Classes first; a column with one value has nothing to choose.
const choices = columns.filter((column) => (column.kind === "category" ? column.categories.length > 1 : column.kind === "number" && column.high > column.low));
at("#facets").append(...["category", "number"].flatMap((kind) => choices.filter((column) => column.kind === kind)).map(facet));
at("#filters").open = matchMedia("(min-width: 56rem)").matches;
if (axes.length) {
  at("#map").hidden = false;
  const kind = byName.get("class");
  if (kind?.kind === "category") at(".legend").append(...kind.categories.slice(0, 12).map((name, number) => made("span", { textContent: name, style: `--colour:${COLOURS[number % COLOURS.length]}` })));
}
at("#find").addEventListener("input", choose);
at("#by").addEventListener("change", choose);
at("#rising").addEventListener("change", choose);
at("#size").addEventListener("input", lay);
at("#clear").addEventListener("click", () => {
  filters.clear();
  at("#find").value = "";
  renew();
  choose();
});
at("#wall").addEventListener("scroll", () => requestAnimationFrame(lay), { passive: true });
at("#tiles").addEventListener("click", (event) => {
  const tile = event.target.closest(".tile");
  if (tile) inspect((current = +tile.dataset.number));
});
at("#tiles").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" && event.key !== " ") return step(event);
  event.preventDefault();
  inspect(current);
});
at("#tiles").addEventListener("focusin", (event) => (current = +event.target.dataset.number));
at("#galaxy").addEventListener("click", (event) => {
  if (event.target.closest("[data-close]")) at("#galaxy").close();
  const step = event.target.closest("[data-step]");
  if (step) inspect(open + +step.dataset.step);
});
at("#galaxy").addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step) inspect(open + step);
});
at("#galaxy").addEventListener("close", () => go(open));
addEventListener("resize", lay);
addEventListener("hashchange", () => {
  filters.clear();
  recall();
  renew();
  choose();
});
choose();
