"""An authority of our own, and the gateway's certificate for localhost."""

import subprocess

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
EXTENSIONS = """\
subjectAltName = DNS:localhost, IP:127.0.0.1
extendedKeyUsage = serverAuth
basicConstraints = CA:FALSE
"""


def make(folder):
    """Writes ca.crt, gateway.crt and gateway.key."""

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    openssl(
        "req", "-x509", *KEY, "-keyout", "ca.key", "-out", "ca.crt", "-days", "7",
        "-subj", "/CN=interop authority", "-addext", "basicConstraints=critical,CA:TRUE",
    )
    openssl("req", *KEY, "-keyout", "gateway.key", "-out", "gateway.csr", "-subj", "/CN=localhost")
    (folder / "extensions").write_text(EXTENSIONS)
    openssl(
        "x509", "-req", "-in", "gateway.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
        "-CAcreateserial", "-days", "7", "-extfile", "extensions", "-out", "gateway.crt",
    )
