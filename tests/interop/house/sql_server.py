"""A server of SQL Server's protocol, and users of it.

pysqlbridge (read-only) is installed by scripts/interop. `INTEROP_SQL_SERVER` names a program that serves another one,
such as Babelfish, in its place: it is called with port, certificate, key, user, password and an empty folder of its
own, listens on all of loopback when it can be used, and runs until it is ended.
"""

import json
import os
import subprocess

from . import database
from .peers import HERE, tools
from .program import Program, wait_until
from .user import accepts_anywhere
from .verdict import NotJudged, Wrong

PORT, USER = 9250, "served"
SECONDS_TO_START = 120


def is_bridge():
    return "INTEROP_SQL_SERVER" not in os.environ


def start(stage):
    """Ends with the stage."""
    house = stage.house.folder
    python, folder = tools() / "venv/bin/python", stage.folder / "sql-server"
    if not (python.parent / "pysqlbridge").exists():
        raise NotJudged("INTEROP_TOOLS has no pysqlbridge")
    folder.mkdir()
    words = [python, HERE / "tds_server.py"] if is_bridge() else [os.environ["INTEROP_SQL_SERVER"]]
    words += [str(PORT), house / "gateway.crt", house / "gateway.key", USER, database.SECRET, folder]
    server = stage.keep(Program(words, stage.folder / "sql-server.log", dict(os.environ)))
    wait_until(lambda: accepts_anywhere(PORT) or not server.is_running(), SECONDS_TO_START, 0.2)
    if not server.is_running():
        raise NotJudged(f"no SQL Server: {server.said()[-400:]}")
    return server


def connection(stage, agent, name, **variables):
    """A connection of the gateway; `SSLROOTCERT` is the house's own authority unless it is taken away by None."""
    variables = {
        "HOST": "127.0.0.1", "PORT": str(PORT), "USER": USER, "PASS": database.SECRET, "INSECURE": "false",
        "SSLROOTCERT": (stage.house.folder / "ca.crt").read_text(),
    } | variables
    given = {key: value for key, value in variables.items() if value is not None}
    return agent.connection(name, "database", "mssql", command=["true"], **given)


def ask(driver, port, *statements):
    """What each statement came to: rows, or a text that begins with `error:` or `no connection:`."""
    words = [tools() / "venv/bin/python", HERE / "tds_client.py", driver, str(port), *statements]
    done = subprocess.run(words, capture_output=True, text=True, timeout=90)
    lines = done.stdout.splitlines()
    if not lines:
        raise Wrong(f"{driver}: {done.stderr[-400:]}")
    return [json.loads(line) if line.startswith("[") else line for line in lines]


def disguises(secret):
    """The password as texts of the protocol have it, and as LOGIN7 hides it."""
    wide = secret.encode("utf-16-le")
    return [wide, bytes((byte << 4 & 0xF0 | byte >> 4) ^ 0xA5 for byte in wide)]
