"""Chromium behind the listener and at `hoop connect`: a login form, 50 MB down and up, an event stream, a WebSocket."""

import hashlib
import json
import os
import shutil
import subprocess

from cases.http import LISTENER, listen
from house import peers
from house.verdict import NotJudged, expect

CLIENT, BYTES = 9270, 50_000_000


def run(stage):
    chromium = shutil.which("chromium")
    if not chromium or not (peers.tools() / "node_modules/puppeteer-core").exists():
        raise NotJudged("there is no Chromium, or no puppeteer-core")
    file = peers.big(stage, BYTES)
    program = peers.node(stage, file)
    agent = stage.agent()
    name = agent.connection("page", "httpproxy", "httpproxy", REMOTE_URL=f"http://127.0.0.1:{peers.NODE}")
    body = f"{BYTES} {hashlib.sha256(file.read_bytes()).hexdigest()}"
    token = listen(stage, name)
    origin = f"https://localhost:{LISTENER}"
    walk(stage, chromium, f"{origin}/{token}/login", origin, body)
    with stage.user.forward(name, CLIENT):
        origin = f"http://127.0.0.1:{CLIENT}"
        walk(stage, chromium, f"{origin}/login", origin, body)
    expect(program.is_running(), f"the service: {program.said()[-300:]}")


def walk(stage, chromium, first, origin, body):
    script = stage.folder / f"node-{peers.NODE}" / "browser.mjs"
    words = ["node", str(script), chromium, first, origin]
    home = {"PATH": os.environ["PATH"], "HOME": str(stage.folder)}
    done = subprocess.run(words, capture_output=True, text=True, timeout=150, env=home)
    expect(done.returncode == 0, f"{origin}: {done.stderr[-400:]}")
    shown = json.loads(done.stdout)
    expect(shown["refused"] == 401, f"{origin}: a wrong password: {shown}")
    expect(shown["at"] == "/home" and shown["welcome"] == "welcome", f"{origin}: the login: {shown}")
    expect("theme" in shown["cookies"], f"{origin}: the service's cookies: {shown}")
    expect(shown["download"] == body, f"{origin}: 50 MB down: {shown}")
    expect(shown["upload"] == "same", f"{origin}: 50 MB up: {shown}")
    times = [int(event.split(":")[1]) for event in shown["events"].split()]
    expect(len(times) == 5 and times[4] - times[0] > 1000, f"{origin}: events: {shown}")
    expect(shown["socket"] == "hello 3000000 1000 true", f"{origin}: a WebSocket: {shown}")
