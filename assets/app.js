// What every page has: forms that are sent once, and lists that follow the books.
(() => {
  "use strict";

  // A form that changes something is sent once, however often its button is pressed.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || !form.hasAttribute("data-once")) return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "1";
    // After the form was read: a disabled button's own value would not be sent.
    setTimeout(() => busy(form, true), 0);
  });
  const busy = (form, on) => {
    for (const button of form.querySelectorAll("button")) {
      button.disabled = on;
      if (on) button.setAttribute("aria-busy", "true");
      else button.removeAttribute("aria-busy");
    }
  };
  // Back to a page that the browser kept: its forms can be sent again.
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
      busy(form, false);
    }
  });

  // `/` leads to the search, as everywhere.
  document.addEventListener("keydown", (event) => {
    const search = document.querySelector("input[type=search]");
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || typing || !search) return;
    event.preventDefault();
    search.focus();
    search.select();
  });

  // Whether the connection stands.
  const state = document.getElementById("live-state");
  const say = (on) => {
    if (!state) return;
    state.hidden = false;
    state.textContent = on ? state.dataset.on : state.dataset.off;
    state.classList.toggle("off", !on);
  };

  // Parts that are fetched anew every two seconds, while somebody looks at them and marks no text.
  if (document.querySelector("[data-poll]")) {
    setInterval(() => {
      if (document.hidden) return;
      const marked = getSelection();
      for (const part of document.querySelectorAll("[data-poll]")) {
        const reading = marked && !marked.isCollapsed && part.contains(marked.anchorNode);
        if (!reading) htmx.trigger(part, "poll");
      }
    }, 2000);
    document.body.addEventListener("htmx:afterRequest", (event) => say(event.detail.successful));
    document.body.addEventListener("htmx:beforeSwap", (event) => {
      // The session is over: the form to sign in is a page of its own and no part of this one.
      if (new URL(event.detail.xhr.responseURL).pathname !== "/sign-in") return;
      event.detail.shouldSwap = false;
      location.reload();
    });
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
  feed.addEventListener("htmx:afterSwap", (event) => {
    const row = feed.querySelector(`[data-payment="${CSS.escape(event.detail.elt.dataset.payment || "")}"]`);
    if (row) row.classList.add("changed");
  });
})();
