// What every page has: forms that are sent once, keys, toasts, and lists that follow the books.
(() => {
  "use strict";
  const all = (css, from = document) => [...from.querySelectorAll(css)];

  // A form that changes something is sent once, however often its button is pressed; one that
  // searches says that it is on its way.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || event.defaultPrevented) return;
    if (form.getAttribute("role") === "search") {
      setTimeout(() => document.body.classList.add("going"), 150);
      return;
    }
    if (!form.hasAttribute("data-once")) return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "1";
    // After the form was read: a disabled button's own value would not be sent.
    setTimeout(() => busy(form, true), 0);
  });
  const busy = (form, on) => {
    for (const button of all("button", form)) {
      button.disabled = on;
      if (on) button.setAttribute("aria-busy", "true");
      else button.removeAttribute("aria-busy");
    }
  };
  // Back to a page that the browser kept: its forms can be sent again.
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    document.body.classList.remove("going");
    for (const form of all("form[data-sent]")) {
      delete form.dataset.sent;
      busy(form, false);
    }
  });

  // What was just done is said for some seconds, longer while somebody reads it. What went wrong stays.
  for (const toast of all(".toast")) {
    let timer;
    const start = () => {
      if (toast.dataset.tone !== "bad") timer = setTimeout(() => toast.classList.add("gone"), 6000);
    };
    toast.addEventListener("pointerenter", () => clearTimeout(timer));
    toast.addEventListener("pointerleave", start);
    toast.addEventListener("click", () => toast.classList.add("gone"));
    start();
  }

  // The phone's menu shuts when one looks elsewhere.
  const menu = document.querySelector("details.more");
  document.addEventListener("click", (event) => {
    if (menu && menu.open && !menu.contains(event.target)) menu.open = false;
  });

  // Keys. Never while somebody types, never with a modifier, and not for whoever switched them off.
  const help = document.getElementById("keys");
  const wanted = document.getElementById("keys-on");
  const kept = (value) => {
    try {
      if (value !== undefined) localStorage.setItem("keys", value);
      return localStorage.getItem("keys");
    } catch {
      return null; // a browser that keeps nothing
    }
  };
  let on = kept() !== "off";
  if (wanted) {
    wanted.checked = on;
    wanted.addEventListener("change", () => {
      on = wanted.checked;
      kept(on ? "on" : "off");
    });
  }
  for (const opener of all("[data-keys]")) {
    opener.hidden = false;
    opener.addEventListener("click", () => help && help.showModal());
  }
  const rows = () =>
    all("main table.rows tbody tr a.main, main .cards > li a.main").filter((link) => link.offsetParent);
  const step = (by) => {
    const links = rows();
    if (links.length === 0) return false;
    const at = links.indexOf(document.activeElement);
    const to = at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + by, 0), links.length - 1);
    links[to].focus();
    links[to].scrollIntoView({ block: "nearest" });
    return true;
  };
  let going = -Infinity; // when `g` was pressed
  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (key === "Escape" && menu && menu.open) {
      menu.open = false;
      menu.querySelector("summary").focus();
      return;
    }
    if (!on || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat && key === "g") return;
    if (target.closest("input, textarea, select, [contenteditable], dialog")) return;
    let done = true;
    const after = event.timeStamp - going < 1500;
    going = -Infinity;
    const place = after && /^[a-z]$/.test(key) && document.querySelector(`[data-go="${key}"]`);
    if (place) place.click();
    else if (key === "g") going = event.timeStamp;
    else if (key === "/") {
      const search = document.querySelector("input[type=search]");
      if (search) {
        search.focus();
        search.select();
      } else done = false;
    } else if (key === "?" && help) help.showModal();
    else if (key === "j" || key === "k") done = step(key === "j" ? 1 : -1);
    // The arrows scroll, until somebody stands in a list.
    else if ((key === "ArrowDown" || key === "ArrowUp") && target.matches("a.main")) done = step(key === "ArrowDown" ? 1 : -1);
    else done = false;
    if (done) event.preventDefault();
  });

  // Whether the connection stands.
  const state = document.getElementById("live-state");
  const say = (on) => {
    if (!state) return;
    state.hidden = false;
    state.textContent = on ? state.dataset.on : state.dataset.off;
    state.classList.toggle("off", !on);
  };

  // The session is over: the form to sign in is a page of its own, and no part of this one.
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    if (new URL(event.detail.xhr.responseURL).pathname !== "/sign-in") return;
    event.detail.shouldSwap = false;
    location.reload();
  });

  // Parts that are fetched anew, one every three seconds in turn, while somebody looks at them and marks no text: all at
  // once would hold up a slow phone.
  if (document.querySelector("[data-poll]")) {
    let turn = 0;
    setInterval(() => {
      if (document.hidden) return;
      const marked = getSelection();
      const parts = document.querySelectorAll("[data-poll]");
      const part = parts[turn++ % parts.length];
      if (!part) return;
      const reading = marked && !marked.isCollapsed && part.contains(marked.anchorNode);
      if (!reading) htmx.trigger(part, "poll");
    }, 3000);
    document.body.addEventListener("htmx:afterRequest", (event) => say(event.detail.successful));
  }

  const feed = document.getElementById("feed");
  if (!feed) return;

  let opened = false;
  document.body.addEventListener("htmx:sseOpen", () => {
    say(true);
    // What changed before the connection stood was not heard: look once.
    const missed = opened ? "[data-payment], #live" : "[data-payment][data-open]";
    for (const row of document.querySelectorAll(missed)) htmx.trigger(row, "changed");
    opened = true;
  });
  document.body.addEventListener("htmx:sseError", () => say(false));

  // A row of the list is fetched anew when its payment changes; what is not in the list is counted.
  const news = document.getElementById("news");
  const fresh = new Set();
  let heard = false;
  let soon = null;
  feed.addEventListener("htmx:sseBeforeMessage", (event) => {
    const { type, data } = event.detail;
    if (event.target !== feed) return;
    event.preventDefault(); // nothing is swapped in: what changed fetches itself
    // One payment's page. What it is told first is how things stand: usually what it shows.
    const live = document.getElementById("live");
    if (live) {
      const known = !heard && type === "payment" && JSON.parse(data).status === live.dataset.now;
      heard = true;
      if (!known) htmx.trigger(live, "changed");
      return;
    }
    // Many changes at once are counted once.
    soon ??= setTimeout(() => {
      soon = null;
      const attention = document.getElementById("attention");
      if (attention) htmx.trigger(attention, "changed");
    }, 400);
    if (type === "resync") {
      for (const row of feed.querySelectorAll("[data-payment]")) htmx.trigger(row, "changed");
      return;
    }
    const id = JSON.parse(data).imp_uid;
    const row = feed.querySelector(`[data-payment="${CSS.escape(id)}"]`);
    if (row) {
      htmx.trigger(row, "changed");
    } else if (news) {
      fresh.add(id);
      news.hidden = false;
      news.querySelector("a").textContent = news.dataset.text.replace("{n}", fresh.size);
    }
  });
  // A row that is fetched anew keeps the focus of whoever stands in it.
  let stood = null;
  feed.addEventListener("htmx:beforeSwap", (event) => {
    const row = event.detail.elt.closest("[data-payment]");
    stood = row && row.contains(document.activeElement) ? row.dataset.payment : null;
  });
  feed.addEventListener("htmx:afterSwap", (event) => {
    const row = feed.querySelector(`[data-payment="${CSS.escape(event.detail.elt.dataset.payment || "")}"]`);
    if (row) row.classList.add("changed");
    if (row && stood === row.dataset.payment) row.querySelector("a.main").focus({ preventScroll: true });
  });
})();
