"""As much of a Kubernetes API server as kubectl asks for: pods, a watch, a log, an exec over WebSocket; with TLS and a token."""

import base64
import hashlib
import json
import struct
import time

from . import web

PORT, TOKEN = 9220, "interop-cluster-token"


def pod(name, version):
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "resourceVersion": str(version), "uid": f"u{version}"},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
        "status": {"phase": "Running", "containerStatuses": [{"name": "c", "ready": True, "restartCount": 0}]},
    }


RESOURCES = [
    {"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod", "shortNames": ["po"],
     "verbs": ["get", "list", "watch", "create"]},
    {"name": "pods/log", "singularName": "", "namespaced": True, "kind": "Pod", "verbs": ["get"]},
    {"name": "pods/exec", "singularName": "", "namespaced": True, "kind": "PodExecOptions", "verbs": ["create", "get"]},
]


class Handler(web.Handler):
    def serve(self):
        path, _, query = self.path.partition("?")
        self.body()
        self.server.heads.append(str(self.headers))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.answer(b"{}", status=401, Content_Type="application/json")
        elif path == "/version":
            self.give({"major": "1", "minor": "32", "gitVersion": "v1.32.0"})
        elif path == "/api":
            self.give({"kind": "APIVersions", "versions": ["v1"]})
        elif path == "/apis":
            self.give({"kind": "APIGroupList", "apiVersion": "v1", "groups": []})
        elif path == "/api/v1":
            self.give({"kind": "APIResourceList", "groupVersion": "v1", "resources": RESOURCES})
        elif path == "/api/v1/namespaces/default/pods" and "watch=true" in query:
            events = [{"type": "ADDED", "object": pod(f"new{number}", 100 + number)} for number in range(4)]
            self.stream("application/json", [json.dumps(event).encode() + b"\n" for event in events], 0.6)
        elif path == "/api/v1/namespaces/default/pods":
            pods = {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "99"}, "items": [pod("p1", 1)]}
            self.give(pods)
        elif path == "/api/v1/namespaces/default/pods/p1":
            self.give(pod("p1", 1))
        elif path.endswith("/log"):
            self.stream("text/plain", [b"line %d\n" % number for number in range(5)], 0.4)
        elif path.endswith("/exec"):
            self.exec()
        else:
            self.answer(b"{}", status=404, Content_Type="application/json")

    do_GET = do_POST = do_HEAD = serve

    def give(self, what):
        self.answer(json.dumps(what).encode(), Content_Type="application/json")

    def exec(self):
        """Sends back what comes on channel 0, up to its end; then says that all went well."""
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.send_header("Sec-WebSocket-Protocol", "v5.channel.k8s.io")
        self.end_headers()
        if "stdin=true" in self.path:
            while (data := self.frame()) and data[:1] == b"\0":
                self.send(b"\1" + data[1:])
        else:
            self.send(b"\1hi\n")
        self.send(b"\3" + json.dumps({"kind": "Status", "apiVersion": "v1", "status": "Success"}).encode())
        self.wfile.write(b"\x88\x02\x03\xe8")
        self.frame()
        time.sleep(0.1)
        self.close_connection = True

    def send(self, data):
        head = struct.pack("!BB", 0x82, len(data)) if len(data) < 126 else struct.pack("!BBH", 0x82, 126, len(data))
        self.wfile.write(head + data)

    def frame(self):
        head = self.rfile.read(2)
        if len(head) < 2 or head[0] & 15 == 8:
            return None
        size = head[1] & 127
        if size == 126:
            size = struct.unpack("!H", self.rfile.read(2))[0]
        mask, data = self.rfile.read(4), self.rfile.read(size)
        return bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))


class Cluster(web.Service):
    def __init__(self, certificates):
        super().__init__(PORT, certificates, Handler)
