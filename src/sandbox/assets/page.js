// Keeps the control page fresh while nobody is using it. Without it the page works the same.
(() => {
  "use strict";

  const pause = 3000;
  const busy = () => {
    const at = document.activeElement;
    return document.hidden ||
      document.querySelector("details.menu[open]") !== null ||
      (at !== null && /^(INPUT|SELECT|TEXTAREA)$/.test(at.tagName)) ||
      String(getSelection()).length > 0;
  };

  async function refresh() {
    try {
      if (!busy()) {
        const answer = await fetch(location.href, { headers: { accept: "text/html" } });
        if (answer.ok) {
          const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
          for (const part of document.querySelectorAll("[data-live]")) {
            const next = fresh.getElementById(part.id);
            if (next && !busy() && next.innerHTML !== part.innerHTML) part.replaceWith(next);
          }
        }
      }
    } catch {
      // The sandbox was stopped; the page stays as it was and tries again.
    }
    setTimeout(refresh, pause);
  }
  setTimeout(refresh, pause);
})();
