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
# Roles that users of the agent log in as, each let in by a method of its own.
ROLES = {"trusting": "trust", "clear": "password", "digest": "md5", "scrambled": "scram-sha-256"}
RULES = """\
local all all scram-sha-256
hostssl all secured 127.0.0.1/32 scram-sha-256
{roles}
host all all 127.0.0.1/32 scram-sha-256
"""


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
        rules = "\n".join(f"host all {role} 127.0.0.1/32 {method}" for role, method in ROLES.items())
        (data / "pg_hba.conf").write_text(RULES.format(roles=rules))
        for name in ("gateway.crt", "gateway.key"):
            shutil.copy(folder / name, data / name)
            shutil.chown(data / name, "postgres", "postgres")
            (data / name).chmod(0o600)
        secure = ["-c", "ssl=on", "-c", "ssl_cert_file=gateway.crt", "-c", "ssl_key_file=gateway.key"]
        self.server = Program(
            [*ordinary, programs / "postgres", "-D", data, "-k", data, "-p", str(PORT),
             "-c", "listen_addresses=127.0.0.1,127.0.0.2", "-c", "fsync=off", "-c", "max_connections=400", *secure],
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

    def role(self, name, password, setting="scram-sha-256"):
        """A role that may log in, its password kept in this way."""
        statement = f"set password_encryption='{setting}'; create role {name} login password '{password}'"
        if (done := self.run(statement)).returncode != 0:
            raise NotJudged(f"no role {name}: {done.stderr}")

    def uri(self):
        return f"postgres://{OWNER}:{PASSWORD}@127.0.0.1:{PORT}/{GATEWAYS}?sslmode=disable"
