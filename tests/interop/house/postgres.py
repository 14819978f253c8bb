"""PostgreSQL of Debian: the gateway's own database, and the one that users of the agent log in to."""

import os
import shutil
import subprocess
from pathlib import Path

from .program import Program, wait_until
from .verdict import NotJudged

PORT = 5432
OWNER, PASSWORD = "interop", "interop-owner-secret"
GATEWAYS = "gateway"


class Postgres:
    def __init__(self, folder):
        programs = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
        if programs is None:
            raise NotJudged("no PostgreSQL below /usr/lib/postgresql (Debian: postgresql)")
        data = folder / "postgres"
        data.mkdir()
        shutil.chown(data, "postgres", "postgres")
        password = folder / "owner-password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        ordinary = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        subprocess.run(
            [*ordinary, programs / "initdb", "-D", data, "-U", OWNER, "--pwfile", password,
             "-A", "scram-sha-256", "--no-sync"],
            cwd="/", check=True, capture_output=True,
        )
        self.server = Program(
            [*ordinary, programs / "postgres", "-D", data, "-k", data, "-p", str(PORT),
             "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=300"],
            folder / "postgres.log", dict(os.environ),
        )
        if not wait_until(lambda: self.run(f"create database {GATEWAYS}").returncode == 0, 30, 0.2):
            raise NotJudged(f"PostgreSQL does not start: {self.server.said()[-400:]}")

    def run(self, statement, database="postgres"):
        """One statement as the owner, past agent and gateway."""
        return subprocess.run(
            ["psql", "-h", "127.0.0.1", "-p", str(PORT), "-U", OWNER, "-d", database, "-Atc", statement],
            env=dict(os.environ, PGPASSWORD=PASSWORD), capture_output=True, text=True,
        )

    def uri(self):
        return f"postgres://{OWNER}:{PASSWORD}@127.0.0.1:{PORT}/{GATEWAYS}?sslmode=disable"
