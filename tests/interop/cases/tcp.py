"""`hoop connect` of a TCP service: bytes both ways, who speaks first, and each side hears of the other's end."""

import hashlib

from house.program import wait_until
from house.services import (
    DIGEST, ECHO, GREETER, GREETING, SOURCE, SOURCE_BYTES, block, read_exactly,
)
from house.user import call
from house.verdict import expect

UP = [block(number) for number in range(512)]


def run(stage):
    agent = stage.agent()
    with stage.user.forward(agent.tcp(DIGEST), 9100), call(9100, 60) as peer:
        data = b"".join(UP)
        peer.sendall(len(data).to_bytes(8, "big") + data)
        answer = read_exactly(peer, 32)
        expect(answer == hashlib.sha256(data).digest(), f"{len(data)} bytes towards the target")

    with stage.user.forward(agent.tcp(SOURCE), 9101), call(9101, 60) as peer:
        peer.sendall(b"!")
        wanted, got = hashlib.sha256(), hashlib.sha256()
        for number in range(SOURCE_BYTES >> 16):
            wanted.update(block(number))
            got.update(read_exactly(peer, 1 << 16))
        expect(got.digest() == wanted.digest(), f"{SOURCE_BYTES} bytes towards the user")
        expect(peer.recv(1) == b"", "the user does not hear of the target's end")

    with stage.user.forward(agent.tcp(GREETER), 9102), call(9102) as peer:
        expect(read_exactly(peer, len(GREETING)) == GREETING, "the target speaks first")

    with stage.user.forward(agent.tcp(ECHO), 9103):
        before = stage.services.ended[ECHO]
        peers = [call(9103) for _ in range(20)]
        for number, peer in enumerate(peers):
            peer.sendall(b"%02d" % number)
        for number, peer in enumerate(peers):
            expect(read_exactly(peer, 2) == b"%02d" % number, f"connection {number} of 20")
            peer.close()
        heard = lambda: stage.services.ended[ECHO] - before == 20  # noqa: E731
        expect(wait_until(heard, 10), "the target does not hear of its users' ends")
