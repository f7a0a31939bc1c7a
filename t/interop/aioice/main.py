# aioice: two ICE agents that have relayed candidates of a TURN server only.
#
#     main.py TRANSPORT HOST PORT USER PASSWORD
#
# They send messages to each other, and print how many have come.

import asyncio
import sys

from aioice import Connection
from aioice.ice import TransportPolicy

MESSAGES = 50
TIMEOUT = 40


def agent(controlling):
    transport, host, port, user, password = sys.argv[1:6]

    return Connection(
        ice_controlling=controlling,
        turn_server=(host, int(port)),
        turn_username=user,
        turn_password=password,
        turn_ssl=transport == "tls",
        turn_transport="udp" if transport == "udp" else "tcp",
        transport_policy=TransportPolicy.RELAY,
        use_ipv6=False,
    )


# datagrams may be lost


async def send(one, other):
    got = 0

    for n in range(4 * MESSAGES):
        if got == MESSAGES:
            break

        text = b"%d SEE THIS" % n
        await one.send(text)

        try:
            got += await asyncio.wait_for(other.recv(), 1) == text
        except asyncio.TimeoutError:
            pass

    return got


async def main():
    one, other = agent(True), agent(False)

    for a in (one, other):
        await a.gather_candidates()
        kinds = sorted({c.type for c in a.local_candidates})
        print("candidates", *kinds, flush=True)

    for a, b in ((one, other), (other, one)):
        for candidate in a.local_candidates:
            await b.add_remote_candidate(candidate)

        await b.add_remote_candidate(None)
        b.remote_username = a.local_username
        b.remote_password = a.local_password

    await asyncio.gather(one.connect(), other.connect())

    print("messages", await send(one, other), flush=True)
    print("messages", await send(other, one), flush=True)

    await asyncio.gather(one.close(), other.close())


try:
    asyncio.run(asyncio.wait_for(main(), TIMEOUT))
except Exception as e:
    print("error:", type(e).__name__, e)
    sys.exit(1)
