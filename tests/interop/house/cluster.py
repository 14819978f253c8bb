"""As much of a Kubernetes API server as kubectl asks for: pods, a watch, a log, an exec over WebSocket, config maps
that are applied, a metrics API; with TLS and a token."""

import base64
import hashlib
import json
import struct
import time
import urllib.parse

from . import pods, web

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
    {"name": "configmaps", "singularName": "configmap", "namespaced": True, "kind": "ConfigMap", "shortNames": ["cm"],
     "verbs": ["get", "list", "create", "patch"]},
]
METRICS = "metrics.k8s.io/v1beta1"
METRICS_VERSION = {"groupVersion": METRICS, "version": "v1beta1"}
METRICS_GROUP = {"name": "metrics.k8s.io", "versions": [METRICS_VERSION], "preferredVersion": METRICS_VERSION}
METRICS_RESOURCES = [{"name": "pods", "singularName": "", "namespaced": True, "kind": "PodMetrics", "verbs": ["get", "list"]}]
USAGE = {"metadata": {"name": "p1", "namespace": "default"}, "timestamp": "2026-01-01T00:00:00Z", "window": "10s",
         "containers": [{"name": "c", "usage": {"cpu": "250m", "memory": "64Mi"}}]}
MAPS = "/api/v1/namespaces/default/configmaps"


def merged(old, new):
    """A JSON merge patch, which is what kubectl's is for a config map."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    both = {name: merged(old.get(name), value) for name, value in new.items()}
    return {name: value for name, value in {**old, **both}.items() if value is not None}


class Handler(web.Handler):
    def serve(self):
        path, _, query = self.path.partition("?")
        body = self.body()
        self.server.heads.append(str(self.headers))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.answer(b"{}", status=401, Content_Type="application/json")
        elif path == "/version":
            self.give({"major": "1", "minor": "32", "gitVersion": "v1.32.0"})
        elif path == "/api":
            self.give({"kind": "APIVersions", "versions": ["v1"]})
        elif path == "/apis":
            self.give({"kind": "APIGroupList", "apiVersion": "v1", "groups": [METRICS_GROUP]})
        elif path == f"/apis/{METRICS}":
            self.give({"kind": "APIResourceList", "groupVersion": METRICS, "resources": METRICS_RESOURCES})
        elif path == f"/apis/{METRICS}/namespaces/default/pods":
            self.give({"kind": "PodMetricsList", "apiVersion": METRICS, "metadata": {}, "items": [USAGE]})
        elif path.startswith(MAPS):
            self.maps(path.removeprefix(MAPS).strip("/"), json.loads(body or b"null"))
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

    do_GET = do_POST = do_HEAD = do_PATCH = serve

    def give(self, what, status=200):
        self.answer(json.dumps(what).encode(), status, Content_Type="application/json")

    def maps(self, name, sent):
        known = self.server.maps
        if self.command == "POST":
            name = sent["metadata"]["name"]
            known[name] = sent
        elif self.command == "PATCH":
            known[name] = merged(known[name], sent)
        if name in known:
            self.give(known[name], 201 if self.command == "POST" else 200)
        else:
            self.give({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}, 404)

    def exec(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.send_header("Sec-WebSocket-Protocol", "v5.channel.k8s.io")
        self.end_headers()
        query = urllib.parse.parse_qs(self.path.partition("?")[2])
        pods.exec_over(self, query["command"], "stdin" in query, "tty" in query)
        self.wfile.write(b"\x88\x02\x03\xe8")
        time.sleep(0.5)
        self.close_connection = True

    def send(self, data):
        head = struct.pack("!BB", 0x82, len(data)) if len(data) < 126 else struct.pack("!BBH", 0x82, 126, len(data))
        self.wfile.write(head + data)

    def frame(self):
        """What one frame of the user's says; nothing at its end."""
        head = self.rfile.read(2)
        if len(head) < 2 or head[0] & 15 == 8:
            return None
        size = head[1] & 127
        if size == 126:
            size = struct.unpack("!H", self.rfile.read(2))[0]
        elif size == 127:
            size = struct.unpack("!Q", self.rfile.read(8))[0]
        mask, data = self.rfile.read(4), self.rfile.read(size)
        return bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))


class Cluster(web.Service):
    def __init__(self, certificates):
        super().__init__(PORT, certificates, Handler)
        self.maps = {}
