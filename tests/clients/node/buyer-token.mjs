// A link to a buyer's own payments, signed by the shop. Node 18 or newer, no package needed.
import { createHmac } from "node:crypto";

const { BUYERS_SECRET: secret, BUYER: buyer, SHOP: shop } = process.env;

function buyerToken(buyer, secret) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const claims = { sub: buyer, aud: "jeongsan", iat: now, exp: now + 3600 };
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

console.log(`${shop}/payment/mypage?token=${buyerToken(buyer, secret)}`);
