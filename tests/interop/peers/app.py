"""A web application by ASGI: the pages of app.mjs, and its WebSocket. BIG_FILE names the big page's body."""

import asyncio
import gzip
import hashlib
import json
import os
import time
from pathlib import Path
from urllib.parse import parse_qs

HERE = Path(__file__).parent
BIG = Path(os.environ["BIG_FILE"]).read_bytes()
GONE = []


async def app(scope, receive, send):
    if scope["type"] == "http":
        await Page(scope, receive, send).serve()
    elif scope["type"] == "websocket":
        await websocket(receive, send)
    else:
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})


async def websocket(receive, send):
    """Sends back what comes."""
    while (event := await receive())["type"] != "websocket.disconnect":
        if event["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        elif event.get("bytes") is not None:
            await send({"type": "websocket.send", "bytes": event["bytes"]})
        else:
            await send({"type": "websocket.send", "text": event["text"]})


class Page:
    def __init__(self, scope, receive, send):
        self.scope, self.receive, self.send = scope, receive, send
        self.fields = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        self.origin = f"{scope['scheme']}://{self.fields.get('host', '')}"

    async def begin(self, status, fields):
        headers = [(name.encode(), value.encode()) for name, value in fields]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})

    async def give(self, body=b"", status=200, *fields):
        await self.begin(status, [("content-length", str(len(body))), *fields])
        await self.send({"type": "http.response.body", "body": body})

    async def stream(self, kind, lines, pause):
        await self.begin(200, [("content-type", kind)])
        for line in lines:
            await self.send({"type": "http.response.body", "body": line, "more_body": True})
            await asyncio.sleep(pause)
        await self.send({"type": "http.response.body", "body": b""})

    async def body(self):
        body, is_more = b"", True
        while is_more:
            event = await self.receive()
            body += event.get("body", b"")
            is_more = event.get("more_body", False)
        return body

    async def serve(self):
        path, query = self.scope["path"], self.scope["query_string"].decode()
        body = await self.body()
        if path == "/small":
            await self.give(b"hello\n", 200, ("content-type", "text/plain"))
        elif path == "/head":
            await self.give("".join(f"{name}: {value}\n" for name, value in self.fields.items()).encode())
        elif path == "/big":
            await self.give(BIG)
        elif path == "/echo":
            await self.give(body)
        elif path == "/digest":
            await self.give(hashlib.sha256(body).hexdigest().encode())
        elif path == "/gzip":
            await self.give(gzip.compress(b"hello\n" * 10_000), 200, ("content-encoding", "gzip"))
        elif path == "/chunked":
            await self.stream("text/plain", [b"line %d\n" % number for number in range(100)], 0)
        elif path == "/lines":
            await self.stream("application/json", [b'{"n":%d}\n' % number for number in range(5)], 0.6)
        elif path == "/sse":
            await self.stream("text/event-stream; charset=utf-8", [b"data: %d\n\n" % number for number in range(5)], 0.4)
        elif path == "/hold":
            await self.hold(int(parse_qs(query).get("ms", ["1000"])[0]) / 1000)
        elif path == "/gone":
            await self.give(json.dumps(GONE).encode())
        elif path == "/cut":
            await self.begin(200, [("content-length", "9000000")])
            await self.send({"type": "http.response.body", "body": b"x" * 1_000_000})
        elif path == "/redirect":
            await self.give(b"", 302, ("location", f"{self.origin}/small"))
        elif path == "/cookie":
            await self.give(b"", 200, ("set-cookie", f"session=1; Domain={self.fields['host'].split(':')[0]}; Path=/"))
        elif path == "/status":
            await self.give(b"", int(query))
        else:
            await self.give(b"no such page\n", 404)

    async def hold(self, seconds):
        """Answers later, unless the user leaves before."""
        began = time.monotonic()
        try:
            event = await asyncio.wait_for(self.receive(), seconds)
        except asyncio.TimeoutError:
            await self.give(b"held")
        else:
            GONE.append(round((time.monotonic() - began) * 1000))
            print("a user left", event["type"], flush=True)
