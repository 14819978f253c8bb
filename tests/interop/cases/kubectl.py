"""kubectl through the client and through the listener, with the stored token: get, watch, logs -f, exec also -it, cp, apply, top."""

import json
import os
import shutil
import subprocess
import time

from cases.http import LISTENER, listen
from house import cluster
from house.terminal import Terminal
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


def command(config, stage, *words):
    return ["kubectl", "--kubeconfig", str(config), "--cache-dir", str(stage.folder / "cache"), *words]


def talk(stage, door, place, user):
    config = stage.folder / f"{door}.json"
    config.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": place}], "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }))

    def kubectl(*words, stdin=None, ends=True):
        done = subprocess.run(command(config, stage, *words), input=stdin, capture_output=True, text=True, timeout=60)
        expect(not ends or done.returncode == 0, f"{door}: {' '.join(words)}: {done}")
        return done.stdout

    expect("p1" in kubectl("get", "pods"), f"{door}: get")
    expect("v1.32.0" in kubectl("get", "--raw", "/version"), f"{door}: get --raw")
    # By the listener an end looks like a cut.
    log = kubectl("logs", "-f", "p1", ends=door == "client")
    expect(log.splitlines() == [f"line {number}" for number in range(5)], f"{door}: logs: {log!r}")
    expect(kubectl("exec", "p1", "--", "echo", "hi") == "hi\n", f"{door}: exec")
    expect(kubectl("exec", "-i", "p1", "--", "cat", stdin="abc\n" * 5000) == "abc\n" * 5000, f"{door}: exec -i")
    copied, back = stage.folder / f"{door}.there", stage.folder / f"{door}.back"
    kubectl("cp", str(config), f"p1:{copied}")
    kubectl("cp", f"p1:{copied}", str(back))
    expect(copied.read_bytes() == back.read_bytes() == config.read_bytes(), f"{door}: cp")
    said = []
    for value in ["1", "1", "2"]:
        map_ = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": door, "namespace": "default"}, "data": {"a": value}}
        said.append(kubectl("apply", "--validate=false", "-f", "-", stdin=json.dumps(map_)).split()[-1])
    expect(said == ["created", "unchanged", "configured"], f"{door}: apply: {said}")
    expect("250m" in kubectl("top", "pods"), f"{door}: top")
    watch(config, stage, door)
    console(config, stage, door)


def console(config, stage, door):
    words = command(config, stage, "exec", "-it", "p1", "--", "bash", "--norc")
    terminal = stage.keep(Terminal(words, {**os.environ, "TERM": "xterm"}, rows=30, columns=100))
    terminal.expect(r"[$#] ")
    terminal.type("tty; stty size\n")
    terminal.expect(r"/dev/pts/\d+\r\n30 100")
    terminal.type("sleep 1000\n")
    terminal.expect("sleep 1000")
    terminal.type("\x03")
    terminal.type("echo interrupted-$?\n")
    terminal.expect("interrupted-130")
    terminal.type("exit 5\n")
    code = terminal.exit_code()
    expect(code == 5, f"{door}: exec -it: exit code {code}")


def watch(config, stage, door):
    with subprocess.Popen(command(config, stage, "get", "pods", "-w"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        times = []
        while len(times) < 4 and (line := program.stdout.readline()):
            if line.startswith("new"):
                times.append(time.monotonic())
        program.terminate()
    expect(len(times) == 4 and times[3] - times[0] > 0.4, f"{door}: watch: {times}")
