"""Users who leave a web service after a second, agents that stop or are killed with a request under way, and gzip."""

import gzip
import signal
import subprocess
import time

from cases.http import CLIENT, Way, by_listener, listen
from house import web
from house.program import wait_until
from house.verdict import expect

PORT_OF_CLIENT = CLIENT + 30


def run(stage):
    service = stage.keep(web.Service())
    agent = stage.agent()
    name = agent.connection("leave", "httpproxy", "httpproxy", REMOTE_URL=f"http://127.0.0.1:{web.PORT}")
    listener = by_listener(stage, listen(stage, name))
    with stage.user.forward(name, PORT_OF_CLIENT):
        client = Way(f"http://127.0.0.1:{PORT_OF_CLIENT}")
        for way in [client, listener]:
            packed = way.curl("/gzip")
            expect(gzip.decompress(packed) == web.BIG[:50_000], f"packed: {len(packed)} bytes")
            expect(way.curl("/gzip", "--compressed") == web.BIG[:50_000], "unpacked by curl")
            expect(b"content-encoding: gzip" in way.curl("/gzip", "-I").lower(), "its coding is told")
    for version in ["--http1.1", "--http2"]:
        began = time.monotonic()
        listener.curl("/until-gone", version, "-m", "1", fails=True)
        heard = wait_until(lambda: service.gone, 10)
        took = time.monotonic() - began
        expect(heard and took < 4, f"the service hears of a user who has left after {took:.1f} s")
        service.gone.clear()
        service.held.clear()
    for number in [signal.SIGTERM, signal.SIGKILL]:
        waiting = subprocess.Popen(
            ["curl", "-sS", *listener.words, "-w", "%{http_code}", listener.url + "/until-gone"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        expect(wait_until(lambda: service.held, 10), "a request under way")
        agent.program.send(number)
        said, error = waiting.communicate(timeout=60)
        expect(said[-3:] in (b"401", b"503"), f"a request under way: {said!r} {error!r}")
        expect(wait_until(lambda: service.gone, 20), "the service hears of it")
        agent.program.wait(40)
        service.gone.clear()
        service.held.clear()
        agent.start()
        again = wait_until(lambda: listener.curl("/small", "-w", "%{http_code}") == b"hello\n200", 20, 0.3)
        expect(again, "the next one is served again")
    return "stopped and killed"
