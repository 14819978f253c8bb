"""Ctrl-C in psql cancels the query that runs there, with other sessions open, plain and over TLS; a query whose client vanishes is cancelled, too."""

import signal
import subprocess
import time

from house import database
from house.program import wait_until
from house.verdict import expect

PORT = 9170
SLEEPING = "select count(*) from pg_stat_activity where usename = 'patient' and query like 'select pg_sleep%' and state = 'active'"


def run(stage):
    server, agent = stage.house.postgres, stage.agent()
    server.role("patient", database.SECRET)
    sleeping = lambda: int(server.run(SLEEPING).stdout or 0)  # noqa: E731
    for number, mode in enumerate(["disable", "require"]):
        port = PORT + number
        name = database.connection(agent, "patient", mode)
        with database.forward(stage, name, port):
            users = [start(port) for _ in range(3)]
            expect(wait_until(lambda: sleeping() == 3, 20), f"{mode}: {sleeping()} of 3 sleep")
            users[1].send_signal(signal.SIGINT)
            expect(wait_until(lambda: sleeping() == 2, 10), f"{mode}: {sleeping()} sleep after Ctrl-C")
            _, error = users[1].communicate(timeout=20)
            expect("canceling statement due to user request" in error, f"{mode}: {error}")
            time.sleep(1)
            expect(all(user.poll() is None for user in (users[0], users[2])), f"{mode}: another one ended")
            for user in (users[0], users[2]):
                user.kill()
                user.communicate()
            expect(wait_until(lambda: sleeping() == 0, 10), f"{mode}: {sleeping()} sleep for nobody")


def start(port):
    return subprocess.Popen(
        database.words(port, "-c", "select pg_sleep(120)"), env=database.variables(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
