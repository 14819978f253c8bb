"""Whoever can't be logged in to a database hears why from psql, in one sentence, and the session lives on."""

from house import database
from house.verdict import expect

PORT = 9160


def run(stage):
    server, agent = stage.house.postgres, stage.agent()
    server.role("refused", database.SECRET)
    authority = (stage.house.folder / "ca.crt").read_text()
    cases = [
        ("wrong password", {"secret": "another-secret"}, "password authentication failed"),
        ("unknown role", {"role": "nobody_here"}, "password authentication failed"),
        ("untrusted", {"mode": "verify-full"}, "not signed by an authority that is trusted here"),
        ("other name", {"mode": "verify-full", "HOST": "127.0.0.2", "SSLROOTCERT": authority}, "HOST"),
    ]
    for number, (what, variables, text) in enumerate(cases):
        role = variables.pop("role", "refused")
        secret = variables.get("secret", database.SECRET)
        name = database.connection(agent, role, variables.pop("mode", "disable"), name=f"refused-{number}", **variables)
        with database.forward(stage, name, PORT + number) as tap:
            for _ in range(2):
                done = database.psql(PORT + number, "-c", "select 1")
                expect(done.returncode == 2 and text in done.stderr, f"{what}: {done}")
                expect(tap.client.is_running(), f"{what}: the client has ended")
            expect(secret not in done.stderr, f"{what}: the stored password is told")
    stage.house.postgres.run("drop role refused")
    return f"{len(cases)} refusals"
