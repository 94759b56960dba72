"""Connects the official Python client to a gateway and prints what it saw of it, as one line of JSON.

Usage: ibapi.py HOST PORT CLIENT_ID SECONDS

SECONDS is the time limit for each answer. Serves the client of 2020 (ibapi 9.81) as well as the newest (ibapi-latest).
"""

import importlib.metadata
import json
import queue
import sys
import threading

from ibapi.client import EClient
from ibapi.contract import Contract
from ibapi.wrapper import EWrapper


# Stands in the queue for an order id that a read-only gateway refuses.
REFUSED = -1


class Failure(Exception):
    """An answer that the connect sequence needs did not come."""


class Client(EWrapper, EClient):
    """Puts what comes into a queue, in the order in which it came."""

    def __init__(self):
        EClient.__init__(self, self)
        self.came = queue.Queue()
        self.errors = []

    def await_answer(self, name, seconds):
        """The values of this kind up to and with the next `name`."""
        values = []
        while True:
            try:
                kind, value = self.came.get(timeout=seconds)
            except queue.Empty:
                raise Failure(f"{name} did not come") from None
            if kind == "closed":
                raise Failure(f"the connection ended before {name}")
            if kind == name:
                return value if value is not None else values
            values.append(value)

    def error(self, about, *rest):
        # The newest client puts the time of the error before its code.
        code, text = rest[1:3] if isinstance(rest[1], int) else rest[:2]
        self.errors.append({"about": about, "code": code, "text": text})
        if code == 321:
            self.came.put(("order id", REFUSED))

    def connectionClosed(self):
        self.came.put(("closed", None))

    def managedAccounts(self, accountsList):
        self.came.put(("accounts", [account for account in accountsList.split(",") if account]))

    def nextValidId(self, orderId):
        self.came.put(("order id", orderId))

    def currentTime(self, time):
        self.came.put(("time", time))

    def contractDetails(self, reqId, details):
        self.came.put(("contract", [details.contract.symbol, details.contract.conId]))

    def contractDetailsEnd(self, reqId):
        self.came.put(("contracts", None))

    def position(self, account, contract, position, avgCost):
        self.came.put(("position", [account, contract.symbol, format(float(position), "g")]))

    def positionEnd(self):
        self.came.put(("positions", None))

    def accountSummary(self, reqId, account, tag, value, currency):
        self.came.put(("value", [account, value, currency]))

    def accountSummaryEnd(self, reqId):
        self.came.put(("net liquidation", None))


def main():
    host, port, client_id, seconds = sys.argv[1:]
    # The client stands alone in its environment, under one of two names.
    package = next(found for found in importlib.metadata.distributions() if found.metadata["Name"].startswith("ibapi"))
    client = Client()
    seen = {"client": f"{package.metadata['Name']} {package.version}", "server_version": None, "failure": None}
    try:
        client.connect(host, int(port), int(client_id))
        seen["server_version"] = client.serverVersion()
        threading.Thread(target=client.run, daemon=True).start()
        ask(client, seen, float(seconds))
    except Failure as failure:
        seen["failure"] = str(failure)
    print(json.dumps(seen | {"errors": client.errors}), flush=True)
    client.disconnect()


def ask(client, seen, seconds):
    # These two come unasked, in either order.
    first = {}
    while len(first) < 2:
        try:
            kind, value = client.came.get(timeout=seconds)
        except queue.Empty:
            raise Failure("the session did not open") from None
        if kind == "closed":
            raise Failure("the connection ended before the session opened")
        first[kind] = value
    seen["accounts"] = first["accounts"]
    client.reqCurrentTime()
    seen["time"] = client.await_answer("time", seconds)
    client.reqIds(-1)
    order_id = client.await_answer("order id", seconds)
    seen["next_order_id"] = None if order_id == REFUSED else order_id
    client.reqContractDetails(1, euro())
    seen["contracts"] = client.await_answer("contracts", seconds)
    client.reqPositions()
    seen["positions"] = client.await_answer("positions", seconds)
    client.reqAccountSummary(2, "All", "NetLiquidation")
    seen["net_liquidation"] = client.await_answer("net liquidation", seconds)


def euro():
    contract = Contract()
    contract.symbol = "EUR"
    contract.secType = "CASH"
    contract.exchange = "IDEALPRO"
    contract.currency = "USD"
    return contract


main()
