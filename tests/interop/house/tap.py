"""What goes over a forwarded port, kept: a port of its own in front of it."""

import contextlib
import socket
import threading


class Tap:
    """Listens on `port`, passes everything on to `behind`, and keeps what came back."""

    def __init__(self, port, behind):
        self.port, self._behind = port, behind
        self._answers, self._lock = bytearray(), threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                user, _ = self._listener.accept()
                target = socket.create_connection(("127.0.0.1", self._behind))
                for source, sink, kept in [(user, target, None), (target, user, self._answers)]:
                    words = (source, sink, kept)
                    threading.Thread(target=self._pass, args=words, daemon=True).start()

    def _pass(self, source, sink, kept):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if kept is not None:
                    with self._lock:
                        kept.extend(data)
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def answers(self):
        """Everything that users were sent so far."""
        with self._lock:
            return bytes(self._answers)

    def close(self):
        self._listener.close()
