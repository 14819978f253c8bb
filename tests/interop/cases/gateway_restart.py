"""The gateway is killed in mid transfer and comes back: the target hears of it, and the agent serves again."""

from house.program import wait_until
from house.services import SOURCE, read_exactly
from house.user import call
from house.verdict import expect


def run(stage):
    agent = stage.agent()
    shell, source = agent.shell(), agent.tcp(SOURCE)
    before = stage.services.ended[SOURCE]
    with stage.user.forward(source, 9120), call(9120) as peer:
        peer.sendall(b"!")
        read_exactly(peer, 1 << 20)
        stage.gateway.kill()
        heard = lambda: stage.services.ended[SOURCE] > before  # noqa: E731
        expect(wait_until(heard, 10), "the target does not hear of the end")
    stage.gateway.start()
    agent.wait_online(40)
    code, output, error = stage.user.exec(shell, "-i", "echo back")
    expect((code, output) == (0, b"back\n"), f"afterwards: {code} {output!r} {error[-200:]!r}")
    expect(agent.program.is_running(), "the agent has ended")
