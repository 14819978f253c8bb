"""`admin create`, `get` and `delete agent` with the gateway's REST API; the key that it prints connects."""

import json
import os
import subprocess

from house.agent import credentials
from house.program import Program, wait_until
from house.verdict import expect

NAME = "made-by-admin"


def run(stage):
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(stage.folder),
        "HOOP_TLSCA": f"file://{stage.house.folder}/ca.crt",
    }

    def admin(*words):
        return subprocess.run(
            [stage.house.binary, "admin", *words],
            env=variables | credentials(stage.house), capture_output=True, text=True, timeout=60,
        )

    made = admin("create", "agent", NAME)
    expect(made.returncode == 0, f"create: {made.stderr}")
    key = made.stdout.strip()
    agent = stage.keep(Program([stage.house.binary], stage.folder / "log", variables | {"HOOP_KEY": key}))
    online = wait_until(lambda: stage.gateway.is_online(NAME), 20, 0.2)
    expect(online, f"the key does not connect: {agent.said()[-400:]}")

    listed = admin("get", "agents")
    expect(NAME in listed.stdout, f"get agents: {listed.stdout} {listed.stderr}")
    told = admin("get", "agent", NAME, "-o", "json")
    expect(told.returncode == 0 and NAME in json.dumps(json.loads(told.stdout)), f"get agent: {told}")

    again = admin("create", "agent", NAME)
    expect(again.returncode != 0 and again.stderr, "the same name twice is no error")
    gone = admin("delete", "agent", NAME)
    expect(gone.returncode == 0 and stage.gateway.agent(NAME) is None, f"delete: {gone.stderr}")
