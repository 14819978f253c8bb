"""Web servers that others wrote: nginx, uvicorn with an ASGI application, Node with `ws`; and a WebSocket user of theirs.

scripts/interop installs them; `INTEROP_TOOLS` is the folder with `venv` and `node_modules`.
"""

import os
import shutil
import subprocess
from pathlib import Path

from . import web
from .program import Program, wait_until
from .user import accepts
from .verdict import NotJudged

HERE = Path(__file__).parent.parent / "peers"
NODE, NODE_SECURE, ASGI, NGINX, NGINX_SECURE = 9240, 9241, 9242, 9243, 9244


def tools():
    folder = os.environ.get("INTEROP_TOOLS")
    if not folder or not Path(folder, "venv/bin/python").exists() or not Path(folder, "node_modules/ws").exists():
        raise NotJudged("INTEROP_TOOLS has no uvicorn and ws")
    return Path(folder)


def big(stage, size=len(web.BIG)):
    """A file of this size that says the same each time."""
    file = stage.folder / f"big-{size}"
    file.write_bytes((web.BIG * (size // len(web.BIG) + 1))[:size])
    return file


def serve(stage, name, port, words, **variables):
    program = stage.keep(Program(words, stage.folder / f"{name}.log", {"PATH": os.environ["PATH"], **variables}))
    if not wait_until(lambda: accepts(port), 20):
        raise NotJudged(f"{name} does not listen: {program.said()[-300:]}")
    return program


def node(stage, file, port=NODE, is_secure=False):
    folder = stage.folder / f"node-{port}"
    shutil.copytree(HERE, folder)
    (folder / "node_modules").symlink_to(tools() / "node_modules")
    keys = [str(stage.house.folder / name) for name in ("gateway.crt", "gateway.key")] if is_secure else []
    return serve(stage, f"node-{port}", port, ["node", str(folder / "app.mjs"), str(port), str(file), *keys])


def asgi(stage, file):
    words = [str(tools() / "venv/bin/python"), "-m", "uvicorn", "--app-dir", str(HERE), "--host", "127.0.0.1", "--port", str(ASGI),
             "--ws-max-size", str(1 << 26), "--log-level", "warning", "app:app"]
    return serve(stage, "uvicorn", ASGI, words, BIG_FILE=str(file), PYTHONDONTWRITEBYTECODE="1")


def nginx(stage, file):
    """In front of Node, with and without TLS; with TLS it offers HTTP/2 too."""
    pages = stage.folder / "pages"
    pages.mkdir(mode=0o755)
    shutil.copy(file, pages / "big")
    (pages / "gzip").write_text("hello\n" * 10_000)
    text = (HERE / "nginx.conf").read_text()
    places = {"FOLDER": stage.folder, "SECURE_PORT": NGINX_SECURE, "PORT": NGINX, "BEHIND": NODE}
    for name, value in places.items():
        text = text.replace(name, str(value))
    stage.folder.chmod(0o755)
    (stage.folder / "nginx.conf").write_text(text)
    words = ["nginx", "-c", str(stage.folder / "nginx.conf"), "-e", str(stage.folder / "nginx.log"), "-g", "daemon off;"]
    return serve(stage, "nginx", NGINX, words)


def websocket(url, *secure):
    """What a WebSocket user of Python's found wrong."""
    words = [str(tools() / "venv/bin/python"), str(HERE / "websocket.py"), url, *secure]
    done = subprocess.run(words, capture_output=True, text=True, timeout=90)
    return done.stderr.strip()[-300:] if done.returncode else ""
