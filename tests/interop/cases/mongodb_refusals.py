"""Whoever can't be logged in to MongoDB hears why from his driver, the session lives on, and so it does when the server dies."""

import signal
import subprocess

from house import database, mongo
from house.program import wait_until
from house.verdict import expect

PORT = 9270


def run(stage):
    server = stage.keep(mongo.Mongo(stage.folder, stage.house.folder))
    server.user("refused")
    agent = stage.agent()
    cases = [
        ("wrong password", mongo.string("refused", secret="another-secret"), "check user and password"),
        ("unknown user", mongo.string("nobody_here"), "check user and password"),
        ("untrusted", mongo.string("refused", mongo.SECURE_PORT, "&tls=true"), "not signed by an authority that is trusted here"),
        ("all down", mongo.string("refused").replace(f"localhost:{mongo.PORT}", "localhost:1,localhost:2"), "localhost:2 can't be reached"),
    ]
    for number, (what, string, text) in enumerate(cases):
        port = PORT + number
        with database.forward(stage, mongo.connection(agent, f"refused-{number}", string), port) as tap:
            for _ in range(2):
                # A driver looks for a server for so long before it says why there is none.
                done = mongo.client(mongo.through(port, "&serverSelectionTimeoutMS=2000"), "once")
                expect(done.returncode == 1 and text in done.stderr, f"{what}: {done}")
                expect(tap.client.is_running(), f"{what}: the client has ended")
            expect("secret" not in done.stderr, f"{what}: the stored password is told")

    down = mongo.connection(agent, "down", mongo.string("refused", 1))
    client = stage.user.start("connect", down, "--port", str(PORT + 8))
    expect(wait_until(lambda: not client.is_running(), 20), "a session is opened to a server that is down")
    expect("refused" in client.said() and "port=1" in client.said(), f"down: {client.said()}")
    killed(stage, server, agent)
    expect("-secret" not in agent.program.said(), "a stored password is in the log")
    return f"{len(cases) + 2} refusals"


def killed(stage, server, agent):
    """The server is killed while it is used, and comes back."""
    port = PORT + 9
    with database.forward(stage, mongo.connection(agent, "killed", mongo.string("refused")), port) as tap:
        mongo.works(mongo.through(port), "work", "refused")
        user = subprocess.Popen(
            mongo.words_of(mongo.through(port, "&serverSelectionTimeoutMS=2000&socketTimeoutMS=20000"), "stay"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        stage.callback(user.kill)
        expect(ask(user)[1] == "changed", "nothing is found")
        server.stop(signal.SIGKILL)
        seconds, said = ask(user)
        expect("AutoReconnect" in said or "can't be reached" in said, f"killed: {said}")
        expect(seconds < 10, f"told after {seconds} s")
        server.start()
        expect(wait_until(lambda: ask(user)[1] == "changed", 30), "the session does not come back")
        expect(tap.client.is_running(), "the client has ended")


def ask(user):
    """How soon something was said, and what."""
    user.stdin.write("\n")
    user.stdin.flush()
    seconds, _, said = user.stdout.readline().strip().partition(" ")
    return float(seconds or 0), said
