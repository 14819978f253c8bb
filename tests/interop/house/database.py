"""Users of PostgreSQL: roles at the server, connections at the gateway, and psql in front of both."""

import contextlib
import os
import subprocess

from . import postgres
from .tap import Tap
from .verdict import NotServed, Wrong

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
