// Connects @stoqey/ib to a gateway and prints what it saw of it, as one line of JSON.
//
// Usage: IBGA_TEST_TOOLS=FOLDER node stoqey.mjs HOST PORT CLIENT_ID SECONDS
//
// FOLDER/node/node_modules holds the package. SECONDS is the time limit for each answer.

import { createRequire } from "node:module";

const require = createRequire(`${process.env.IBGA_TEST_TOOLS}/node/`);
const { EventName, IBApi } = require("@stoqey/ib");

// The code of everything that a read-only gateway refuses.
const READ_ONLY = 321;

const [host, port, clientId, seconds] = process.argv.slice(2);
const api = new IBApi({ host, port: Number(port), clientId: Number(clientId) });
const errors = [];
const seen = {
  client: `@stoqey/ib ${require("@stoqey/ib/package.json").version}`,
  server_version: null,
  failure: null,
  errors,
};

api.on(EventName.server, (version) => (seen.server_version = version));
api.on(EventName.info, (text, code) => errors.push({ about: -1, code, text }));
api.on(EventName.error, (fault, code, about) => errors.push({ about, code, text: fault.message }));

// Resolves with what this event brings, and with what the events of `collected` brought until then.
function answer(name, collected) {
  return new Promise((resolve, reject) => {
    const values = [];
    const late = setTimeout(() => reject(new Error(`${name} did not come`)), Number(seconds) * 1000);
    const settle = (how, value) => {
      clearTimeout(late);
      how(value);
    };
    if (collected) api.on(collected, (...value) => values.push(value));
    api.once(name, (...value) => settle(resolve, collected ? values : value));
    api.on(EventName.error, (fault, code) => code === READ_ONLY && settle(reject, fault));
    api.once(EventName.disconnected, () => settle(reject, new Error(`the connection ended before ${name}`)));
  });
}

async function ask(question, name, collected) {
  const answered = answer(name, collected);
  question();
  return answered;
}

async function look() {
  const opened = Promise.all([answer(EventName.managedAccounts), answer(EventName.nextValidId)]);
  api.connect();
  const [[accounts]] = await opened;
  seen.accounts = accounts.split(",").filter((account) => account);
  [seen.time] = await ask(() => api.reqCurrentTime(), EventName.currentTime);
  seen.next_order_id = await ask(() => api.reqIds(), EventName.nextValidId).then(
    ([orderId]) => orderId,
    (fault) => (errors.some((error) => error.code === READ_ONLY) ? null : Promise.reject(fault)),
  );
  const euro = { symbol: "EUR", secType: "CASH", exchange: "IDEALPRO", currency: "USD" };
  const contracts = await ask(
    () => api.reqContractDetails(1, euro),
    EventName.contractDetailsEnd,
    EventName.contractDetails,
  );
  seen.contracts = contracts.map(([, details]) => [details.contract.symbol, details.contract.conId]);
  const positions = await ask(() => api.reqPositions(), EventName.positionEnd, EventName.position);
  seen.positions = positions.map(([account, contract, quantity]) => [account, contract.symbol, String(quantity)]);
  const values = await ask(
    () => api.reqAccountSummary(2, "All", "NetLiquidation"),
    EventName.accountSummaryEnd,
    EventName.accountSummary,
  );
  seen.net_liquidation = values.map(([, account, , value, currency]) => [account, value, currency]);
}

await look().catch((fault) => (seen.failure = fault.message));
console.log(JSON.stringify(seen));
process.exit();
