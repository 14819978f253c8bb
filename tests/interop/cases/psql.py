"""psql through the gateway, natively: the agent logs in with credentials that the user never has."""

import os
import subprocess

from house import postgres
from house.verdict import NotServed, Wrong, expect

ROLE, SECRET = "served", "interop-stored-secret"
PORT = 9130


def run(stage):
    stage.house.postgres.run(f"create role {ROLE} login password '{SECRET}'")
    bench = stage.agent().connection(
        "bench", "database", "postgres", command=["psql"],
        HOST="127.0.0.1", PORT=str(postgres.PORT), USER=ROLE, PASS=SECRET, DB="postgres", SSLMODE="disable",
    )
    try:
        with stage.user.forward(bench, PORT):
            talk(stage)
    except Wrong as wrong:
        if "does not serve" in str(wrong):
            raise NotServed("native PostgreSQL is refused by name") from None
        raise


def talk(stage):
    def psql(*words, password="noop"):
        return subprocess.run(
            ["psql", "-h", "127.0.0.1", "-p", str(PORT), "-U", "noop", "-d", "postgres", "-At", *words],
            env=dict(os.environ, PGPASSWORD=password), capture_output=True, text=True, timeout=40,
        )

    who = psql("-c", "select current_user")
    expect((who.returncode, who.stdout) == (0, f"{ROLE}\n"), f"{who}")
    many = psql("-c", "select generate_series(1, 100000)")
    expect(len(many.stdout.split()) == 100_000, f"{len(many.stdout)} bytes of rows")
    wrong = psql("-c", "select no_such_column")
    expect(wrong.returncode == 1 and "no_such_column" in wrong.stderr, f"{wrong}")
    expect(SECRET not in who.stderr + many.stderr + wrong.stderr, "the stored password is told")
