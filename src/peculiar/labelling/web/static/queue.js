// Answers while there is no connection: kept in this browser, sent in order once the server is back, stored once each.
"use strict";
(() => {
  const { root, notice, tell, arrive } = window.labelling;
  const PLACE = `answers of ${root}/`, WAIT = 2000, FEW = 6;
  const read = () => { try { return JSON.parse(localStorage.getItem(PLACE) || "[]"); } catch { return []; } };
  const write = (queue) => {
    try { localStorage.setItem(PLACE, JSON.stringify(queue)); return true; } catch { return false; }
  };
  const content = () => document.getElementById("content");
  const field = (item, name) => item.fields.find(([key]) => key === name)?.[1];

  // Questions for later, and those that were answered without a connection, to go back to them.
  let kept = [], shown = [], waiting = 0, sending = false, fetching = false;
  // Rows that this page has shown: none of them is shown again because it was read ahead.
  const seen = new Set();
  const look = () => {
    const row = content()?.querySelector("form.answers [name=row]")?.value;
    if (row) { seen.add(row); }
    kept = kept.filter((one) => one.dataset.row !== row);
  };
  const fetchKept = () => {
    if (fetching || kept.length >= FEW || !content()?.querySelector("form.answers")) { return; }
    fetching = true;
    fetch(`${root}/ahead`, { cache: "no-store" }).then((answer) => (answer.ok ? answer.text() : "")).then((text) => {
      const known = new Set([...seen, ...read().map((item) => field(item, "row"))]);
      const holder = document.createElement("template");
      holder.innerHTML = text;
      kept = [...holder.content.children].filter((one) => !known.has(one.dataset.row));
      kept.forEach((one) => { const image = one.content.querySelector("#galaxy"); if (image) { new Image().src = image.getAttribute("src"); } });
    }).catch(() => {}).finally(() => { fetching = false; });
  };

  const put = (main) => {
    content().replaceWith(main);
    window.htmx.process(main);
    const back = main.querySelector("[data-back]");
    if (back) { back.disabled = !shown.length; }
    arrive();
    look();
    say();
  };
  const say = () => {
    const count = read().length;
    if (count) { notice(`No connection. ${count === 1 ? "1 answer is" : `${count} answers are`} kept in this browser, also if it is closed, and sent once the server is back.`); }
  };
  const next = () => {
    const one = kept.shift();
    if (one) { put(document.importNode(one.content, true).firstElementChild); return; }
    const main = document.createElement("main");
    main.id = "content";
    main.tabIndex = -1;
    main.className = "words";
    main.dataset.waiting = "";
    const title = document.createElement("h1");
    title.textContent = "Waiting for the server";
    main.append(title);
    put(main);
  };

  const keep = (parameters) => {
    const fields = parameters instanceof FormData ? [...parameters] : Object.entries(parameters);
    if (!write([...read(), { fields }])) {
      notice("The server does not respond, and this browser keeps nothing. The answer is sent again until it is stored.");
      return false;
    }
    shown.push(content().cloneNode(true));
    next();
    later();
    return true;
  };
  const later = () => { clearTimeout(waiting); waiting = setTimeout(send, WAIT); };

  const post = (path, fields, csrf) => fetch(root + path, {
    method: "POST", cache: "no-store", headers: { "HX-Request": "true" },
    body: new URLSearchParams(fields.map(([name, value]) => [name, name === "csrf" ? csrf : value])),
  });
  // The server is away: it, or a proxy before it, does not answer. What it says itself is about the answer.
  const away = (status) => status >= 500;
  const send = async () => {
    if (sending) { return; }
    sending = true;
    let sent = 0;
    const refused = [];
    try {
      const got = await fetch(`${root}/csrf`, { cache: "no-store" });
      if (!got.ok) { throw got; }
      const csrf = await got.text();
      document.querySelectorAll('input[name="csrf"]').forEach((one) => { one.value = csrf; });
      for (let item = read()[0]; item; item = read()[0]) {
        const answer = await post("/answer", item.fields, csrf);
        if (away(answer.status) || answer.status === 401 || answer.status === 403) { throw answer; }
        if (!answer.ok) { refused.push(await answer.text()); }
        const event = field(item, "event");
        write(read().filter((one) => field(one, "event") !== event));
        shown.shift();
        sent += 1;
      }
    } catch (failure) {
      sending = false;
      later();
      if (failure?.status === 401) {
        notice("The server was started again. Open the address that it printed in this browser; the answers kept here are then sent.");
      } else { say(); }
      return;
    }
    sending = false;
    shown = [];
    if (sent) {
      notice(refused.length ? `Not stored: ${refused.join(" ")}` : "");
      tell(`${sent - refused.length} kept ${sent - refused.length === 1 ? "answer was" : "answers were"} stored.`);
    } else { notice(""); }
    if (content().dataset.waiting !== undefined) {
      window.htmx.ajax("GET", `${root}/`, { target: "#content", swap: "outerHTML" });
    } else { renewUndo(); fetchKept(); }
  };
  // What an undo takes back is now another answer.
  const renewUndo = () => {
    const back = content().querySelector("[data-back]"), row = content().querySelector("form.answers [name=row]")?.value;
    if (!back || !row) { return; }
    fetch(`${root}/?row=${row}`, { cache: "no-store", headers: { "HX-Request": "true" } }).then((answer) => (answer.ok ? answer.text() : "")).then((text) => {
      const page = new DOMParser().parseFromString(text, "text/html"), form = page.querySelector('form[hx-post$="/undo"]');
      if (!form || !back.isConnected) { return; }
      back.replaceWith(form);
      window.htmx.process(form);
    }).catch(() => {});
  };

  // Forms other than an answer stay on the page, and are sent again as they are.
  let button = null;
  const again = () => {
    fetch(`${root}/csrf`, { cache: "no-store" }).then((got) => (got.ok ? got.text() : Promise.reject(got))).then((csrf) => {
      document.querySelectorAll('input[name="csrf"]').forEach((one) => { one.value = csrf; });
      if (button?.isConnected) { button.click(); }
    }).catch(() => { setTimeout(again, WAIT); });
  };

  const isAnswer = (detail) => (detail.requestConfig || detail).path === `${root}/answer`;
  document.addEventListener("click", (event) => {
    const one = event.target.closest("button");
    if (one?.type === "submit" && one.closest("[hx-post]") && !one.closest(".htmx-request")) { button = one; }
    if (!one || !("back" in one.dataset) || one.disabled) { return; }
    const queue = read(), before = shown.at(-1);
    if (sending || !queue.length || !before) { tell("Not taken: the answers are being sent."); return; }
    write(queue.slice(0, -1));
    shown.pop();
    const now = document.createElement("template");
    now.content.append(content().cloneNode(true));
    now.dataset.row = content().querySelector("form.answers [name=row]")?.value ?? "";
    if (now.dataset.row) { kept.unshift(now); }
    put(before);
    if (!read().length) { notice(""); }
  });
  // Answers keep their order: while some are kept, further ones wait behind them.
  document.addEventListener("htmx:configRequest", (event) => {
    if (isAnswer(event.detail) && read().length && keep(event.detail.parameters)) { event.preventDefault(); send(); }
  });
  const lost = (event) => {
    const { detail } = event;
    if (isAnswer(detail) && keep(detail.requestConfig.parameters)) { return; }
    notice("The server does not respond. Nothing is stored yet; it is sent again until it is.");
    setTimeout(again, WAIT);
  };
  document.addEventListener("htmx:sendError", lost);
  document.addEventListener("htmx:timeout", lost);
  document.addEventListener("htmx:responseError", (event) => {
    const { status, responseText } = event.detail.xhr;
    if (status === 403) { again(); return; }
    if (status === 503) { notice(responseText); setTimeout(again, 3000); return; }
    if (away(status)) { lost(event); return; }
    notice(responseText);
  });
  document.addEventListener("htmx:afterSwap", (event) => { if (event.detail.target.id === "content") { look(); setTimeout(fetchKept, 300); } });
  window.addEventListener("online", send);
  look();
  if (read().length) { send(); }
  setTimeout(fetchKept, 300);
})();
