"""Connects ib_async to a gateway as a user would, prints how many milliseconds that took, and disconnects."""

import sys
import time

from ib_async import IB

ib = IB()
began = time.perf_counter()
ib.connect(sys.argv[1], int(sys.argv[2]), clientId=7, timeout=10)
print((time.perf_counter() - began) * 1000)
ib.disconnect()
