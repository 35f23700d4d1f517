// The view of a picture: zoom by wheel, pinch, keys and double click, drag, brightness and contrast both ways; bands and
// stretch of FITS images; scale bar and compass.
"use strict";
(() => {
  const fresh = { zoom: 1, x: 0, y: 0, bright: 1, contrast: 1, invert: 0 };
  const MOST = 32, STEP = 1.3;
  const picture = () => document.getElementById("galaxy");
  const frame = () => picture()?.closest(".frame");
  let view = { ...fresh }, seen = picture()?.dataset.row;

  // Bands and stretch stay from galaxy to galaxy, in this window of the browser.
  const PLACE = `picture of ${document.documentElement.dataset.root}/`;
  const recall = () => { try { return JSON.parse(sessionStorage.getItem(PLACE)) || {}; } catch { return {}; } };
  let chosen = { bands: "", look: "", ...recall() };
  const choices = (what) => document.querySelector(`select[data-pick="${what}"]`);
  const dressed = (address) => {
    if (!choices("look")) { return address; }
    const more = new URLSearchParams(Object.entries(chosen).filter(([, value]) => value)).toString();
    return more ? `${address}&${more}` : address;
  };
  const dress = () => {
    const image = picture();
    if (!image) { return; }
    for (const what of ["bands", "look"]) {
      const select = choices(what);
      if (select) { select.value = [...select.options].some((one) => one.value === chosen[what]) ? chosen[what] : ""; }
    }
    const wanted = dressed(view.zoom > 1 ? image.dataset.native : image.dataset.whole);
    if (image.dataset.shown !== "square" && image.getAttribute("src") !== wanted) { image.src = wanted; }
  };
  const pick = (what, value) => {
    chosen = { ...chosen, [what]: value };
    try { sessionStorage.setItem(PLACE, JSON.stringify(chosen)); } catch { /* a browser that keeps nothing */ }
    if (picture()?.dataset.shown === "square") { steps.a(); }
    dress();
  };
  const next = (what) => {
    const select = choices(what);
    if (!select) { return; }
    select.selectedIndex = (select.selectedIndex + 1) % select.options.length;
    pick(what, select.value);
    window.labelling.tell(`${what === "look" ? "Stretch" : "Bands"}: ${select.options[select.selectedIndex].text}`);
  };

  // Pixels of the picture to one of the screen, where the picture fits the frame.
  const fit = () => {
    const image = picture(), box = frame().getBoundingClientRect();
    const wide = Number(image.dataset.wide) || image.naturalWidth || 1, tall = Number(image.dataset.tall) || image.naturalHeight || 1;
    const square = image.dataset.shown === "square";
    return square ? box.width / Math.min(wide, tall) : Math.min(box.width / wide, box.height / tall);
  };

  // A scale bar of a round length, at most a quarter of the frame wide, and the directions of north and east.
  const LENGTHS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600];
  const SVG = "http://www.w3.org/2000/svg";
  const shape = (parent, name, values, text = "") => {
    const one = document.createElementNS(SVG, name);
    Object.entries(values).forEach(([key, value]) => one.setAttribute(key, value));
    one.textContent = text;
    parent.append(one);
  };
  const measure = () => {
    const image = picture(), pixel = Number(image.dataset.pixel), box = frame().getBoundingClientRect();
    let over = frame().querySelector("svg.over-picture");
    if (!pixel && !image.dataset.north) { return; }
    if (!over) {
      over = document.createElementNS(SVG, "svg");
      over.setAttribute("class", "over-picture");
      over.setAttribute("role", "img");
      frame().append(over);
    }
    over.replaceChildren();
    over.setAttribute("viewBox", `0 0 ${box.width} ${box.height}`);
    const told = [];
    if (pixel) {
      const scale = fit() * view.zoom / pixel;
      const length = LENGTHS.findLast((one) => one * scale <= box.width / 4) ?? LENGTHS[0];
      const text = length >= 3600 ? `${length / 3600}°` : length >= 60 ? `${length / 60}′` : `${length}″`;
      const x = 12, y = box.height - 12, end = x + length * scale;
      shape(over, "path", { d: `M${x} ${y - 5}V${y}H${end}V${y - 5}` });
      shape(over, "text", { x, y: y - 10 }, text);
      told.push(`the bar is ${text} long`);
    }
    if (image.dataset.north) {
      const x = box.width - 38, y = box.height - 38;
      for (const [name, angle] of [["N", Number(image.dataset.north)], ["E", Number(image.dataset.east)]]) {
        const [right, up] = [Math.sin(angle * Math.PI / 180), Math.cos(angle * Math.PI / 180)];
        shape(over, "path", { d: `M${x} ${y}L${x + 18 * right} ${y - 18 * up}` });
        shape(over, "text", { x: x + 27 * right, y: y - 27 * up, class: "way-name" }, name);
      }
      told.push(`north is ${Math.round(image.dataset.north)}° clockwise from up`);
    }
    over.setAttribute("aria-label", `Scale and orientation: ${told.join("; ")}`);
  };
  const draw = () => {
    const image = picture();
    if (!image) { return; }
    const box = frame().getBoundingClientRect();
    const bound = (value, side) => Math.max(-(view.zoom - 1) * side / 2, Math.min((view.zoom - 1) * side / 2, value));
    view.x = bound(view.x, box.width);
    view.y = bound(view.y, box.height);
    image.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.zoom})`;
    image.style.filter = `brightness(${view.bright}) contrast(${view.contrast}) invert(${view.invert})`;
    frame().classList.toggle("near", view.zoom > 1);
    // Single pixels are shown as they are once they are large.
    image.classList.toggle("pixels", view.zoom * fit() >= 6);
    const native = dressed(image.dataset.native);
    if (view.zoom > 1 && image.getAttribute("src") !== native && image.dataset.shown !== "square") {
      image.src = native;
    }
    measure();
  };
  const zoom = (factor, x = 0, y = 0) => {
    const before = view.zoom;
    view.zoom = Math.max(1, Math.min(MOST, before * factor));
    // The point under the cursor stays where it is.
    view.x = x - (x - view.x) * view.zoom / before;
    view.y = y - (y - view.y) * view.zoom / before;
  };
  const steps = {
    "+": () => zoom(STEP),
    "-": () => zoom(1 / STEP),
    n: () => zoom(Math.max(1, 1 / fit()) / view.zoom),
    b: () => { view.bright = Math.min(view.bright * 1.25, 8); },
    d: () => { view.bright = Math.max(view.bright / 1.25, 0.25); },
    c: () => { view.contrast = Math.min(view.contrast * 1.2, 5); },
    f: () => { view.contrast = Math.max(view.contrast / 1.2, 0.3); },
    i: () => { view.invert = 1 - view.invert; },
    r: () => { view = { ...fresh }; pick("bands", ""); pick("look", ""); },
    a: () => {
      const image = picture(), square = image.dataset.shown !== "square";
      image.dataset.shown = square ? "square" : "whole";
      image.src = square ? image.dataset.square : image.dataset.whole;
      view = { ...view, zoom: 1, x: 0, y: 0 };
      if (!square) { dress(); }
      document.querySelector('[data-view="a"]')?.setAttribute("aria-pressed", String(square));
    },
  };
  steps["="] = steps["+"];
  steps.w = () => next("bands");
  steps.e = () => next("look");
  const arrows = { arrowleft: [1, 0], arrowright: [-1, 0], arrowup: [0, 1], arrowdown: [0, -1] };

  // Does what a key says; false if it says nothing here.
  const press = (key) => {
    if (!picture()) { return false; }
    if (key in arrows) {
      if (view.zoom === 1) { return false; }
      view.x += arrows[key][0] * 60;
      view.y += arrows[key][1] * 60;
    } else if (key in steps) { steps[key](); } else { return false; }
    draw();
    return true;
  };
  // Another question about the same galaxy keeps the view.
  const renew = () => {
    const now = picture()?.dataset.row;
    if (now !== seen) { view = { ...fresh }; }
    seen = now;
    dress();
    draw();
  };

  const from = (event) => {
    const box = frame().getBoundingClientRect();
    return [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2];
  };
  const inside = (event) => frame() && event.target.closest?.(".frame") === frame();
  document.addEventListener("wheel", (event) => {
    if (!inside(event) || (view.zoom === 1 && event.deltaY > 0)) { return; }
    event.preventDefault();
    zoom(Math.exp(-Math.max(-100, Math.min(100, event.deltaY)) / 300), ...from(event));
    draw();
  }, { passive: false });
  document.addEventListener("dblclick", (event) => {
    if (inside(event)) { zoom(view.zoom > 1 ? 1 / view.zoom : 3, ...from(event)); draw(); }
  });

  // One finger or the mouse drags, two fingers zoom.
  const down = new Map();
  const middle = () => [...down.values()].reduce(([x, y], one) => [x + one[0] / down.size, y + one[1] / down.size], [0, 0]);
  const apart = () => { const [one, other] = [...down.values()]; return other ? Math.hypot(one[0] - other[0], one[1] - other[1]) : 0; };
  document.addEventListener("pointerdown", (event) => {
    if (!inside(event) || event.button) { return; }
    down.set(event.pointerId, from(event));
    if (view.zoom > 1 || down.size > 1) { event.target.setPointerCapture(event.pointerId); }
  });
  document.addEventListener("pointermove", (event) => {
    if (!down.has(event.pointerId) || !frame()) { return; }
    const before = middle(), distance = apart();
    down.set(event.pointerId, from(event));
    const now = middle();
    if (distance) { zoom(apart() / distance, ...now); }
    view.x += now[0] - before[0];
    view.y += now[1] - before[1];
    draw();
  });
  for (const name of ["pointerup", "pointercancel"]) { document.addEventListener(name, (event) => { down.delete(event.pointerId); }); }
  document.addEventListener("dragstart", (event) => { if (inside(event)) { event.preventDefault(); } });
  document.addEventListener("load", (event) => { if (event.target === picture()) { draw(); } }, true);
  window.addEventListener("resize", draw);
  window.view = { press, renew, dressed, pick };
  dress();
  draw();
})();
