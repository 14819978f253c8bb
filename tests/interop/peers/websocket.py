"""A WebSocket user: `websocket.py URL [AUTHORITY TOKEN]`. Says in one line what went wrong, or nothing."""

import asyncio
import os
import ssl
import sys

import websockets

url, *secure = sys.argv[1:]
more = {}
if secure:
    more = {"ssl": ssl.create_default_context(cafile=secure[0]), "additional_headers": {"Authorization": secure[1]}}


async def main():
    async with websockets.connect(url, max_size=1 << 26, proxy=None, **more) as socket:
        for message in ["hello", os.urandom(200_000), os.urandom(3_000_000), "", b"\0"]:
            await socket.send(message)
            assert await asyncio.wait_for(socket.recv(), 30) == message, f"not what was sent: {len(message)} bytes"
        await asyncio.wait_for(await socket.ping(), 10)
        pieces = [os.urandom(1000) for _ in range(20)]
        await socket.send(pieces)
        assert await asyncio.wait_for(socket.recv(), 30) == b"".join(pieces), "a message in pieces"
        await socket.close(1000, "over")
    assert socket.close_code == 1000, f"closed with {socket.close_code}"


asyncio.run(main())
