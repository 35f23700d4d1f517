// Keys, and reading ahead. All of it works without, by clicks.
"use strict";
(() => {
  const root = document.documentElement.dataset.root;
  let shown = performance.now();

  const notice = (text) => {
    const place = document.getElementById("notice");
    place.textContent = text;
    place.hidden = !text;
  };
  const begin = () => {
    shown = performance.now();
    const content = document.getElementById("content");
    (content?.dataset.ahead || "").split(" ").filter(Boolean).forEach((address) => { new Image().src = window.view.dressed(address); });
  };

  // Short news that nobody has to act upon.
  const tell = (text) => { document.getElementById("told").textContent = text; };
  const busy = () => document.querySelector("#content form[hx-post].htmx-request");

  // A switch that stays as it is when the page is loaded again.
  const KEYS = `keys of ${root}/`;
  const remember = (place, value) => { try { localStorage.setItem(place, value); } catch { /* a browser that keeps nothing */ } };
  const recall = (place) => { try { return localStorage.getItem(place); } catch { return null; } };
  const keys = document.getElementById("keys");
  if (keys) {
    keys.checked = recall(KEYS) !== "off";
    keys.addEventListener("change", () => remember(KEYS, keys.checked ? "on" : "off"));
  }

  // Bands and stretch, chosen by mouse: the keys are again those of the answers.
  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-pick]")) { return; }
    window.view.pick(event.target.dataset.pick, event.target.value);
    if (!event.target.matches(":focus-visible")) { document.getElementById("content").focus({ preventScroll: true }); }
  });

  // The digits of the upper row, also where they need Shift, as on French keyboards.
  const named = (event) => {
    const digit = /^Digit(\d)$/.exec(event.code || "");
    return digit && !event.shiftKey ? digit[1] : event.key.toLowerCase();
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-opens]"), opened = link && document.getElementById(link.dataset.opens);
    if (opened) { event.preventDefault(); opened.showModal(); }
    const button = event.target.closest("button");
    if (button?.dataset.view) { window.view.press(button.dataset.view); }
    if (button && "help" in button.dataset) { document.getElementById("help").showModal(); }
    if (button?.type === "submit" && button.closest("[hx-post]")) {
      tell(busy() ? "Not taken: the last answer is still being stored, and the next galaxy is not shown yet." : "");
    }
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input:not([type=checkbox]), select, textarea") || document.querySelector("dialog[open]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat || keys?.checked === false) { return; }
    const key = named(event);
    const button = document.querySelector(`#content button[data-key="${CSS.escape(key)}"]:not(:disabled)`);
    if (button) { event.preventDefault(); button.click(); } else if (window.view.press(key)) { event.preventDefault(); } else {
      document.querySelector(`#content a[data-key="${CSS.escape(key)}"]`)?.click();
    }
  });
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.path === `${root}/answer`) { event.detail.parameters.set?.("seconds", ((performance.now() - shown) / 1000).toFixed(2)); }
  });
  // After a question has taken the place of another.
  const arrive = () => {
    notice("");
    window.view.renew();
    begin();
    document.getElementById("content").focus({ preventScroll: true });
  };
  document.addEventListener("htmx:afterSwap", (event) => { if (event.detail.target.id === "content") { arrive(); } });
  window.labelling = { root, notice, tell, arrive };
  begin();
})();
