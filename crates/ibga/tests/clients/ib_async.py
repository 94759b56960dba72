"""Connects ib_async to a gateway and prints what it saw of it, as one line of JSON.

Usage: ib_async.py HOST PORT CLIENT_ID SECONDS [stay]

SECONDS is the client's own time limit for each answer. With `stay` the connection is kept until a line comes on
standard input; then the same questions are asked once more and a second line of JSON is printed.
"""

import asyncio
import importlib.metadata
import json
import logging
import sys

from ib_async import IB, Forex


def main():
    host, port, client_id, seconds, *stay = sys.argv[1:]
    # Its log repeats on standard error what the JSON says.
    logging.getLogger("ib_async").setLevel(logging.CRITICAL)
    ib = IB()
    seen = {
        "client": "ib_async " + importlib.metadata.version("ib_async"),
        "server_version": None,
        "errors": [],
        "failure": None,
    }
    ib.errorEvent += lambda about, code, text, contract: seen["errors"].append(
        {"about": about, "code": code, "text": text}
    )
    order_ids = []
    ib.wrapper.nextValidId = order_ids.append
    # The table of handlers was made from the wrapper as it was before.
    ib.client.decoder.handlers[9] = ib.client.decoder.wrap("nextValidId", [int])
    try:
        ib.connect(host, int(port), clientId=int(client_id), timeout=float(seconds), raiseSyncErrors=True)
        ib.RequestTimeout = float(seconds)
        ask(ib, seen, order_ids)
        if stay:
            tell(seen)
            sys.stdin.readline()
            # Two questions for the time within a second: the gateway leaves the second one unanswered.
            ib.sleep(1.1)
            ask(ib, seen, order_ids)
    except (asyncio.TimeoutError, ConnectionError, OSError) as fault:
        seen["failure"] = f"{type(fault).__name__}: {fault}"
    tell(seen)
    ib.disconnect()


def ask(ib, seen, order_ids):
    seen["server_version"] = ib.client.serverVersion()
    seen["accounts"] = ib.managedAccounts()
    seen["time"] = int(ib.reqCurrentTime().timestamp())
    ib.client.reqIds(1)
    details = ib.reqContractDetails(Forex("EURUSD"))
    # Answers come in the order of the questions, so the order id is here by now.
    seen["next_order_id"] = order_ids[-1] if order_ids else None
    seen["contracts"] = [[found.contract.symbol, found.contract.conId] for found in details]
    seen["positions"] = [
        [held.account, held.contract.symbol, format(held.position, "g")] for held in ib.positions()
    ]
    seen["net_liquidation"] = [
        [value.account, value.value, value.currency]
        for value in ib.accountSummary()
        if value.tag == "NetLiquidation"
    ]


def tell(seen):
    print(json.dumps(seen), flush=True)


main()
