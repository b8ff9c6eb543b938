// IMP.request_pay, in the shape of PortOne's own, for the sandbox's payment window.
//
// Styles are set one property at a time, never as text, so that a page whose policy forbids inline
// styles can use it. What comes back proves nothing: the shop's server has to ask.
(() => {
  "use strict";

  const home = new URL(document.currentScript.src).origin;
  const fields = [
    "merchant_uid", "amount", "name", "pay_method", "currency", "tax_free", "vat_amount",
    "buyer_name", "buyer_email", "buyer_tel", "buyer_addr", "buyer_postcode",
    "notice_url", "m_redirect_url", "language",
  ];
  let code = null;
  let open = false;

  const onPhone = () =>
    /Android|iPhone|iPad|iPod|Mobile/i.test(navigator.userAgent) ||
    window.matchMedia("(max-width: 640px)").matches;

  const dress = (element, styles) => {
    for (const [name, value] of Object.entries(styles)) element.style.setProperty(name, value);
  };

  const refuse = (callback, params, message) => {
    const rsp = {
      imp_uid: null, merchant_uid: params.merchant_uid, success: false, imp_success: false,
      error_code: "F0001", error_msg: message,
    };
    if (typeof callback === "function") setTimeout(() => callback(rsp), 0);
  };

  function requestPay(params, callback) {
    if (!code) return refuse(callback, params, "IMP.init is missing");
    if (typeof params.amount !== "number") return refuse(callback, params, "amount must be a number");
    if (open) return refuse(callback, params, "a payment window is open already");

    const query = new URLSearchParams({ code });
    for (const name of fields) {
      if (params[name] !== undefined && params[name] !== null) query.set(name, String(params[name]));
    }
    if (params.custom_data !== undefined) query.set("custom_data", JSON.stringify(params.custom_data));

    if (params.m_redirect_url && onPhone()) {
      query.set("mobile", "true");
      location.assign(`${home}/window?${query}`);
      return;
    }
    query.set("origin", location.origin);
    overlay(query, callback);
  }

  function overlay(query, callback) {
    open = true;
    const before = document.activeElement;
    const frame = document.createElement("iframe");
    frame.title = "PortOne sandbox";
    dress(frame, {
      position: "fixed", inset: "0", width: "100%", height: "100%", border: "0",
      "z-index": "2147483647", "background-color": "rgba(15, 23, 42, 0.55)",
      "color-scheme": "light dark", visibility: "hidden",
    });
    frame.src = `${home}/window?${query}`;

    const heard = (event) => {
      if (event.origin !== home || event.source !== frame.contentWindow) return;
      const told = event.data;
      if (told && told.sandbox === "opened") {
        frame.style.setProperty("visibility", "visible");
        frame.focus();
      } else if (told && told.sandbox === "closed") {
        window.removeEventListener("message", heard);
        frame.remove();
        open = false;
        if (before && before.focus) before.focus();
        if (typeof callback === "function") callback(told.rsp);
      }
    };
    window.addEventListener("message", heard);
    document.body.appendChild(frame);
  }

  window.IMP = {
    init(merchant) { code = merchant; },
    agency(merchant) { code = merchant; },
    request_pay: requestPay,
  };
})();
