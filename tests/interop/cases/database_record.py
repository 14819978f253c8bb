"""The gateway's record of a session has the queries of psql, of pgbench's prepared statements and of the mariadb client, and no stored password."""

import subprocess
from pathlib import Path

from house import database, mariadb
from house.verdict import expect

PORT = 9310


def run(stage):
    stage.house.postgres.role("recorded", database.SECRET)
    agent = stage.agent()
    name = database.connection(agent, "recorded", "require")
    with database.forward(stage, name, PORT):
        expect(database.psql(PORT, "-c", "select 17 as simple").stdout == "17\n", "a simple query")
        script = stage.folder / "script"
        script.write_text("select 19 as prepared;\n")
        done = subprocess.run(
            [max(Path("/usr/lib/postgresql").glob("*/bin")) / "pgbench", "-n", "-M", "prepared", "-t", "5",
             "-f", script, "-h", "127.0.0.1", "-p", str(PORT), "-U", "noop", "postgres"],
            env=database.variables(), capture_output=True, text=True, timeout=60,
        )
        expect(done.returncode == 0 and "5/5" in done.stdout, f"pgbench: {done}")
    database.recorded(stage, name, ["select 17 as simple", "select 19 as prepared;"])

    server = stage.keep(mariadb.Mariadb(stage.folder, stage.house.folder))
    server.run(f"create user recorded@'%' identified by '{database.SECRET}'")
    name = agent.connection(
        "maria-recorded", "database", "mysql", command=["mysql"], HOST="127.0.0.1", PORT=str(mariadb.PORT),
        USER="recorded", PASS=database.SECRET, SSLMODE="require",
    )
    with database.forward(stage, name, PORT + 1):
        done = subprocess.run(
            ["mariadb", "--no-defaults", "-h127.0.0.1", f"-P{PORT + 1}", "-unoop", "-pnoop", "--skip-ssl", "-Ne",
             "select 23 as text"],
            capture_output=True, text=True, timeout=60,
        )
        expect(done.stdout == "23\n", f"mariadb: {done}")
    database.recorded(stage, name, ["select 23 as text"])

