"""A web service on loopback, by the standard library: plain pages, bodies both ways, streams, a switch of protocols."""

import gzip
import hashlib
import http.server
import ssl
import threading
import time
import urllib.parse

PORT = 9200
SECRET = "interop-injected-secret"
BIG = b"".join(hashlib.sha256(n.to_bytes(4, "big")).digest() for n in range(20_000_000 // 32))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, body=b"", status=200, **fields):
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self):
        if length := self.headers.get("Content-Length"):
            return self.rfile.read(int(length))
        body = b""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        return body

    def stream(self, kind, lines, pause):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in lines:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            self.wfile.flush()
            time.sleep(pause)
        self.wfile.write(b"0\r\n\r\n")

    def serve(self):
        path, _, query = self.path.partition("?")
        body = self.body()
        self.server.heads.append(str(self.headers))
        if path == "/small":
            self.answer(b"hello\n", Content_Type="text/plain")
        elif path == "/head":
            self.answer(str(self.headers).encode())
        elif path == "/big":
            self.answer(BIG)
        elif path == "/echo":
            self.answer(body)
        elif path == "/chunked":
            self.stream("text/plain", [b"line %d\n" % number for number in range(100)], 0)
        elif path == "/lines":
            self.stream("application/json", [b'{"n":%d}\n' % number for number in range(5)], 0.6)
        elif path == "/sse":
            self.stream("text/event-stream", [b"data: %d\n\n" % number for number in range(5)], 0.4)
        elif path == "/hold":
            time.sleep(1)
            self.answer(b"held")
        elif path == "/gzip":
            self.answer(gzip.compress(BIG[:50_000], mtime=0), Content_Encoding="gzip")
        elif path == "/until-gone":
            self.server.held.append(path)
            self.connection.settimeout(60)
            self.connection.recv(1)
            self.server.gone.append(path)
            self.close_connection = True
        elif path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", "9000000")
            self.end_headers()
            self.wfile.write(b"x" * 1_000_000)
            self.close_connection = True
        elif path == "/redirect":
            self.answer(status=302, Location=f"http://127.0.0.1:{PORT}/small")
        elif path == "/cookie":
            self.answer(Set_Cookie="session=1; Domain=127.0.0.1; Path=/")
        elif path == "/status":
            self.send_response(int(urllib.parse.unquote(query)))
            self.end_headers()
        elif path == "/ws":
            self.switch()
        else:
            self.answer(b"no such page\n", status=404)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = serve

    def switch(self):
        """Sends back what comes, up to the end."""
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.end_headers()
        while data := self.connection.recv(1 << 16):
            self.connection.sendall(data)
        self.close_connection = True


class Service(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port=PORT, certificates=None, handler=Handler):
        """With TLS if it is told where `gateway.crt` and its key are."""
        super().__init__(("127.0.0.1", port), handler)
        self.heads = []
        # Requests that wait for their users to leave, and users who have.
        self.held, self.gone = [], []
        if certificates:
            trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            trust.load_cert_chain(certificates / "gateway.crt", certificates / "gateway.key")
            trust.set_alpn_protocols(["h2", "http/1.1"])
            self.socket = trust.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()
