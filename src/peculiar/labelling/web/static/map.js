// The two maps on a canvas: points from arrays that are fetched once, zoom, pan, hover, rectangle and lasso.
"use strict";
(() => {
  const BASE = [720, 450], PAPER = [7, 10, 20], GREY = [74, 86, 118], MOST_ZOOM = 4000, CORNERS = 32;
  const radians = Math.PI / 180;
  const turned = (degrees) => ((degrees + 180) % 360 + 360) % 360 - 180;
  const fields = () => [...document.querySelectorAll(".field")];
  const typed = (field) => document.querySelector(`input[form="selection"][name="${field.dataset.kind}"]`);

  // From places on the map, as `charts.py` has them, to what the axes count, and back.
  const sky = ([middle, x0, y0, scale]) => {
    const across = (dec) => Math.max(Math.cos(dec * radians), 1e-6);
    const read = (x, y) => {
      const dec = Math.max(-90, Math.min(90, y0 + (BASE[1] / 2 - y) / scale));
      const away = Math.max(-180, Math.min(180, (x0 + (x - BASE[0] / 2) / scale) / across(dec)));
      return [middle - away, dec];
    };
    const place = (ra, dec) => [BASE[0] / 2 + ((middle - ra) * across(dec) - x0) * scale, BASE[1] / 2 - (dec - y0) * scale];
    const whole = (ra) => ((ra % 360) + 360) % 360;
    return {
      read, place, digits: (zoom) => Math.max(0, Math.min(8, Math.ceil(Math.log10(scale * zoom)) + 1)),
      point: ([ra, dec]) => [whole(ra), dec],
      // A corner is drawn on the side of the map from which it is less than half a circle away.
      corner: ([ra, dec]) => place(middle - turned(middle - ra), dec),
      // Right ascension grows to the left; from one end of the sky to the other is all of it.
      box: (one, other) => [...(one[0] - other[0] > 359.99 ? [0, 360] : [whole(other[0]), whole(one[0])]), Math.min(one[1], other[1]), Math.max(one[1], other[1])],
      corners: ([left, right, low, high]) => {
        const all = Math.abs(right - left) >= 360, width = all ? 360 : whole(right - left);
        const away = all ? 0 : turned(middle - left - width / 2);
        return [[middle - away + width / 2, high], [middle - away - width / 2, low]];
      },
    };
  };
  const plane = ([margin]) => {
    const wide = BASE[0] - 2 * margin, tall = BASE[1] - 2 * margin;
    const place = (x, y) => [margin + x * wide, BASE[1] - margin - y * tall];
    return {
      read: (x, y) => [(x - margin) / wide, (BASE[1] - margin - y) / tall],
      place, digits: (zoom) => Math.min(8, 4 + Math.ceil(Math.log10(zoom))), point: (one) => one, corner: ([x, y]) => place(x, y),
      box: (one, other) => [Math.min(one[0], other[0]), Math.max(one[0], other[0]), Math.min(one[1], other[1]), Math.max(one[1], other[1])],
      corners: ([left, right, low, high]) => [[left, high], [right, low]],
    };
  };
  const axes = (field) => (field.dataset.kind === "sky" ? sky : plane)(field.dataset.frame.split(" ").map(Number));

  // --- What is fetched: places, colours and which galaxies are chosen; by address, so that only news are.
  const kept = new Map();
  const get = async (address, make) => {
    if (!kept.has(address)) {
      kept.set(address, fetch(address).then(async (got) => {
        if (!got.ok) { throw new Error(await got.text()); }
        return make(await got.arrayBuffer());
      }));
      kept.get(address).catch(() => kept.delete(address));
      if (kept.size > 12) { kept.delete(kept.keys().next().value); }
    }
    return kept.get(address);
  };

  // Cells of the map with their galaxies, to find the one under the cursor.
  const CELL = 3, WIDE = BASE[0] / CELL, TALL = BASE[1] / CELL;
  const cellOf = (x, y) => Math.min(TALL - 1, Math.max(0, y / CELL | 0)) * WIDE + Math.min(WIDE - 1, Math.max(0, x / CELL | 0));
  const index = (xy) => {
    const count = xy.length / 2, starts = new Uint32Array(WIDE * TALL + 1), rows = new Uint32Array(count);
    for (let row = 0; row < count; row += 1) { if (xy[2 * row] === xy[2 * row]) { starts[cellOf(xy[2 * row], xy[2 * row + 1]) + 1] += 1; } }
    for (let cell = 0; cell < WIDE * TALL; cell += 1) { starts[cell + 1] += starts[cell]; }
    const next = starts.slice();
    for (let row = 0; row < count; row += 1) { if (xy[2 * row] === xy[2 * row]) { rows[next[cellOf(xy[2 * row], xy[2 * row + 1])]++] = row; } }
    return { starts, rows };
  };
  const points = (buffer) => { const xy = new Float32Array(buffer); return { xy, ...index(xy) }; };

  // --- The state of a map outlives the page's parts: by kind, how near it is and its middle.
  const views = new Map(), loaded = new Map(), off = new Set();
  const viewOf = (field) => {
    const place = field.dataset.kind;
    if (!views.has(place)) { views.set(place, { zoom: 1, x: BASE[0] / 2, y: BASE[1] / 2 }); }
    return views.get(place);
  };
  const scaleOf = (field) => viewOf(field).zoom * field.clientWidth / BASE[0];
  const toScreen = (field, x, y) => { const { x: u, y: v } = viewOf(field), scale = scaleOf(field); return [(x - u) * scale + field.clientWidth / 2, (y - v) * scale + field.clientHeight / 2]; };
  const toMap = (field, px, py) => { const { x: u, y: v } = viewOf(field), scale = scaleOf(field); return [(px - field.clientWidth / 2) / scale + u, (py - field.clientHeight / 2) / scale + v]; };

  const rgb = (hex) => [1, 3, 5].map((from) => parseInt(hex.slice(from, from + 2), 16));
  const look = () => {
    const legend = document.querySelector(".legend"), palette = (legend?.dataset.palette || "").split(" ").filter(Boolean).map(rgb);
    const scale = (legend?.dataset.scale || "#ffffff").split(" ").map(rgb);
    const ramp = Array.from({ length: 256 }, (_, step) => {
      const at = step / 255 * (scale.length - 1), low = Math.floor(at), part = at - low, high = Math.min(low + 1, scale.length - 1);
      return scale[low].map((one, place) => one + part * (scale[high][place] - one));
    });
    return { palette, ramp, classes: palette.length > 0 };
  };

  // Brightness by the logarithm of how many lie in a pixel, as `charts.py` has it.
  const light = (counts, least) => {
    const many = new Uint32Array(4096);
    let there = 0, most = 2;
    for (const count of counts) { if (count) { many[Math.min(count, 4095)] += 1; there += 1; } }
    for (let above = 0, count = 4095; count > 1; count -= 1) { above += many[count]; if (above > there / 1000) { most = count; break; } }
    const table = Float32Array.from({ length: 4096 }, (_, count) => least + (1 - least) * Math.min(1, Math.log(Math.max(count, 1)) / Math.log(Math.max(most, 2))));
    return (count) => table[Math.min(count, 4095)];
  };
  const REACHES = [[1000, 4], [10000, 2.5], [100000, 1]];

  // Galaxies in the part of the map that is seen: their number, and every `step`th of them.
  const lines = (field, { starts }) => {
    const [[left, top], [right, bottom]] = [toMap(field, 0, 0), toMap(field, field.clientWidth, field.clientHeight)], found = [];
    const cell = (at, most) => Math.max(0, Math.min(most - 1, at / CELL | 0));
    for (let v = cell(top, TALL); v <= cell(bottom, TALL); v += 1) { found.push([starts[v * WIDE + cell(left, WIDE)], starts[v * WIDE + cell(right, WIDE) + 1]]); }
    return found;
  };

  // While a map moves, a share of its galaxies stands for all, so that each picture takes a few hundredths of a second.
  const WHILE_MOVING = 50000;

  // Draw a map; return how many galaxies each point stands for.
  const draw = (field, moving = false) => {
    const data = loaded.get(field.dataset.kind), canvas = field.querySelector("canvas");
    if (!canvas) { return 1; }
    const ratio = Math.min(window.devicePixelRatio || 1, 2), W = Math.max(1, Math.round(field.clientWidth * ratio)), H = Math.max(1, Math.round(field.clientHeight * ratio));
    if (canvas.width !== W || canvas.height !== H) { canvas.width = W; canvas.height = H; }
    const context = canvas.getContext("2d"), image = context.createImageData(W, H), pixels = image.data, { palette, ramp, classes } = look();
    const paint = (pixel, colour, strength = 1) => { for (let part = 0; part < 3; part += 1) { pixels[4 * pixel + part] = colour[part] * strength; } };
    for (let place = 0; place < pixels.length; place += 4) { pixels[place] = PAPER[0]; pixels[place + 1] = PAPER[1]; pixels[place + 2] = PAPER[2]; pixels[place + 3] = 255; }
    let step = 1;
    if (data) {
      const { xy, rows } = data.points, there = lines(field, data.points), many = there.reduce((sum, [from, to]) => sum + to - from, 0);
      if (moving) { step = Math.max(1, Math.ceil(many / WHILE_MOVING)); }
      const { chosen, colours } = data, { zoom, x, y } = viewOf(field), scale = zoom * W / BASE[0], left = W / 2 - x * scale, top = H / 2 - y * scale;
      const hidden = new Uint8Array(256);
      off.forEach((code) => { hidden[code] = 1; });
      const others = new Uint32Array(W * H), seen = new Uint32Array(Math.ceil(many / step));
      let count = 0, behind = 0, over = 0;
      for (const [from, to] of there) {
        let place = from + over;
        for (; place < to; place += step) {
          const row = rows[place], px = xy[2 * row] * scale + left, py = xy[2 * row + 1] * scale + top;
          if (!(px >= 0 && px < W && py >= 0 && py < H)) { continue; }
          if (chosen[row >> 3] >> (7 - (row & 7)) & 1 && !(colours && hidden[colours[row]])) { seen[count++] = row; } else { others[(py | 0) * W + (px | 0)] += step; behind += 1; }
        }
        over = place - to;
      }
      if (behind) {
        const shade = light(others, 0.4);
        for (let pixel = 0; pixel < others.length; pixel += 1) { if (others[pixel]) { paint(pixel, GREY, shade(others[pixel])); } }
      }
      const reach = (REACHES.find(([most]) => count * step <= most) || [0, 0])[1] * ratio, counts = new Uint32Array(W * H), values = new Float32Array(colours ? W * H : 0);
      const disc = [];
      for (let down = -Math.ceil(reach); down <= reach; down += 1) { for (let right = -Math.ceil(reach); right <= reach; right += 1) { if (Math.hypot(down, right) <= reach + 0.3) { disc.push([right, down]); } } }
      for (let one = 0; one < count; one += 1) {
        const row = seen[one], px = xy[2 * row] * scale + left | 0, py = xy[2 * row + 1] * scale + top | 0;
        for (const [right, down] of disc) {
          const u = px + right, v = py + down;
          if (u < 0 || u >= W || v < 0 || v >= H) { continue; }
          const pixel = v * W + u;
          counts[pixel] += step;
          // The rare class of those in a pixel, or the mean of the numbers.
          if (colours) { values[pixel] = classes ? Math.max(values[pixel], colours[row]) : values[pixel] + colours[row] * step; }
        }
      }
      const shade = light(counts, colours ? 0.65 : 0.4);
      for (let pixel = 0; pixel < counts.length; pixel += 1) {
        if (!counts[pixel]) { continue; }
        if (!colours) { paint(pixel, ramp[Math.round(255 * shade(counts[pixel]))]); } else if (classes) {
          paint(pixel, values[pixel] ? palette[(values[pixel] - 1) % palette.length] : GREY, shade(counts[pixel]));
        } else { const mean = values[pixel] / counts[pixel]; paint(pixel, mean >= 1 ? ramp[Math.min(255, Math.round(mean))] : GREY); }
      }
    }
    context.putImageData(image, 0, 0);
    if (data && field.dataset.kind === "sky") { graticule(field, context, ratio); }
    overlay(field);
    return step;
  };

  const STEPS = [45, 30, 15, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002, 0.0001];
  const graticule = (field, context, ratio) => {
    const axis = axes(field), W = field.clientWidth, H = field.clientHeight;
    const [, top] = axis.read(...toMap(field, W / 2, 0)), [, bottom] = axis.read(...toMap(field, W / 2, H)), nearest = Math.max(bottom, Math.min(top, 0));
    const [, , , y] = [0, 0, 0, toScreen(field, ...axis.place(0, nearest))[1]];
    const [east] = axis.read(...toMap(field, 0, y)), [west] = axis.read(...toMap(field, W, y));
    const step = (span, lines) => STEPS.find((one) => span / one >= lines) || STEPS.at(-1), text = (value, by) => `${value.toFixed(Math.max(0, -Math.floor(Math.log10(by))))}°`.replace("-", "−");
    context.save();
    context.scale(ratio, ratio);
    context.strokeStyle = "#8ea2d055";
    context.fillStyle = "#b8c3d9";
    context.font = "12px system-ui, sans-serif";
    context.shadowColor = "#070a14";
    context.shadowBlur = 4;
    const along = (places) => { context.beginPath(); places.forEach(([ra, dec]) => context.lineTo(...toScreen(field, ...axis.place(ra, dec)))); context.stroke(); };
    // Names of right ascensions stand side by side: none may touch the next.
    const rows = step(top - bottom, 4), columns = STEPS.findLast((one) => one / (east - west) * W >= 64) || STEPS[0];
    for (let dec = Math.ceil(bottom / rows) * rows; dec <= top; dec += rows) {
      along(Array.from({ length: 33 }, (_, part) => [west + (east - west) * part / 32, dec]));
      const [, at] = toScreen(field, ...axis.place(east, dec));
      if (at > 20 && at < H - 24) { context.fillText(text(dec, rows), 6, at - 4); }
    }
    context.textAlign = "center";
    for (let ra = Math.ceil(west / columns) * columns; ra <= east; ra += columns) {
      along(Array.from({ length: 33 }, (_, part) => [ra, bottom + (top - bottom) * part / 32]));
      const [at] = toScreen(field, ...axis.place(ra, nearest));
      if (at > 50 && at < W - 24) { context.fillText(text(((ra % 360) + 360) % 360, columns), at, Math.min(y, H) - 7); }
    }
    context.restore();
  };

  // The rectangle or lasso, and the galaxy that is pointed at, above the points.
  let pointed = null;
  const overlay = (field) => {
    const svg = field.querySelector("svg.over"), { x, y, zoom } = viewOf(field), wide = BASE[0] / zoom, tall = BASE[1] / zoom;
    svg.setAttribute("viewBox", `${x - wide / 2} ${y - tall / 2} ${wide} ${tall}`);
    const ring = svg.querySelector(".here"), data = loaded.get(field.dataset.kind), at = data && pointed !== null ? data.points.xy.subarray(2 * pointed, 2 * pointed + 2) : [NaN];
    ring.toggleAttribute("hidden", !(at[0] === at[0]));
    ring.setAttribute("r", at[0] === at[0] ? 9 / scaleOf(field) : 0);
    if (at[0] === at[0]) { ring.setAttribute("cx", at[0]); ring.setAttribute("cy", at[1]); }
    const shape = outline(field);
    svg.querySelector(".box").setAttribute("points", (drag?.field === field && drag.line ? drag.line : shape).map((one) => one.map((value) => value.toFixed(3)).join()).join(" "));
  };
  const numbers = (field) => {
    const found = typed(field).value.split(",").map(Number);
    return found.length >= 4 && found.length % 2 === 0 && found.every(Number.isFinite) ? found : [];
  };
  const outline = (field) => {
    const axis = axes(field), found = numbers(field), line = [];
    if (found.length > 4) {
      for (let place = 0; place < found.length; place += 2) { line.push(axis.corner([found[place], found[place + 1]])); }
    } else if (found.length) {
      const [one, other] = axis.corners(found);
      for (const [x, from, to] of [[one[0], one[1], other[1]], [other[0], other[1], one[1]]]) { for (let step = 0; step <= 24; step += 1) { line.push(axis.place(x, from + (to - from) * step / 24)); } }
    }
    return line;
  };

  const waiting = new Set(), rough = new Set();
  let rest = 0;
  const refine = () => { const left = [...rough].filter((one) => one.isConnected); rough.clear(); left.forEach((one) => draw(one)); };
  const soon = (field) => {
    if (!waiting.size) {
      requestAnimationFrame(() => {
        const some = [...waiting].filter((one) => one.isConnected);
        waiting.clear();
        some.filter((one) => draw(one, true) > 1).forEach((one) => rough.add(one));
        clearTimeout(rest);
        rest = setTimeout(refine, 250);
      });
    }
    waiting.add(field);
  };
  const all = () => fields().forEach(soon);

  const load = async (field) => {
    const { kind, points: places, chosen, colours } = field.dataset;
    try {
      const [where, which, how] = await Promise.all([
        get(places, points), get(chosen, (buffer) => new Uint8Array(buffer)), colours ? get(colours, (buffer) => new Uint8Array(buffer)) : null,
      ]);
      if (!field.isConnected) { return; }
      loaded.set(kind, { points: where, chosen: which, colours: how });
      field.dataset.ready = "";
    } catch (error) { field.querySelector(".state").textContent = `The map cannot be drawn: ${error.message}`; return; }
    field.querySelector(".state").textContent = "";
    draw(field);
    document.dispatchEvent(new CustomEvent("map"));
  };

  // --- Zoom and pan
  const bound = (field) => {
    const view = viewOf(field);
    view.zoom = Math.max(1, Math.min(MOST_ZOOM, view.zoom));
    const half = BASE.map((side) => side / 2 / view.zoom);
    view.x = Math.max(half[0], Math.min(BASE[0] - half[0], view.x));
    view.y = Math.max(half[1], Math.min(BASE[1] - half[1], view.y));
  };
  const zoom = (field, factor, px = field.clientWidth / 2, py = field.clientHeight / 2) => {
    const view = viewOf(field), before = toMap(field, px, py);
    view.zoom = Math.max(1, Math.min(MOST_ZOOM, view.zoom * factor));
    const after = toMap(field, px, py);
    view.x += before[0] - after[0];
    view.y += before[1] - after[1];
    bound(field);
    soon(field);
  };
  const pan = (field, right, down) => {
    const view = viewOf(field), scale = scaleOf(field);
    view.x -= right / scale;
    view.y -= down / scale;
    bound(field);
    soon(field);
  };
  // The chosen galaxies fill the map.
  const fit = (field) => {
    const { points: { xy }, chosen } = loaded.get(field.dataset.kind), view = viewOf(field), ends = [Infinity, -Infinity, Infinity, -Infinity];
    for (let row = 0; row < xy.length / 2; row += 1) {
      if (!(chosen[row >> 3] >> (7 - (row & 7)) & 1) || xy[2 * row] !== xy[2 * row]) { continue; }
      ends[0] = Math.min(ends[0], xy[2 * row]); ends[1] = Math.max(ends[1], xy[2 * row]); ends[2] = Math.min(ends[2], xy[2 * row + 1]); ends[3] = Math.max(ends[3], xy[2 * row + 1]);
    }
    if (ends[0] > ends[1]) { return; }
    view.zoom = Math.min(BASE[0] / Math.max(ends[1] - ends[0], 0.2), BASE[1] / Math.max(ends[3] - ends[2], 0.2)) / 1.1;
    view.x = (ends[0] + ends[1]) / 2;
    view.y = (ends[2] + ends[3]) / 2;
    bound(field);
    soon(field);
  };
  const steps = {
    "+": (field) => zoom(field, 1.6), "-": (field) => zoom(field, 1 / 1.6), f: fit,
    0: (field) => { views.delete(field.dataset.kind); soon(field); },
  };
  steps["="] = steps["+"];

  // --- What is under the cursor
  const under = (field, px, py) => {
    const data = loaded.get(field.dataset.kind);
    if (!data) { return null; }
    const [x, y] = toMap(field, px, py), reach = 9 / scaleOf(field), { points: { xy, starts, rows }, chosen, colours } = data;
    let best = null, least = reach;
    for (let v = Math.max(0, (y - reach) / CELL | 0); v <= Math.min(TALL - 1, (y + reach) / CELL | 0); v += 1) {
      for (let u = Math.max(0, (x - reach) / CELL | 0); u <= Math.min(WIDE - 1, (x + reach) / CELL | 0); u += 1) {
        for (let place = starts[v * WIDE + u]; place < starts[v * WIDE + u + 1]; place += 1) {
          const row = rows[place], away = Math.hypot(xy[2 * row] - x, xy[2 * row + 1] - y);
          if (away < least && chosen[row >> 3] >> (7 - (row & 7)) & 1 && !(colours && off.has(colours[row]))) { best = row; least = away; }
        }
      }
    }
    return best;
  };
  const say = (row, pin = false) => { document.dispatchEvent(new CustomEvent("galaxy", { detail: { row, pin } })); };
  document.addEventListener("galaxy", (event) => {
    if (event.detail.row === pointed) { return; }
    pointed = event.detail.row;
    fields().forEach(overlay);
  });

  // --- Rectangle and lasso
  let drag = null, used = null;
  const down = new Map();
  const mode = () => document.querySelector('.modes [aria-pressed="true"]')?.dataset.mode || "rectangle";
  const submit = (field) => { used = field.dataset.kind; document.getElementById("selection").requestSubmit(); };
  const write = (field, found) => { const digits = axes(field).digits(viewOf(field).zoom); typed(field).value = found.map((one) => one.toFixed(digits)).join(); };
  const place = (field, event) => { const box = field.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  const inside = (field, at) => [Math.max(0, Math.min(field.clientWidth, at[0])), Math.max(0, Math.min(field.clientHeight, at[1]))];
  const corner = ([x, y]) => [Math.max(0, Math.min(BASE[0], x)), Math.max(0, Math.min(BASE[1], y))];
  // Ramer, Douglas and Peucker: corners that lie on a line between others are left out.
  const fewer = (line, tolerance) => {
    if (line.length < 3) { return line; }
    const [[x0, y0], [x1, y1]] = [line[0], line.at(-1)], length = Math.hypot(x1 - x0, y1 - y0) || 1e-9;
    let far = 0, most = 0;
    line.forEach(([x, y], at) => {
      const away = Math.hypot(x1 - x0, y1 - y0) < 1e-9 ? Math.hypot(x - x0, y - y0) : Math.abs((x1 - x0) * (y0 - y) - (x0 - x) * (y1 - y0)) / length;
      if (away > most) { most = away; far = at; }
    });
    return most > tolerance ? [...fewer(line.slice(0, far + 1), tolerance).slice(0, -1), ...fewer(line.slice(far), tolerance)] : [line[0], line.at(-1)];
  };
  const finish = ({ field, mode: how, line }) => {
    const axis = axes(field), corners = line.map(corner);
    if (how === "lasso") {
      let tolerance = 1 / scaleOf(field), some = corners;
      while (some.length > CORNERS || tolerance === 1 / scaleOf(field)) { some = fewer(corners, tolerance); tolerance *= 1.5; }
      if (some.length < 3) { return false; }
      write(field, some.flatMap(([x, y]) => axis.point(axis.read(x, y))));
    } else {
      write(field, axis.box(axis.read(...corners[0]), axis.read(...corners[2])));
    }
    return true;
  };
  document.addEventListener("pointerdown", (event) => {
    const field = event.target.closest(".field");
    if (!field || event.button > 1) { return; }
    if (event.pointerType === "mouse") { event.preventDefault(); field.focus({ preventScroll: true }); }
    const at = place(field, event);
    down.set(event.pointerId, at);
    field.setPointerCapture(event.pointerId);
    // A second finger makes a pinch of it.
    drag = { field, from: at, moved: 0, line: null, mode: down.size > 1 ? "pinch" : event.button === 1 || event.shiftKey ? "move" : mode() };
    overlay(field);
  });
  document.addEventListener("pointermove", (event) => {
    const field = drag?.field || event.target.closest?.(".field");
    if (!field) { return; }
    const at = place(field, event), before = down.get(event.pointerId);
    if (!before) { if (event.pointerType === "mouse" && !drag) { say(under(field, ...at)); } return; }
    const others = [...down.entries()].filter(([id]) => id !== event.pointerId).map(([, one]) => one);
    down.set(event.pointerId, at);
    drag.moved = Math.max(drag.moved, Math.hypot(at[0] - drag.from[0], at[1] - drag.from[1]));
    if (drag.mode === "pinch" && others.length) {
      const apart = ([x, y]) => Math.hypot(x - others[0][0], y - others[0][1]) || 1;
      zoom(field, apart(at) / apart(before), (at[0] + others[0][0]) / 2, (at[1] + others[0][1]) / 2);
      pan(field, (at[0] - before[0]) / 2, (at[1] - before[1]) / 2);
    } else if (drag.mode === "move") { pan(field, at[0] - before[0], at[1] - before[1]); } else if (drag.mode === "lasso") {
      drag.line = [...(drag.line || [toMap(field, ...drag.from)]), toMap(field, ...inside(field, at))];
      overlay(field);
    } else if (drag.mode === "rectangle") {
      const [one, other] = [toMap(field, ...drag.from), toMap(field, ...inside(field, at))], ends = (axis) => [Math.min(one[axis], other[axis]), Math.max(one[axis], other[axis])];
      const [[left, right], [top, bottom]] = [ends(0), ends(1)];
      drag.line = [[left, top], [left, bottom], [right, bottom], [right, top]];
      overlay(field);
    }
  });
  const end = (event, cancelled) => {
    down.delete(event.pointerId);
    if (!drag) { return; }
    const done = drag;
    if (down.size) { return; }
    drag = null;
    if (!cancelled && done.moved <= 6) {
      const row = under(done.field, ...done.from);
      if (row !== null) { say(row, true); }
    } else if (!cancelled && done.line && finish(done)) { submit(done.field); }
    overlay(done.field);
  };
  document.addEventListener("pointerup", (event) => end(event, false));
  document.addEventListener("pointercancel", (event) => end(event, true));
  document.addEventListener("wheel", (event) => {
    const field = event.target.closest?.(".field");
    if (!field || (viewOf(field).zoom === 1 && event.deltaY > 0)) { return; }
    event.preventDefault();
    zoom(field, Math.exp(-Math.max(-100, Math.min(100, event.deltaY)) / 250), ...place(field, event));
  }, { passive: false });
  document.addEventListener("dblclick", (event) => { const field = event.target.closest(".field"); if (field) { zoom(field, 2.5, ...place(field, event)); } });

  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  document.addEventListener("keydown", (event) => {
    const field = event.target;
    if (!field.matches?.(".field") || event.ctrlKey || event.metaKey || event.altKey) { return; }
    const key = event.key;
    if (key in steps) { event.preventDefault(); steps[key](field); return; }
    if (key === "Enter") { event.preventDefault(); submit(field); }
    if (key === "Delete" || key === "Backspace") { event.preventDefault(); typed(field).value = ""; overlay(field); submit(field); }
    if (!(key in arrows)) { return; }
    event.preventDefault();
    const [right, down] = arrows[key];
    if (mode() === "move") { pan(field, -60 * right, -60 * down); return; }
    // The rectangle around what is chosen now, or one in the middle of what is seen.
    // By its corners, not by its outline: in the sky that is wider towards the equator, and would grow with every step.
    const axis = axes(field), found = numbers(field), fresh = [[0.4, 0.4], [0.6, 0.6]].map(([x, y]) => toMap(field, x * field.clientWidth, y * field.clientHeight));
    const line = found.length === 4 ? axis.corners(found).map((one) => axis.place(...one)) : outline(field);
    const xs = (line.length ? line : fresh).map((one) => one[0]), ys = (line.length ? line : fresh).map((one) => one[1]);
    const box = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)], step = 18 / viewOf(field).zoom;
    if (event.shiftKey) {
      box[2] = Math.max(box[0] + step / 3, box[2] + right * step);
      box[3] = Math.max(box[1] + step / 3, box[3] + down * step);
    } else if (line.length) { box[0] += right * step; box[2] += right * step; box[1] += down * step; box[3] += down * step; }
    write(field, axis.box(axis.read(box[0], box[1]), axis.read(box[2], box[3])));
    overlay(field);
  });

  // --- Buttons: what dragging does, zoom, entries of the legend.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.dataset.mode) {
      document.querySelectorAll(".modes button").forEach((one) => one.setAttribute("aria-pressed", String(one.dataset.mode === button.dataset.mode)));
      document.documentElement.dataset.mode = button.dataset.mode;
    } else if (button?.dataset.zoom) { steps[button.dataset.zoom](button.closest(".chart").querySelector(".field")); } else if (button?.dataset.code) {
      const code = Number(button.dataset.code), hide = !off.has(code);
      if (hide) { off.add(code); } else { off.delete(code); }
      button.setAttribute("aria-pressed", String(!hide));
      all();
    }
  });

  const begin = () => {
    const how = document.documentElement.dataset.mode || "rectangle", colour = document.querySelector(".legend")?.dataset.colour;
    document.querySelectorAll(".modes button").forEach((one) => one.setAttribute("aria-pressed", String(one.dataset.mode === how)));
    if (begin.colour !== colour) { off.clear(); }
    begin.colour = colour;
    off.forEach((code) => document.querySelector(`.legend [data-code="${code}"]`)?.setAttribute("aria-pressed", "false"));
    fields().forEach((field) => { field.dataset.begun = ""; draw(field); load(field); watcher.observe(field); });
  };
  const watcher = new ResizeObserver(all);
  // After the page was renewed the keyboard is where it was.
  document.addEventListener("htmx:afterSettle", () => {
    if (fields().every((field) => "begun" in field.dataset)) { return; }
    begin();
    if (used) { document.querySelector(`.field[data-kind="${used}"]`)?.focus({ preventScroll: true }); used = null; }
  });
  // The galaxies that a rectangle or lasso holds, as text; none without one.
  const around = () => {
    const field = fields().find((one) => "ready" in one.dataset), rows = [];
    if (!field || !fields().some((one) => typed(one).value)) { return rows; }
    const { chosen } = loaded.get(field.dataset.kind);
    for (let row = 0; row < 8 * chosen.length; row += 1) { if (chosen[row >> 3] >> (7 - (row & 7)) & 1) { rows.push(String(row)); } }
    return rows;
  };
  window.maps = { draw, under, zoom, pan, around };
  begin();
})();
