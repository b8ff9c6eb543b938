// Tells the page that holds the payment window what became of it.
(() => {
  "use strict";

  const sheet = document.querySelector("main");
  const form = document.querySelector("form");
  if (window.parent === window) return;

  const origin = form
    ? form.elements.namedItem("origin").value
    : sheet.dataset.to;
  if (!origin) return;

  if (sheet.dataset.opened) {
    window.parent.postMessage({ sandbox: "opened" }, origin);
    form.querySelector("input:checked").focus();
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") form.querySelector("[value=close]").click();
    });
  }
  if (sheet.dataset.result) {
    const close = () =>
      window.parent.postMessage({ sandbox: "closed", rsp: JSON.parse(sheet.dataset.result) }, origin);
    if (sheet.dataset.wait) {
      const done = sheet.querySelector("[data-done]");
      done.addEventListener("click", close);
      done.focus();
    } else {
      close();
    }
  }
})();
