"""A web service through `hoop connect` and through the gateway's listener, by HTTP/1.1 and HTTP/2."""

import socket
import ssl
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from house import web
from house.verdict import NotServed, Wrong, expect

CLIENT, LISTENER = 9210, 9211


def run(stage):
    service = stage.keep(web.Service())
    agent = stage.agent(variables={"SSL_CERT_FILE": str(stage.house.folder / "ca.crt")})
    name = agent.connection("web", "httpproxy", "httpproxy", REMOTE_URL=f"http://127.0.0.1:{web.PORT}", HEADER_X_KEY=web.SECRET)
    dead = agent.connection("dead", "httpproxy", "httpproxy", REMOTE_URL="http://127.0.0.1:1")
    try:
        with stage.user.forward(name, CLIENT):
            both(Way(f"http://127.0.0.1:{CLIENT}"))
            pipelined_at(CLIENT)
            switched(socket.create_connection(("127.0.0.1", CLIENT), timeout=30), "")
            proxied(Way(f"http://127.0.0.1:{CLIENT}"))
    except Wrong as wrong:
        if "does not serve" in str(wrong):
            raise NotServed("httpproxy is refused by name") from None
        raise
    with stage.user.forward(dead, CLIENT + 5):
        page = Way(f"http://127.0.0.1:{CLIENT + 5}").curl("/", "-w", "%{http_code}")
        expect(page.endswith(b"502") and b"127.0.0.1:1" in page, f"a dead service: {page!r}")
    secure(stage, agent)
    token = listen(stage, name)
    for version in ["--http1.1", "--http2"]:
        both(by_listener(stage, token, version))
    switched(listener_socket(stage), f"Authorization: {token}\r\n")
    page = by_listener(stage, listen(stage, dead)).curl("/", "-w", "%{http_code}")
    expect(page.endswith(b"502") and b"127.0.0.1:1" in page, f"a dead service: {page!r}")
    expect(all(web.SECRET in head for head in service.heads), "a request without the injected header")
    expect(all("hoop_proxy_token" not in head for head in service.heads), "the user's key went to the service")
    expect(web.SECRET not in agent.program.said(), "the injected value is in the log")
    return f"{len(service.heads)} requests"


def secure(stage, agent):
    """A service with TLS: one whose certificate fits, one whose name it is not, and that one where nobody looks."""
    stage.keep(web.Service(web.PORT + 1, stage.house.folder))
    port = CLIENT + 10
    for host, more, is_served in [("localhost", {}, True), ("[::ffff:127.0.0.1]", {}, False),
                                  ("[::ffff:127.0.0.1]", {"INSECURE": "true"}, True)]:
        url = f"https://{host}:{web.PORT + 1}"
        name = agent.connection(f"secure-{port}", "httpproxy", "httpproxy", REMOTE_URL=url, **more)
        with stage.user.forward(name, port):
            way = Way(f"http://127.0.0.1:{port}")
            small = way.curl("/small", "-w", "%{http_code}")
            if not is_served:
                expect(small.endswith(b"502") and b"certificate" in small, f"a name that does not fit: {small!r}")
            else:
                expect(small == b"hello\n200", f"with TLS: {small!r}")
                expect(way.curl("/big") == web.BIG, "20 MB down with TLS")
                sent = web.BIG[:10_000_000]
                expect(way.curl("/echo", "--data-binary", "@-", stdin=sent) == sent, "10 MB up with TLS")
        port += 1


class Way:
    """curl to one of the doors."""

    def __init__(self, url, *words, key="x"):
        self.url, self.words, self.key = url, words, key

    def curl(self, path, *words, stdin=None, fails=False):
        command = ["curl", "-sS", "--max-time", "60", *self.words, *words, self.url + path]
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=90)
        expect(fails or done.returncode == 0, f"{' '.join(command[3:])}: {done}")
        return done.stdout


def by_listener(stage, token, *words):
    """curl to the gateway's listener, by this key of a connection."""
    authority = str(stage.house.folder / "ca.crt")
    return Way(f"https://localhost:{LISTENER}", "--cacert", authority, *words, "-H", f"Authorization: {token}", key=token)


