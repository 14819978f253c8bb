"""FerretDB, a server of MongoDB's protocol, and PyMongo, a client of it; scripts/interop installs both.

No package registry has MongoDB's own server. This one has logins by SCRAM-SHA-1 and -256, TLS, cursors and sessions, but
no replica sets, no logins that begin with the hello, and no compression.
"""

import os
import subprocess
from pathlib import Path

from . import database
from .peers import tools
from .program import Program, wait_until
from .user import accepts
from .verdict import NotJudged, expect

PORT, SECURE_PORT = 9280, 9281
OWNER, PASSWORD = "owner", "interop-owner-secret"
CLIENT = Path(__file__).parent.parent / "peers" / "mongo_client.py"


class Mongo:
    """Its one user at first is the owner; it keeps what it has over a restart."""

    def __init__(self, folder, certificates):
        self._program = tools() / "ferretdb"
        if not self._program.exists():
            raise NotJudged("no FerretDB: scripts/interop builds it where Go is")
        self._folder, self._certificates = folder / "mongo", certificates
        (self._folder / "data").mkdir(parents=True)
        self.start()

    def start(self):
        """Listens on both ports."""
        self.server = Program(
            [self._program, "--handler=sqlite", f"--sqlite-url=file:{self._folder}/data/", f"--state-dir={self._folder}",
             f"--listen-addr=127.0.0.1:{PORT}", f"--listen-tls=127.0.0.1:{SECURE_PORT}",
             f"--listen-tls-cert-file={self._certificates / 'gateway.crt'}",
             f"--listen-tls-key-file={self._certificates / 'gateway.key'}", "--debug-addr=-", "--telemetry=disable",
             "--log-level=error", "--test-enable-new-auth", f"--setup-username={OWNER}", f"--setup-password={PASSWORD}",
             "--setup-database=admin"],
            self._folder / "log", dict(os.environ),
        )
        is_up = lambda: accepts(PORT) and accepts(SECURE_PORT)  # noqa: E731
        wait_until(lambda: is_up() or not self.server.is_running(), 30)
        if not self.server.is_running() or not is_up():
            raise NotJudged(f"FerretDB does not start: {self.server.said()[-400:]}")

    def user(self, name, *mechanisms):
        """A user with the stored password, who logs in by these mechanisms alone."""
        done = client(f"mongodb://{OWNER}:{PASSWORD}@127.0.0.1:{PORT}/", "user", name, database.SECRET, *mechanisms)
        if done.returncode != 0:
            raise NotJudged(f"no user {name}: {done.stderr}")

    def stop(self, *how):
        self.server.stop(*how)


def connection(agent, name, string):
    """A connection of the gateway to the server of this string."""
    return agent.connection(name, "database", "mongodb", command=["true"], CONNECTION_STRING=string)


def string(user, port=PORT, options="", secret=database.SECRET):
    return f"mongodb://{user}:{secret}@localhost:{port}/?authSource=admin{options}"


def through(port, options=""):
    """As hoop's client tells its user to connect."""
    return f"mongodb://noop:noop@127.0.0.1:{port}/?directConnection=true{options}"


def client(uri, *words):
    """The client to its end."""
    return subprocess.run(words_of(uri, *words), capture_output=True, text=True, timeout=120)


def words_of(uri, *words):
    python = tools() / "venv/bin/python"
    return [str(python), str(CLIENT), uri, *words]


def works(uri, *words):
    """What a client says that has found all as it must be."""
    done = client(uri, *words)
    expect(done.returncode == 0, f"{uri} {words}: {done.stderr[-600:]}")
    return done.stdout
