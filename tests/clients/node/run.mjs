// PortOne's official V1 client for Node, against whatever speaks V1 at SANDBOX_URL.
//
// The client takes its host as `baseUrl`, so nothing in it is replaced. What it saw is printed as
// one JSON object, and the test that started this compares it with the sandbox's books.
import client from "iamport-rest-client-nodejs";

const { Iamport, Request } = client;
const { SANDBOX_URL: baseUrl, IMP_KEY: apiKey, IMP_SECRET: apiSecret } = process.env;
const { PAID: paid, ORDER: order, SECOND: second } = process.env;
const { Payments, Prepare } = Request;

const iamport = new Iamport({ apiKey, apiSecret, baseUrl });
const answer = async (request) => (await request.request(iamport)).data;
const ask = async (request) => (await answer(request)).response;

/// What the client makes of a call that fails: PortOne's code and message.
const refused = async (request) => {
  try {
    await request.request(iamport);
  } catch (error) {
    const { code, message } = error.response.data;
    return { code, message, status: error.response.status ?? 200 };
  }
  throw new Error("it should have been refused");
};

const saw = {};
saw.read = await ask(Payments.getByImpUid({ imp_uid: paid }));
saw.found = await ask(Payments.getByMerchantUid({ merchant_uid: order, status: "paid" }));
saw.all = await ask(Payments.getByMerchantUids({ merchant_uid: order, status: "all" }));
saw.listed = await answer(Payments.getByImpUids({ imp_uid: [paid, second, "imp_none"] }));
saw.searched = await ask(Payments.getByStatus({ status: "paid", limit: 10 }));
saw.unknown = await refused(Payments.getByImpUid({ imp_uid: "imp_none" }));
saw.prepared = await ask(Prepare.postAmount({ merchant_uid: "next", amount: 5000 }));
saw.preparedAgain = await refused(Prepare.postAmount({ merchant_uid: "next", amount: 5000 }));
saw.part = await ask(Payments.cancel({ imp_uid: paid, amount: 3000, checksum: 10000, reason: "part" }));
saw.replay = await refused(Payments.cancel({ imp_uid: paid, amount: 3000, checksum: 10000, reason: "part" }));
saw.rest = await ask(Payments.cancel({ merchant_uid: order, reason: "rest" }));
saw.again = await refused(Payments.cancel({ imp_uid: paid, reason: "again" }));
saw.wrongKey = await new Iamport({ apiKey, apiSecret: "guess", baseUrl })
  .getToken()
  .then(() => null, (error) => error.response.status);

console.log(JSON.stringify(saw));
