"""The symbol is what an order id starts with: `BTC_USDT-1f3a9c` belongs to `BTC_USDT`. One option: `key`, the metadata key
that holds the id, by default `order-id`."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.extract import Call, Inputs, Need, Outcome, Outcome_NoSymbol, Outcome_Symbol
from wit_world.imports import log

key = "order-id"


class Extract(exports.Extract):
    def init(self, config: str) -> Inputs:
        """An `Err` refuses the plugin with its text."""
        global key
        options = json.loads(config)
        for name in options:
            if name != "key":
                raise Err(f"unknown option `{name}`, expected `key`")
        key = options.get("key", key)
        if not isinstance(key, str):
            raise Err("`key` is no text")
        log.write(log.Level.DEBUG, f"order ids are in {key}")
        return Inputs(path=False, metadata=[key], message=Need.NEVER, pure=True)

    def extract(self, call: Call) -> Outcome:
        value = call.metadata[0]
        if value is None:
            return Outcome_NoSymbol(f"the call carries no metadata `{key}`")
        symbol, dash, _ = value.decode("ascii", "replace").partition("-")
        if not symbol or not dash:
            return Outcome_NoSymbol(f"{key} is not symbol-number")
        return Outcome_Symbol(symbol)
