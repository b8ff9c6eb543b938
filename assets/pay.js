// Opens PortOne's window for the order on the page. What the window reports is a hint for our
// server, which asks PortOne itself; the result page tells the truth.
(() => {
  "use strict";

  const form = document.getElementById("pay");
  const button = document.getElementById("pay-button");
  const message = document.getElementById("pay-message");
  if (!form) return;
  const words = form.dataset;

  const say = (text, bad) => {
    message.textContent = text;
    message.hidden = !text;
    message.className = bad ? "message bad" : "message wait";
  };
  const busy = (on) => {
    button.disabled = on;
    if (on) button.setAttribute("aria-busy", "true");
    else button.removeAttribute("aria-busy");
  };

  if (typeof window.IMP === "undefined") {
    say(words.noSdk, true);
    return;
  }
  window.IMP.init(words.code);
  button.disabled = false;

  // Told to our server, which asks PortOne. It need not answer in time: the result page waits.
  const tell = async (imp_uid) => {
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(), 8000);
    try {
      await fetch("/api/payment/portone", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ imp_uid, merchant_uid: words.merchantUid }),
        signal: patience.signal,
      });
    } catch {
      // The webhook, or the sweep, will tell it.
    } finally {
      clearTimeout(timer);
    }
  };

  const done = async (rsp) => {
    const failed = rsp.error_code || rsp.success === false || rsp.imp_success === false;
    if (rsp.imp_uid) {
      say(words.checking, false);
      await tell(rsp.imp_uid);
      if (!failed) {
        location.assign(`/payment/result/${encodeURIComponent(rsp.imp_uid)}`);
        return;
      }
    }
    busy(false);
    const why = rsp.error_msg ? ` (${rsp.error_msg})` : "";
    say(`${words.failed}${why} ${words.again}`, true);
    button.focus();
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (button.disabled) return;
    busy(true);
    say("", false);
    const value = (name) => form.elements.namedItem(name).value.trim() || undefined;
    const request = {
      pay_method: form.elements.namedItem("pay_method").value,
      merchant_uid: words.merchantUid,
      name: words.name,
      amount: Number(words.amount),
      tax_free: Number(words.taxFree),
      currency: "KRW",
      language: words.language,
      buyer_name: value("buyer_name"),
      buyer_tel: value("buyer_tel"),
      buyer_email: value("buyer_email"),
      m_redirect_url: words.return,
    };
    if (words.channelKey) request.channelKey = words.channelKey;
    else if (words.pg) request.pg = words.pg;
    try {
      window.IMP.request_pay(request, done);
    } catch (error) {
      done({ error_code: "SDK", error_msg: String(error) });
    }
  });
  // Back from a window that was a page of its own.
  addEventListener("pageshow", (event) => {
    if (event.persisted) busy(false);
  });
})();
