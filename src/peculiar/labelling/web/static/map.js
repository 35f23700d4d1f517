// Rectangles on the two maps, by dragging and by arrow keys. Without it their four numbers are typed.
"use strict";
(() => {
  const radians = Math.PI / 180;
  const turned = (degrees) => ((degrees + 180) % 360 + 360) % 360 - 180;
  const places = (value) => Math.max(0, Math.min(8, Math.ceil(Math.log10(value)) + 1));

  // From pixels of the picture to what the axes count, and back; as `charts.py` has it.
  const sky = (frame, WIDTH, HEIGHT) => {
    const [middle, x0, y0, scale] = frame, digits = places(scale);
    const across = (dec) => Math.max(Math.cos(dec * radians), 1e-6);
    return {
      read: (x, y) => {
        const dec = Math.max(-90, Math.min(90, y0 + (HEIGHT / 2 - y) / scale));
        const away = Math.max(-180, Math.min(180, (x0 + (x - WIDTH / 2) / scale) / across(dec)));
        return [middle - away, dec];
      },
      place: (ra, dec) => [WIDTH / 2 + ((middle - ra) * across(dec) - x0) * scale, HEIGHT / 2 - (dec - y0) * scale],
      // Right ascension grows to the left; from one end of the sky to the other is all of it.
      text: (one, other) => {
        const ra = one[0] - other[0] > 359.99 ? [0, 360] : [other[0], one[0]].map((value) => ((value % 360) + 360) % 360);
        return [...ra, Math.min(one[1], other[1]), Math.max(one[1], other[1])].map((value) => value.toFixed(digits)).join();
      },
      corners: ([left, right, low, high]) => {
        const whole = Math.abs(right - left) >= 360, width = whole ? 360 : ((right - left) % 360 + 360) % 360;
        const away = whole ? 0 : turned(middle - left - width / 2);
        return [[middle - away + width / 2, high], [middle - away - width / 2, low]];
      },
    };
  };
  const plane = ([margin], WIDTH, HEIGHT) => {
    const wide = WIDTH - 2 * margin, tall = HEIGHT - 2 * margin;
    return {
      read: (x, y) => [(x - margin) / wide, (HEIGHT - margin - y) / tall],
      place: (x, y) => [margin + x * wide, HEIGHT - margin - y * tall],
      text: (one, other) => [Math.min(one[0], other[0]), Math.max(one[0], other[0]), Math.min(one[1], other[1]), Math.max(one[1], other[1])].map((value) => value.toFixed(4)).join(),
      corners: ([left, right, low, high]) => [[left, high], [right, low]],
    };
  };
  const size = (field) => {
    const { width, height } = field.querySelector("svg").viewBox.baseVal;
    return [width, height];
  };
  const axes = (field) => (field.dataset.kind === "sky" ? sky : plane)(field.dataset.frame.split(" ").map(Number), ...size(field));
  const typed = (field) => document.querySelector(`input[form="selection"][name="${field.dataset.kind}"]`);

  // A rectangle as it is drawn: top left and bottom right corner, in pixels.
  const now = (field) => {
    const numbers = typed(field).value.split(",").map(Number);
    if (numbers.length !== 4 || numbers.some((one) => !Number.isFinite(one))) { return null; }
    const axis = axes(field);
    return axis.corners(numbers).flatMap(([x, y]) => axis.place(x, y));
  };
  const draw = (field, box) => {
    const axis = axes(field), points = [];
    if (box) {
      const [one, other] = [axis.read(box[0], box[1]), axis.read(box[2], box[3])];
      for (const [x, from, to] of [[one[0], one[1], other[1]], [other[0], other[1], one[1]]]) {
        for (let step = 0; step <= 24; step += 1) { points.push(axis.place(x, from + (to - from) * step / 24)); }
      }
      typed(field).value = axis.text(one, other);
    } else {
      typed(field).value = "";
    }
    field.querySelector(".box").setAttribute("points", points.map((point) => point.map((value) => value.toFixed(1)).join()).join(" "));
  };
  let used = null;
  const submit = (field) => { used = field.dataset.kind; document.getElementById("selection").requestSubmit(); };

  let drag = null;
  const at = (field, event) => {
    const frame = field.querySelector("svg").getBoundingClientRect(), [width, height] = size(field);
    return [Math.max(0, Math.min(1, (event.clientX - frame.left) / frame.width)) * width, Math.max(0, Math.min(1, (event.clientY - frame.top) / frame.height)) * height];
  };
  const dragged = () => {
    const [x, y] = drag.from, [u, v] = drag.to;
    return [Math.min(x, u), Math.min(y, v), Math.max(x, u), Math.max(y, v)];
  };
  document.addEventListener("pointerdown", (event) => {
    const field = event.target.closest(".field");
    if (!field || event.button) { return; }
    if (event.pointerType === "mouse") { event.preventDefault(); field.focus({ preventScroll: true }); }
    drag = { field, from: at(field, event), to: at(field, event), text: typed(field).value, points: field.querySelector(".box").getAttribute("points") };
    field.setPointerCapture(event.pointerId);
  });
  document.addEventListener("pointermove", (event) => {
    if (!drag) { return; }
    drag.to = at(drag.field, event);
    draw(drag.field, dragged());
  });
  // A click, or a finger that scrolls, leaves what was there.
  const leave = ({ field, text, points }) => { typed(field).value = text; field.querySelector(".box").setAttribute("points", points); };
  document.addEventListener("pointerup", () => {
    if (!drag) { return; }
    const { field, from, to } = drag;
    if (Math.hypot(from[0] - to[0], from[1] - to[1]) > 6) { draw(field, dragged()); submit(field); } else { leave(drag); }
    drag = null;
  });
  document.addEventListener("pointercancel", () => {
    if (drag) { leave(drag); drag = null; }
  });

  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  document.addEventListener("keydown", (event) => {
    const field = event.target;
    if (!field.matches?.(".field") || event.ctrlKey || event.metaKey || event.altKey) { return; }
    if (event.key === "Enter") { event.preventDefault(); submit(field); }
    if (event.key === "Delete" || event.key === "Backspace") { event.preventDefault(); draw(field, null); submit(field); }
    if (!(event.key in arrows)) { return; }
    event.preventDefault();
    const [width, height] = size(field);
    const box = now(field) || [width * 0.4, height * 0.4, width * 0.6, height * 0.6];
    const [right, down] = arrows[event.key].map((one) => one * 18);
    if (event.shiftKey) {
      box[2] = Math.max(box[0] + 6, box[2] + right);
      box[3] = Math.max(box[1] + 6, box[3] + down);
    } else if (now(field)) {
      box[0] += right; box[2] += right; box[1] += down; box[3] += down;
    }
    draw(field, box);
  });
  // After the page was renewed the keyboard is where it was.
  document.addEventListener("htmx:afterSettle", () => {
    if (used) { document.querySelector(`.field[data-kind="${used}"]`)?.focus({ preventScroll: true }); used = null; }
  });
})();
