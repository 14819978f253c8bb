"""The agent under judgement, and the connections that it serves."""

import base64
import os
import signal

from .program import Program, wait_until
from .verdict import Wrong


class Agent:
    def __init__(self, house, name, mode="standard"):
        self.house, self.name, self.mode = house, name, mode
        self.key = house.gateway.call("POST", "/agents", {"name": name, "mode": mode})["token"]
        self.program = None

    def variables(self, more=None):
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.house.folder),
            "HOOP_KEY": self.key,
            "HOOP_TLSCA": f"file://{self.house.folder}/ca.crt",
            "LOG_ENCODING": "console",
        } | (more or {})

    def start(self, variables=None):
        log = self.house.folder / f"agent-{self.name}.log"
        self.program = Program([self.house.binary, "start", "agent"], log, self.variables(variables))
        if self.mode == "standard":
            self.wait_online()
        return self

    def wait_online(self, seconds=30):
        is_online = lambda: self.house.gateway.is_online(self.name)  # noqa: E731
        if not wait_until(is_online, seconds, 0.2):
            raise Wrong(f"the agent does not come online: {self.program.said()[-600:]}")

    def stop(self):
        if self.program:
            self.program.stop(signal.SIGTERM)

    def delete_key(self):
        self.house.gateway.call("DELETE", f"/agents/{self.name}")

    def connection(self, name, kind, subtype="", command=(), **variables):
        """Creates one at the gateway; the name by which users reach it."""
        full = f"{self.name}-{name}"
        secrets = {
            f"envvar:{name}": base64.b64encode(value.encode()).decode()
            for name, value in variables.items()
        }
        self.house.gateway.call("POST", "/connections", {
            "name": full,
            "type": kind,
            "subtype": subtype,
            "agent_id": self.house.gateway.agent(self.name)["id"],
            "command": list(command),
            "secret": secrets,
            "access_mode_runbooks": "enabled",
            "access_mode_exec": "enabled",
            "access_mode_connect": "enabled",
            "access_schema": "disabled",
        })
        return full

    def shell(self, **variables):
        return self.connection("shell", "custom", command=["bash"], **variables)

    def tcp(self, port):
        return self.connection(
            f"tcp-{port}", "application", "tcp", HOST="127.0.0.1", PORT=str(port)
        )


def credentials(house):
    """What `hoop-lite admin` is given instead of a config.toml."""
    return {
        "HOOP_APIURL": house.gateway.api_url,
        "HOOP_GRPCURL": house.gateway.grpc_url,
        "HOOP_TOKEN": house.gateway.token,
    }
