"""nginx, uvicorn and Node through `hoop connect` and through the gateway's listener, by HTTP/1.1 and HTTP/2."""

import json
import subprocess
import time

from cases.http import LISTENER, Way, asked_of_all, by_listener, listen, pipelined_at
from house import peers, web
from house.program import wait_until
from house.verdict import expect

CLIENT, SECONDS_MAX = 9250, 900


def run(stage):
    file = peers.big(stage)
    peers.node(stage, file)
    peers.node(stage, file, peers.NODE_SECURE, is_secure=True)
    peers.asgi(stage, file)
    peers.nginx(stage, file)
    agent = stage.agent(variables={"SSL_CERT_FILE": str(stage.house.folder / "ca.crt")})
    remotes = {"node": f"http://127.0.0.1:{peers.NODE}", "node-tls": f"https://localhost:{peers.NODE_SECURE}",
               "uvicorn": f"http://127.0.0.1:{peers.ASGI}", "nginx": f"http://127.0.0.1:{peers.NGINX}",
               "nginx-tls": f"https://localhost:{peers.NGINX_SECURE}"}
    authority = str(stage.house.folder / "ca.crt")
    for port, (peer, url) in enumerate(remotes.items(), CLIENT):
        name = agent.connection(peer, "httpproxy", "httpproxy", REMOTE_URL=url, HEADER_X_KEY=web.SECRET)
        with stage.user.forward(name, port):
            talk(peer, Way(f"http://127.0.0.1:{port}"))
            pipelined_at(port)
            found = peers.websocket(f"ws://127.0.0.1:{port}/ws")
            expect(not found, f"{peer}: WebSocket by the client: {found}")
        token = listen(stage, name)
        for version in ["--http1.1", "--http2"]:
            talk(peer, by_listener(stage, token, version))
        found = peers.websocket(f"wss://localhost:{LISTENER}/ws", authority, token)
        expect(not found, f"{peer}: WebSocket by the listener: {found}")
    expect(web.SECRET not in agent.program.said(), "the injected value is in the log")
    return ", ".join(remotes)


def talk(peer, way):
    def must(is_right, otherwise):
        expect(is_right, f"{peer}, {way.url} {way.words[2:3]}: {otherwise}")

    asked_of_all(way, must)
    started = time.monotonic()
    mixed = way.curl("/small", "-I", way.url + "/small", "--next", "-sS", *way.words)
    must(mixed.endswith(b"hello\n") and mixed.lower().count(b"content-length: 6") == 1, f"HEAD, then GET: {mixed!r}")
    must(time.monotonic() - started < 10, "HEAD, then GET: late")
    for path, status in [("/status?204", b"204"), ("/status?304", b"304"), ("/none", b"404")]:
        code = way.curl(path, "-o", "/dev/null", "-w", "%{http_code}")
        must(code == status, f"{path}: {code!r}")
    must(way.curl("/gzip", "--compressed") == b"hello\n" * 10_000, "gzip")
    at_once(way, must)
    leaves(way, must)


def at_once(way, must):
    """50 requests of a second each, by one curl: streams of one HTTP/2 connection, sockets by HTTP/1.1."""
    started = time.monotonic()
    held = way.curl("/hold?ms=1000&x=[1-50]", "--parallel", "--parallel-max", "50")
    must(held == b"held" * 50, f"50 at once: {len(held)} bytes")
    must(time.monotonic() - started < 25, f"50 at once took {time.monotonic() - started:.1f} s")


def leaves(way, must):
    """A user who gives up: by the listener the service hears of it at once."""
    before = len(json.loads(way.curl("/gone")))
    command = ["curl", "-sS", "-m", "1", *way.words, f"{way.url}/hold?ms=8000"]
    done = subprocess.run(command, capture_output=True, timeout=30)
    must(done.returncode == 28, f"a user who gives up: {done}")
    if way.words:
        times = lambda: json.loads(way.curl("/gone"))  # noqa: E731
        must(wait_until(lambda: len(times()) > before, 6, 0.2), "the service does not hear that its user has left")
        must(times()[-1] < 5000, f"the service hears of it after {times()[-1]} ms")
