"""`exec` in a pod of the scripted cluster: the command runs here, behind the WebSocket that kubectl asks for (v5.channel.k8s.io)."""

import contextlib
import fcntl
import json
import os
import pty
import struct
import subprocess
import termios
import threading

STDIN, STDOUT, STDERR, STATUS, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255


def exec_over(socket, words, has_stdin, is_terminal):
    """`socket` has `frame()` and `send(bytes)`; at the end kubectl is told how the command ended."""
    code = Terminal(socket, words).run() if is_terminal else pipes(socket, words, has_stdin)
    status = {"kind": "Status", "apiVersion": "v1", "status": "Success" if code == 0 else "Failure"}
    if code:
        cause = {"reason": "ExitCode", "message": str(code)}
        status |= {"reason": "NonZeroExitCode", "message": f"exit code {code}", "details": {"causes": [cause]}}
    socket.send(bytes([STATUS]) + json.dumps(status).encode())


def pipes(socket, words, has_stdin):
    """All that kubectl sends, then all that the command says; enough for what ends by itself."""
    given = b""
    while has_stdin and (data := socket.frame()) and data[0] == STDIN:
        given += data[1:]
    done = subprocess.run(words, input=given, capture_output=True)
    for channel, text in ((STDOUT, done.stdout), (STDERR, done.stderr)):
        for start in range(0, len(text), 32_768):
            socket.send(bytes([channel]) + text[start : start + 32_768])
    return done.returncode


class Terminal:
    def __init__(self, socket, words):
        self.socket = socket
        self.child, self.descriptor = pty.fork()
        if self.child == 0:
            os.execvp(words[0], words)

    def run(self):
        threading.Thread(target=self.feed, daemon=True).start()
        with contextlib.suppress(OSError):
            while data := os.read(self.descriptor, 32_768):
                self.socket.send(bytes([STDOUT]) + data)
        return os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1])

    def feed(self):
        with contextlib.suppress(OSError):
            while self.take():
                pass
        with contextlib.suppress(OSError):
            os.close(self.descriptor)

    def take(self):
        """One frame of kubectl's; False at its end."""
        data = self.socket.frame()
        if not data:
            return False
        if data[0] == STDIN:
            os.write(self.descriptor, data[1:])
        elif data[0] == RESIZE:
            size = json.loads(data[1:])
            fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", size["Height"], size["Width"], 0, 0))
        return True
