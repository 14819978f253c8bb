"""The mariadb client through the gateway, natively, plain and over TLS, with credentials that the user never has."""

import subprocess

from house import database, mariadb
from house.verdict import expect

PORT = 9190
MODES = ["disable", "prefer", "require", "verify-full"]


def run(stage):
    server = stage.keep(mariadb.Mariadb(stage.folder, stage.house.folder))
    server.run("create database app")
    for host in ("127.0.0.1", "localhost"):
        server.run(f"create user served@'{host}' identified by '{database.SECRET}'")
        server.run(f"grant all on app.* to served@'{host}'")
    agent = stage.agent()
    authority = (stage.house.folder / "ca.crt").read_text()
    for number, mode in enumerate(MODES):
        port = PORT + number
        name = agent.connection(
            f"maria-{mode}", "database", "mysql", command=["mysql"], HOST="localhost", PORT=str(mariadb.PORT),
            USER="served", PASS=database.SECRET, DB="app", SSLMODE=mode, SSLROOTCERT=authority,
        )
        with database.forward(stage, name, port):
            talk(port, mode)
    name = agent.connection(
        "maria-wrong", "database", "mysql", command=["mysql"], HOST="localhost", PORT=str(mariadb.PORT),
        USER="served", PASS="another-secret", SSLMODE="require",
    )
    with database.forward(stage, name, PORT + 9) as tap:
        for _ in range(3):
            done = client(PORT + 9, "select 1")
            expect(done.returncode == 1 and "1045" in done.stderr, f"wrong password: {done}")
        expect(tap.client.is_running(), "the client has ended")
    expect(database.SECRET not in agent.program.said(), "the stored password is in the log")
    return f"{len(MODES)} modes"


def talk(port, mode):
    who = client(port, "select substring_index(current_user(), '@', 1)")
    expect((who.returncode, who.stdout) == (0, "served\n"), f"{mode}: {who}")
    secure = client(port, "show status like 'Ssl_version'")
    expect(("TLS" in secure.stdout) == (mode != "disable"), f"{mode}: {secure}")
    many = client(port, "select seq from seq_1_to_100000")
    expect(len(many.stdout.split()) == 100_000, f"{mode}: {len(many.stdout)} bytes of rows")
    wrong = client(port, "select no_such_column")
    expect(wrong.returncode == 1 and "no_such_column" in wrong.stderr, f"{mode}: {wrong}")


def client(port, statement):
    return subprocess.run(
        ["mariadb", "--no-defaults", "-h127.0.0.1", f"-P{port}", "-unoop", "-pnoop", "--skip-ssl", "-Ne", statement],
        capture_output=True, text=True, timeout=60,
    )
