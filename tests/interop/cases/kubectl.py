"""kubectl through the client and through the listener: get, watch, logs -f, exec, exec -i, with the stored token."""

import json
import shutil
import subprocess
import time

from cases.http import LISTENER, listen
from house import cluster
from house.verdict import NotJudged, NotServed, Wrong, expect

CLIENT = 9230


def run(stage):
    if not shutil.which("kubectl"):
        raise NotJudged("there is no kubectl")
    server = stage.keep(cluster.Cluster(stage.house.folder))
    agent = stage.agent(variables={"SSL_CERT_FILE": str(stage.house.folder / "ca.crt")})
    name = agent.connection("kube", "custom", "kubernetes", KUBERNETES_CLUSTER_URL=f"https://localhost:{cluster.PORT}",
                            KUBERNETES_BEARER_TOKEN=cluster.TOKEN)
    try:
        with stage.user.forward(name, CLIENT):
            talk(stage, "client", {"server": f"http://127.0.0.1:{CLIENT}"}, {"token": "noop"})
    except Wrong as wrong:
        if "does not serve" in str(wrong):
            raise NotServed("kubernetes is refused by name") from None
        raise
    token = listen(stage, name)
    authority = str(stage.house.folder / "ca.crt")
    place = {"server": f"https://localhost:{LISTENER}", "certificate-authority": authority}
    talk(stage, "listener", place, {"token": token})
    expect(cluster.TOKEN not in agent.program.said(), "the token is in the log")
    return f"{len(server.heads)} requests"


def talk(stage, door, place, user):
    config = stage.folder / f"{door}.json"
    config.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": place}], "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }))

    def kubectl(*words, stdin=None, ends=True):
        command = ["kubectl", "--kubeconfig", str(config), "--cache-dir", str(stage.folder / "cache"), *words]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)
        expect(not ends or done.returncode == 0, f"{door}: {' '.join(words)}: {done}")
        return done.stdout

    expect("p1" in kubectl("get", "pods"), f"{door}: get")
    expect("v1.32.0" in kubectl("get", "--raw", "/version"), f"{door}: get --raw")
    # By the listener an end looks like a cut.
    log = kubectl("logs", "-f", "p1", ends=door == "client")
    expect(log.splitlines() == [f"line {number}" for number in range(5)], f"{door}: logs: {log!r}")
    expect(kubectl("exec", "p1", "--", "echo", "hi") == "hi\n", f"{door}: exec")
    expect(kubectl("exec", "-i", "p1", "--", "cat", stdin="abc\n" * 5000) == "abc\n" * 5000, f"{door}: exec -i")
    watch(config, stage, door)


def watch(config, stage, door):
    command = ["kubectl", "--kubeconfig", str(config), "--cache-dir", str(stage.folder / "cache"), "get", "pods", "-w"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        times = []
        while len(times) < 4 and (line := program.stdout.readline()):
            if line.startswith("new"):
                times.append(time.monotonic())
        program.terminate()
    expect(len(times) == 4 and times[3] - times[0] > 0.4, f"{door}: watch: {times}")
