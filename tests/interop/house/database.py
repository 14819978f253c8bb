"""Users of PostgreSQL: roles at the server, connections at the gateway, and psql in front of both."""

import base64
import contextlib
import json
import os
import subprocess

from . import postgres
from .program import wait_until
from .tap import Tap
from .verdict import NotServed, Wrong, expect

# Of every role; what users must never get to see.
SECRET = "interop-stored-secret"
BEHIND = 1000


def connection(agent, role, mode="disable", secret=SECRET, name=None, **more):
    """A connection of the gateway that logs in as this role."""
    variables = {
        "HOST": "localhost", "PORT": str(postgres.PORT), "USER": role, "PASS": secret, "DB": "postgres",
        "SSLMODE": mode,
    }
    return agent.connection(name or f"{role}-{mode}", "database", "postgres", command=["psql"], **variables | more)


@contextlib.contextmanager
def forward(stage, name, port):
    """`hoop connect` of it, with a tap on what its users are sent."""
    try:
        with stage.user.forward(name, port + BEHIND) as client:
            tap = Tap(port, port + BEHIND)
            tap.client = client
            try:
                yield tap
            finally:
                tap.close()
    except Wrong as wrong:
        if "does not serve" in str(wrong):
            raise NotServed("native databases are refused by name") from None
        raise
    if SECRET.encode() in tap.answers():
        raise Wrong("the stored password is told")


def words(port, *more):
    """psql as a user calls it."""
    return ["psql", "-h", "127.0.0.1", "-p", str(port), "-U", "noop", "-d", "postgres", "-At", *more]


def variables():
    return dict(os.environ, PGPASSWORD="noop", PGCONNECT_TIMEOUT="30")


def psql(port, *more):
    """psql to its end."""
    return subprocess.run(words(port, *more), env=variables(), capture_output=True, text=True, timeout=60)


def recorded(stage, connection, wanted):
    """Whether the gateway shows these statements of this connection's last session; they are written when that is over."""
    def statements():
        sessions = stage.gateway.call("GET", f"/sessions?connection={connection}&limit=1")["data"]
        session = sessions[0]["id"] if sessions else ""
        record = stage.gateway.call("GET", f"/sessions/{session}?expand=event_stream&event_stream=raw-queries")
        expect(SECRET not in json.dumps(record), "the stored password is in the record")
        return [base64.b64decode(event[2]).decode(errors="replace") for event in record.get("event_stream") or []]

    found = lambda: all(any(text in statement for statement in statements()) for text in wanted)  # noqa: E731
    expect(wait_until(found, 20, 0.5), f"{connection}: {statements()}")
