"""Embedded mode: not connected until a user comes, who then sees the application's variables, but never the key."""

from house.program import wait_until
from house.verdict import expect


def run(stage):
    agent = stage.agent("embedded", {"APP_COLOUR": "green"})
    asks = lambda: (stage.gateway.agent(agent.name) or {}).get("status") == "CONNECTED"  # noqa: E731
    expect(wait_until(asks, 20, 0.2), f"the gateway does not see it ask: {agent.program.said()[-300:]}")
    code, output, error = stage.user.exec(agent.shell(), "-i", "echo $APP_COLOUR; env")
    expect(code == 0 and output.startswith(b"green\n"), f"{code} {output[:200]!r} {error[-200:]!r}")
    expect(agent.key.encode() not in output, "the session sees the key")
