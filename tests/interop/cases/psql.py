"""psql through the gateway, natively: every method, SSLMODE and size, with credentials that the user never has."""

from house import database, postgres
from house.verdict import expect

PORT = 9130
MODES = ["disable", "prefer", "require", "verify-full"]


def run(stage):
    server, agent = stage.house.postgres, stage.agent()
    authority = (stage.house.folder / "ca.crt").read_text()
    for role, method in postgres.ROLES.items():
        server.role(role, database.SECRET, "md5" if method == "md5" else "scram-sha-256")
    server.role("secured", database.SECRET)
    port = PORT
    for role in [*postgres.ROLES, "secured"]:
        for mode in MODES[2:] if role == "secured" else MODES:
            name = database.connection(agent, role, mode, SSLROOTCERT=authority)
            with database.forward(stage, name, port):
                talk(port, role, mode)
            port += 1
    said = agent.program.said()
    expect(database.SECRET not in said, "the stored password is in the log")
    return f"{port - PORT} connections of every method and mode"


def talk(port, role, mode):
    where = f"{role} with SSLMODE={mode}"
    who = database.psql(port, "-c", "select current_user, ssl from pg_stat_ssl where pid = pg_backend_pid()")
    secure = "f" if mode == "disable" else "t"
    expect((who.returncode, who.stdout) == (0, f"{role}|{secure}\n"), f"{where}: {who}")
    many = database.psql(port, "-c", "select generate_series(1, 100000)")
    expect(len(many.stdout.split()) == 100_000, f"{where}: {len(many.stdout)} bytes of rows")
    wrong = database.psql(port, "-c", "select no_such_column")
    expect(wrong.returncode == 1 and "no_such_column" in wrong.stderr, f"{where}: {wrong}")
    sent = database.psql(port, "-c", "create temp table t(x text)", "-c", f"insert into t values ('{'y' * 100000}')",
                         "-c", "select length(x) from t")
    expect(sent.stdout.split()[-1] == "100000", f"{where}: {sent}")
    rows = database.psql(port, "-c", "select repeat('K', 5000000)")
    expect(rows.stdout == "K" * 5_000_000 + "\n", f"{where}: {len(rows.stdout)} bytes of K")
