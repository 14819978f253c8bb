"""What stands behind the agent: small TCP services on loopback."""

import contextlib
import hashlib
import socket
import threading

ECHO, DIGEST, SOURCE, GREETER = 9000, 9001, 9002, 9003
GREETING = b"220 who is there?\r\n"
SOURCE_BYTES = 32 << 20


def block(number):
    """64 KiB that no other number gives."""
    return hashlib.sha256(number.to_bytes(8, "big")).digest() * 2048


class Services:
    """`ended` counts the connections that each port has seen to their end."""

    def __init__(self):
        self.ended = {}
        for port, serve in (
            (ECHO, self._echo), (DIGEST, self._digest), (SOURCE, self._source), (GREETER, self._greet)
        ):
            self.ended[port] = 0
            listener = socket.create_server(("127.0.0.1", port), backlog=256)
            threading.Thread(target=self._accept, args=(listener, serve), daemon=True).start()

    def _accept(self, listener, serve):
        while True:
            peer, _ = listener.accept()
            threading.Thread(target=self._attend, args=(peer, serve), daemon=True).start()

    def _attend(self, peer, serve):
        port = peer.getsockname()[1]
        with peer, contextlib.suppress(OSError):
            serve(peer)
        self.ended[port] += 1

    @staticmethod
    def _echo(peer):
        while data := peer.recv(1 << 16):
            peer.sendall(data)

    @staticmethod
    def _digest(peer):
        """Reads SIZE (8 bytes) and as many bytes, and answers with their digest."""
        size, digest = int.from_bytes(read_exactly(peer, 8), "big"), hashlib.sha256()
        while size > 0:
            data = peer.recv(min(size, 1 << 18))
            if not data:
                return
            digest.update(data)
            size -= len(data)
        peer.sendall(digest.digest())
        peer.recv(1)

    @staticmethod
    def _source(peer):
        """Sends SOURCE_BYTES after the first byte, and closes."""
        if peer.recv(1):
            for number in range(SOURCE_BYTES >> 16):
                peer.sendall(block(number))

    @staticmethod
    def _greet(peer):
        """Speaks first; closes when it is told anything."""
        peer.sendall(GREETING)
        peer.recv(1)


def read_exactly(peer, size):
    data = b""
    while len(data) < size:
        more = peer.recv(size - len(data))
        if not more:
            raise ConnectionError(f"the end after {len(data)} of {size} bytes")
        data += more
    return data
