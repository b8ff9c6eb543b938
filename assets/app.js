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

  const feed = document.getElementById("feed");
  if (!feed) return;

  // Whether the connection stands.
  const state = document.getElementById("live-state");
  const say = (on) => {
    if (!state) return;
    state.hidden = false;
    state.textContent = on ? state.dataset.on : state.dataset.off;
    state.classList.toggle("off", !on);
  };
  let opened = false;
  document.body.addEventListener("htmx:sseOpen", () => {
    say(true);
    // What changed before the connection stood was not heard: look once.
    const missed = opened ? "[data-payment], #live" : "[data-payment][data-open]";
    for (const row of document.querySelectorAll(missed)) htmx.trigger(row, "changed");
    opened = true;
  });
  document.body.addEventListener("htmx:sseError", () => say(false));

  // The list: a row is fetched anew when its payment changes; what is not in the list is counted.
  const news = document.getElementById("news");
  const fresh = new Set();
  feed.addEventListener("htmx:sseBeforeMessage", (event) => {
    const { type, data } = event.detail;
    if (event.target !== feed) return;
    event.preventDefault(); // nothing is swapped in: rows fetch themselves
    const attention = document.getElementById("attention");
    if (attention) htmx.trigger(attention, "changed");
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
