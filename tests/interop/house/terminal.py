"""A person at a terminal."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

from .verdict import Wrong

CURSOR_ASKED, CURSOR_TOLD = b"\x1b[6n", b"\x1b[1;1R"


class Terminal:
    def __init__(self, words, variables, rows, columns):
        self.pid, self._descriptor = pty.fork()
        if self.pid == 0:
            os.execvpe(words[0], words, variables)
        self._seen = b""
        self.resize(rows, columns)

    def resize(self, rows, columns):
        fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self._descriptor, text.encode())

    def expect(self, pattern, seconds=20):
        """Waits until the screen has shown this since the last time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := re.search(pattern.encode(), self._seen):
                self._seen = self._seen[found.end():]
                return
            if not self._read():
                break
        raise Wrong(f"the terminal does not show {pattern!r}, but {self._seen[-300:]!r}")

    def _read(self):
        """False at the end of the output."""
        if not select.select([self._descriptor], [], [], 0.1)[0]:
            return True
        try:
            data = os.read(self._descriptor, 1 << 16)
        except OSError:
            return False
        # The client asks its terminal where the cursor is, and waits for the answer.
        for _ in range(data.count(CURSOR_ASKED)):
            os.write(self._descriptor, CURSOR_TOLD)
        self._seen += data
        return bool(data)

    def exit_code(self, seconds=20):
        """None when the program still runs after this time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._read()
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                self.pid = None
                return os.waitstatus_to_exitcode(status)
        return None

    def close(self):
        with contextlib.suppress(OSError):
            if self.pid is not None:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
        with contextlib.suppress(OSError):
            os.close(self._descriptor)
