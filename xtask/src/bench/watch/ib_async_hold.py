"""Holds one session with each gateway by ib_async, and asks each for the time every 20 seconds, until the input ends.

Prints `one` when the first is up, waits for a line, and prints `all` when all of them are.
"""

import asyncio
import sys

from ib_async import IB


async def connect(address):
    host, port = address.rsplit(":", 1)
    ib = IB()
    await ib.connectAsync(host, int(port), clientId=7, timeout=10)
    return ib


async def beat(ib):
    while True:
        await ib.reqCurrentTimeAsync()
        await asyncio.sleep(20)


async def hold(addresses):
    loop = asyncio.get_running_loop()
    sessions = [await connect(addresses[0])]
    print("one", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    for address in addresses[1:]:
        sessions.append(await connect(address))
    beats = [asyncio.create_task(beat(ib)) for ib in sessions]
    print("all", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    for task in beats:
        task.cancel()
    for ib in sessions:
        ib.disconnect()


asyncio.run(hold(sys.argv[1:]))
