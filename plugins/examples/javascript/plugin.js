// The symbol is what an order id starts with: `BTC_USDT-1f3a9c` belongs to `BTC_USDT`. One option: `key`, the metadata key
// that holds the id, by default `order-id`.

import { write } from "symgate:plugin/log@0.1.0";

let key = "order-id";

export const extract = {
  // What is thrown here refuses the plugin.
  init(config) {
    const options = JSON.parse(config);
    const unknown = Object.keys(options).find((name) => name !== "key");
    if (unknown !== undefined) throw `unknown option \`${unknown}\`, expected \`key\``;
    key = options.key ?? key;
    if (typeof key !== "string") throw "`key` is no text";
    write("debug", `order ids are in ${key}`);
    return { path: false, metadata: [key], message: "never", pure: true };
  },

  extract(call) {
    const [value] = call.metadata;
    // Nothing is null in QuickJS and undefined in SpiderMonkey.
    if (value == null) return { tag: "no-symbol", val: `the call carries no metadata \`${key}\`` };
    // The bytes of metadata are ASCII; there is no TextDecoder in QuickJS.
    const id = String.fromCharCode(...value);
    const dash = id.indexOf("-");
    if (dash < 1) return { tag: "no-symbol", val: `${key} is not symbol-number` };
    return { tag: "symbol", val: id.slice(0, dash) };
  },
};
