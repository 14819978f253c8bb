"""A deleted key ends every session and process behind it within the key check's time, and the program with 3."""

from house.program import is_running, wait_until
from house.services import ECHO, read_exactly
from house.user import call
from house.verdict import expect

SLEEPER = "sleep 7001.1"


def run(stage):
    agent = stage.agent(variables={
        "HOOP_LITE_KEY_CHECK_INTERVAL": "5s", "HOOP_LITE_EXIT_ON_REVOKED": "true",
    })
    client = stage.keep(stage.user.start("exec", agent.shell(), "-i", SLEEPER))
    with stage.user.forward(agent.tcp(ECHO), 9110), call(9110) as peer:
        peer.sendall(b"?")
        read_exactly(peer, 1)
        expect(wait_until(lambda: is_running(SLEEPER), 10), f"no command: {client.said()}")
        agent.delete_key()
        code = agent.program.wait(20)
        expect(code == 3, f"exit code {code}: {agent.program.said()[-300:]}")
        expect(wait_until(lambda: not is_running(SLEEPER), 1), "a process lives on")
        peer.settimeout(10)
        expect(peer.recv(1) == b"", "the user's connection lives on")
