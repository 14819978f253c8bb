"""The real gateway, and an administrator's calls of its REST API."""

import base64
import http.client
import json
import os
import signal
import ssl

from .program import Program, wait_until
from .verdict import NotJudged

REST, GRPC = 8009, 8010
EMAIL, PASSWORD = "admin@interop.test", "interop-admin-1"


class Gateway:
    def __init__(self, hoop, folder, postgres, is_plaintext):
        self.hoop, self.folder, self.postgres = hoop, folder, postgres
        self.is_plaintext = is_plaintext
        secure = "" if is_plaintext else "s"
        self.api_url = f"http{secure}://localhost:{REST}"
        self.grpc_url = f"grpc{secure}://localhost:{GRPC}"
        self.token = None
        self.program = None
        self.start()
        owner = {"email": EMAIL, "password": PASSWORD, "name": "admin"}
        self.call("POST", "/localauth/register", owner)
        _, headers, _ = self.request("POST", "/localauth/login", owner)
        self.token = headers["token"]

    def start(self):
        home = self.folder / "gateway-home"
        home.mkdir(exist_ok=True)

        def inline(name):
            return "base64://" + base64.b64encode((self.folder / name).read_bytes()).decode()

        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "POSTGRES_DB_URI": self.postgres.uri(),
            "API_URL": self.api_url,
            "GRPC_URL": self.grpc_url,
            "AUTH_METHOD": "local",
            "ANALYTICS_TRACKING": "disabled",
            "LOG_ENCODING": "console",
            "GIN_MODE": "release",
        }
        if not self.is_plaintext:
            variables |= {"TLS_KEY": inline("gateway.key"), "TLS_CERT": inline("gateway.crt")}
        self.program = Program(
            [self.hoop, "start", "gateway"], self.folder / "gateway.log", variables, home
        )
        if not wait_until(self._is_up, 60, 0.2):
            raise NotJudged(f"the gateway does not start: {self.program.said()[-800:]}")

    def _is_up(self):
        try:
            return self.request("GET", "/healthz")[0] == 200
        except OSError:
            return False

    def kill(self):
        self.program.stop(signal.SIGKILL)

    def request(self, method, path, body=None):
        """Status, headers with lower-case names, and the answer's bytes."""
        if self.is_plaintext:
            link = http.client.HTTPConnection("localhost", REST, timeout=90)
        else:
            trust = ssl.create_default_context(cafile=self.folder / "ca.crt")
            link = http.client.HTTPSConnection("localhost", REST, timeout=90, context=trust)
        headers = {"content-type": "application/json"}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        link.request(method, f"/api{path}", body and json.dumps(body), headers)
        answer = link.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, names, answer.read()

    def call(self, method, path, body=None):
        """The answer's JSON; whatever is not a success can not be judged."""
        status, _, answer = self.request(method, path, body)
        if status >= 300:
            raise NotJudged(f"{method} {path}: {status} {answer[:300]!r}")
        return json.loads(answer) if answer else None

    def agent(self, name):
        agents = self.call("GET", "/agents") or []
        return next((agent for agent in agents if agent["name"] == name), None)

    def is_online(self, name):
        return (self.agent(name) or {}).get("status") == "CONNECTED"
