"""Another user's forwarded connection on the same agent, which must not feel what one user does."""

import threading
import time

from .services import ECHO, read_exactly
from .user import call
from .verdict import expect

PAUSE = 0.05
PORT = 9300
# The whole chain on a loaded machine; a held-up link takes many seconds or ends.
ROUND_TRIP_MAX = 1.0


class Neighbour:
    """Sends one byte and waits for it, again and again, until it is asked how that went."""

    def __init__(self, user, connection):
        self._forward = user.forward(connection, PORT)
        self._forward.__enter__()
        self._peer = call(PORT)
        self.worst, self._trouble, self._is_over = 0.0, None, threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self):
        try:
            while not self._is_over.wait(PAUSE):
                started = time.monotonic()
                self._peer.sendall(b"?")
                read_exactly(self._peer, 1)
                self.worst = max(self.worst, time.monotonic() - started)
        except OSError as error:
            self._trouble = error

    def close(self):
        self._is_over.set()
        self._thread.join(25)
        self._peer.close()
        self._forward.__exit__(None, None, None)

    def judge(self, seconds):
        """Wrong unless it went well up to now and goes well for this long; says how well."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._trouble is None:
            time.sleep(PAUSE)
        self._is_over.set()
        self._thread.join(25)
        expect(self._trouble is None, f"the neighbour's connection ended: {self._trouble}")
        expect(not self._thread.is_alive(), "the neighbour waits for an answer")
        expect(
            self.worst < ROUND_TRIP_MAX, f"the neighbour waited {self.worst:.2f} s for an answer"
        )
        return f"neighbour's worst round trip {self.worst * 1000:.0f} ms"


def neighbour(stage, agent):
    return stage.keep(Neighbour(stage.user, agent.tcp(ECHO)))
