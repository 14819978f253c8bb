"""MariaDB of Debian, for the cases that need it."""

import os
import shutil
import subprocess

from .program import Program, wait_until
from .verdict import NotJudged

PORT = 3306


class Mariadb:
    def __init__(self, folder, certificates):
        if not shutil.which("mariadbd") or not shutil.which("mariadb"):
            raise NotJudged("no MariaDB here (Debian: mariadb-server)")
        data = folder / "mariadb"
        data.mkdir()
        for name in ("gateway.crt", "gateway.key"):
            shutil.copy(certificates / name, data / name)
            (data / name).chmod(0o600)
        self.socket = data / "socket"
        subprocess.run(
            ["mariadb-install-db", f"--datadir={data / 'files'}", "--auth-root-authentication-method=normal",
             "--skip-test-db", "--user=root"],
            check=True, capture_output=True,
        )
        self.server = Program(
            ["mariadbd", "--no-defaults", "--user=root", f"--datadir={data / 'files'}", f"--socket={self.socket}",
             f"--port={PORT}", "--bind-address=127.0.0.1", f"--ssl-cert={data / 'gateway.crt'}",
             f"--ssl-key={data / 'gateway.key'}", f"--pid-file={data / 'pid'}", "--max-connect-errors=2"],
            folder / "mariadb.log", dict(os.environ),
        )
        if not wait_until(lambda: self.run("select 1").returncode == 0, 60, 0.2):
            raise NotJudged(f"MariaDB does not start: {self.server.said()[-400:]}")

    def run(self, statement):
        """One statement as the owner, past agent and gateway."""
        return subprocess.run(
            ["mariadb", "--no-defaults", f"--socket={self.socket}", "-uroot", "-Ne", statement],
            capture_output=True, text=True,
        )

    def stop(self):
        self.server.stop()
