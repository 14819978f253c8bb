"""A user of the gateway, with the real client."""

import contextlib
import os
import socket
import subprocess

from .program import Program, wait_until
from .terminal import Terminal
from .verdict import Wrong


class User:
    def __init__(self, house):
        self.hoop, self.folder = house.hoop, house.folder
        home = self.folder / "user"
        (home / ".hoop").mkdir(parents=True, exist_ok=True)
        (home / ".hoop/config.toml").write_text(
            f'token = "{house.gateway.token}"\n'
            f'api_url = "{house.gateway.api_url}"\n'
            f'grpc_url = "{house.gateway.grpc_url}"\n'
        )
        self.variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "TERM": "xterm",
            "HOOP_TLSCA": f"file://{self.folder}/ca.crt",
            "SSL_CERT_FILE": f"{self.folder}/ca.crt",
            "HOOP_DISABLE_VERSION_CHECK": "true",
        }
        self._number = 0

    def exec(self, connection, *words, stdin=None, seconds=60):
        """`hoop exec` to its end: exit code (None: it hangs), output, error output."""
        feed = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
        try:
            done = subprocess.run(
                [self.hoop, "exec", connection, *words],
                capture_output=True, env=self.variables, timeout=seconds, **feed,
            )
        except subprocess.TimeoutExpired as late:
            return None, late.stdout or b"", late.stderr or b""
        return done.returncode, done.stdout, done.stderr

    def start(self, *words):
        """The client in the background."""
        self._number += 1
        log = self.folder / f"user-{self._number}.log"
        return Program([self.hoop, *words], log, self.variables)

    @contextlib.contextmanager
    def forward(self, connection, port):
        """`hoop connect` of a TCP or database connection, listening on this port."""
        client = self.start("connect", connection, "--port", str(port))
        try:
            wait_until(lambda: accepts(port) or not client.is_running(), 20)
            if not client.is_running() or not accepts(port):
                raise Wrong(f"hoop connect {connection}: {client.said()[-400:]}")
            yield client
        finally:
            client.stop(seconds=5)

    def console(self, connection, rows=30, columns=100):
        return Terminal([self.hoop, "connect", connection], self.variables, rows, columns)


def accepts(port, address="0100007F"):
    """Whether somebody listens there; asks the kernel, since a visit would open a connection."""
    wanted = f"{address}:{port:04X}"
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table]
    return any(row[1] == wanted and row[3] == "0A" for row in rows)


def accepts_anywhere(port):
    return accepts(port) or accepts(port, "00000000")


def call(port, seconds=20):
    return socket.create_connection(("127.0.0.1", port), timeout=seconds)
