// Keys, the view of the picture, reading ahead, and sending again what did not arrive. All of it works without, by clicks.
"use strict";
(() => {
  const fresh = { zoom: 1, bright: 1, contrast: 1, invert: 0 };
  const picture = () => document.getElementById("galaxy")?.getAttribute("src");
  let view = { ...fresh }, shown = performance.now(), sent = null, seen = picture();

  const draw = () => {
    const galaxy = document.getElementById("galaxy");
    if (galaxy) {
      galaxy.style.transform = `scale(${view.zoom})`;
      galaxy.style.filter = `brightness(${view.bright}) contrast(${view.contrast}) invert(${view.invert})`;
    }
  };
  const steps = {
    "+": () => { view.zoom = Math.min(view.zoom * 1.3, 8); },
    "-": () => { view.zoom = Math.max(view.zoom / 1.3, 1); },
    b: () => { view.bright = Math.min(view.bright * 1.25, 8); },
    d: () => { view.bright = Math.max(view.bright / 1.25, 0.25); },
    c: () => { view.contrast = Math.min(view.contrast * 1.2, 5); },
    f: () => { view.contrast = Math.max(view.contrast / 1.2, 0.3); },
    i: () => { view.invert = 1 - view.invert; },
    r: () => { view = { ...fresh }; },
  };
  steps["="] = steps["+"];
  const change = (step) => { steps[step](); draw(); };

  const notice = (text) => {
    const place = document.getElementById("notice");
    place.textContent = text;
    place.hidden = !text;
  };
  const begin = () => {
    shown = performance.now();
    const content = document.getElementById("content");
    (content?.dataset.ahead || "").split(" ").filter(Boolean).forEach((address) => { new Image().src = address; });
    draw();
  };

  // Sent again with the name that it had, so that it counts once whether or not it had arrived.
  const again = () => {
    fetch("/csrf", { cache: "no-store" }).then((answer) => (answer.ok ? answer.text() : Promise.reject(answer))).then((csrf) => {
      document.querySelectorAll('input[name="csrf"]').forEach((one) => { one.value = csrf; });
      if (sent && sent.isConnected) { sent.click(); }
    }).catch(() => { setTimeout(again, 1500); });
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.dataset.view) { change(button.dataset.view); }
    if (button && "help" in button.dataset) { document.getElementById("help").showModal(); }
    if (button?.type === "submit" && button.closest("[hx-post]")) { sent = button; }
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input:not([type=checkbox]), select, textarea") || document.querySelector("dialog[open]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat || document.getElementById("keys")?.checked === false) { return; }
    const key = event.key.toLowerCase();
    const button = document.querySelector(`#content button[data-key="${CSS.escape(key)}"]:not(:disabled)`);
    if (button) { event.preventDefault(); button.click(); } else if (key in steps && document.getElementById("galaxy")) { event.preventDefault(); change(key); }
  });
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.path === "/answer") { event.detail.parameters.set?.("seconds", ((performance.now() - shown) / 1000).toFixed(2)); }
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id !== "content") { return; }
    notice("");
    if (picture() !== seen) { view = { ...fresh }; } // the next question about the same galaxy keeps it
    seen = picture();
    begin();
    document.getElementById("content").focus({ preventScroll: true });
  });
  document.addEventListener("htmx:sendError", () => {
    notice("The server does not respond. Your answer is not stored yet; it is sent again until it is.");
    setTimeout(again, 1500);
  });
  document.addEventListener("htmx:responseError", (event) => {
    const { status, responseText } = event.detail.xhr;
    if (status === 403) { again(); return; }
    notice(responseText);
    if (status === 503) { setTimeout(again, 3000); }
  });
  begin();
})();