def asked_of_all(way, must):
    """What any service behind any door is asked for."""
    must(way.curl("/small") == b"hello\n", "small")
    twice = way.curl("/small", way.url + "/small", "-w", "%{num_connects};")
    must(twice.count(b"hello") == 2 and twice.endswith(b"0;"), f"two on one socket: {twice!r}")
    must(way.curl("/big") == web.BIG, "20 MB down")
    must(way.curl("/big", "--limit-rate", "8M") == web.BIG, "20 MB down, slowly")
    sent = web.BIG[:10_000_000]
    must(way.curl("/echo", "--data-binary", "@-", stdin=sent) == sent, "10 MB up and down")
    chunked = way.curl("/echo", "-H", "Transfer-Encoding: chunked", "-H", "Expect:", "--data-binary", "@-", stdin=sent)
    must(chunked == sent, f"10 MB up in chunks: {len(chunked)}")
    must(way.curl("/chunked").splitlines()[-1] == b"line 99", "an answer in chunks")
    redirect = way.curl("/redirect", "-i", "-b", f"a=b; hoop_proxy_token={way.key}")
    must(f"{way.url}/small".encode() in redirect, f"redirect: {redirect!r}")
    must(b"omain" not in way.curl("/cookie", "-i"), "a cookie's domain")
    must(web.SECRET.encode() in way.curl("/head"), "the injected header")
    streamed(way, "/sse", b"data: ", 0.4)
    streamed(way, "/lines", b'{"n":', 0.6)
    cut = way.curl("/cut", "-w", "%{http_code}", fails=True)
    must(cut.endswith(b"502") or 0 < len(cut) <= 1_000_010, f"a service that cuts: {len(cut)} bytes")


def both(way):
    asked_of_all(way, expect)
    started = time.monotonic()
    heads = way.curl("/small", "-I", "-w", "%{http_code}") + way.curl("/small", "-I", way.url + "/small")
    expect(heads.lower().count(b"content-length: 6") == 3 and time.monotonic() - started < 10, f"HEAD: {heads!r}")
    for status in ["204", "304"]:
        code = way.curl(f"/status?{status}", "-w", "%{http_code}")
        expect(code == status.encode(), f"{status}: {code!r}")
    expect(way.curl("/none", "-w", "%{http_code}").endswith(b"404"), "404")
    started = time.monotonic()
    with ThreadPoolExecutor(50) as pool:
        held = list(pool.map(lambda _: way.curl("/hold"), range(50)))
    expect(held == [b"held"] * 50 and time.monotonic() - started < 30, "50 at once")


def streamed(way, path, start, pause):
    """Lines come while the service is still sending: the first one before the last one is sent."""
    command = ["curl", "-sS", "-N", "--max-time", "30", *way.words, way.url + path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as curl:
        times, text = [], b""
        began = time.monotonic()
        while line := curl.stdout.readline():
            text += line
            if line.startswith(start):
                times.append(time.monotonic() - began)
    expect(len(times) == 5, f"{path}: {text!r}")
    expect(times[4] - times[0] > pause * 1.5, f"{path} came at {times}")


def pipelined_at(port):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as user:
        user.sendall(b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        got = b""
        while got.count(b"hello\n") < 3:
            got += user.recv(65536)
        expect(got.count(b"200 OK") == 3, f"three at once: {got!r}")


def proxied(way):
    command = ["curl", "-sS", "--max-time", "30", "-x", way.url, "http://anywhere.invalid/small"]
    expect(subprocess.run(command, capture_output=True).stdout == b"hello\n", "as a proxy")


def listener_socket(stage):
    trust = ssl.create_default_context(cafile=stage.house.folder / "ca.crt")
    plain = socket.create_connection(("localhost", LISTENER), timeout=30)
    return trust.wrap_socket(plain, server_hostname="localhost")


def switched(user, fields):
    """Another protocol, both ways, up to a service that closes."""
    with user:
        user.sendall(f"GET /ws HTTP/1.1\r\nHost: x\r\n{fields}Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
                     "Sec-WebSocket-Key: k\r\n\r\n".encode())
        got = b""
        while b"\r\n\r\n" not in got:
            got += user.recv(65536)
        expect(got.startswith(b"HTTP/1.1 101 "), f"a switch: {got!r}")
        sent, came = web.BIG[:3_000_000], got.split(b"\r\n\r\n", 1)[1]
        user.sendall(b"first")
        while len(came) < 5:
            came += user.recv(65536)
        for start in range(0, len(sent), 100_000):
            piece = sent[start : start + 100_000]
            user.sendall(piece)
            back = b""
            while len(back) < len(piece):
                back += user.recv(65536)
            expect(back == piece, f"bytes at {start}")


def listen(stage, name):
    """The gateway's listener, and a token for this connection."""
    gateway = stage.gateway
    gateway.call("PUT", "/serverconfig/misc", {
        "grpc_server_url": gateway.grpc_url,
        "http_proxy_server_config": {"listen_address": f"127.0.0.1:{LISTENER}"},
    })
    made = gateway.call("POST", f"/connections/{name}/credentials", {"access_duration_seconds": 3600})
    return made["connection_credentials"]["proxy_token"]
