"""A database server that is down, or dies in mid-query: its user is told at once, the log says why, and the session goes on."""

import subprocess
import time

from house import database
from house.program import wait_until
from house.verdict import expect

PORT = 9320
SLEEPING = "select pid from pg_stat_activity where usename = 'bereft' and query like 'select pg_sleep%' and state = 'active'"


def run(stage):
    server, agent = stage.house.postgres, stage.agent()
    server.role("bereft", database.SECRET)
    for number, mode in enumerate(["disable", "require"]):
        port = PORT + number
        with database.forward(stage, database.connection(agent, "bereft", mode), port) as tap:
            user = subprocess.Popen(
                database.words(port, "-c", "select pg_sleep(120)"), env=database.variables(),
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            expect(wait_until(lambda: server.run(SLEEPING).stdout.strip(), 20), f"{mode}: nobody sleeps")
            started = time.monotonic()
            server.run(f"select pg_terminate_backend({server.run(SLEEPING).stdout.strip()})")
            _, error = user.communicate(timeout=20)
            expect("terminating connection due to administrator command" in error, f"{mode}: {error}")
            expect(time.monotonic() - started < 5, f"{mode}: told after {time.monotonic() - started:.1f} s")
            expect(database.psql(port, "-c", "select 1").stdout == "1\n", f"{mode}: the session has ended")
            expect(tap.client.is_running(), f"{mode}: the client has ended")

    down = database.connection(agent, "bereft", name="down", PORT="1")
    client = stage.user.start("connect", down, "--port", str(PORT + 9))
    expect(wait_until(lambda: not client.is_running(), 20), "a session is opened to a server that is down")
    expect("refused" in client.said() and "port=1" in client.said(), f"down: {client.said()}")
