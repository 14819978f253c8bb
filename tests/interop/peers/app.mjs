// A web application on Node with `ws`: the pages of app.py, and its WebSocket. `node app.mjs PORT BIG_FILE [CERTIFICATE KEY]`
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { gzipSync } from "node:zlib";
import { WebSocketServer } from "ws";

const [port, bigFile, certificate, key] = process.argv.slice(2);
const big = readFileSync(bigFile);
const gone = [];

const give = (answer, body, status = 200, fields = {}) => {
  const bytes = Buffer.from(body);
  answer.writeHead(status, { "Content-Length": bytes.length, ...fields });
  answer.end(bytes);
};

const pause = (milliseconds) => new Promise((resume) => setTimeout(resume, milliseconds));

const stream = async (answer, kind, lines, milliseconds) => {
  answer.writeHead(200, { "Content-Type": kind });
  for (const line of lines) {
    answer.write(line);
    if (milliseconds) await pause(milliseconds);
  }
  answer.end();
};

const numbers = (count) => Array.from({ length: count }, (_, number) => number);

const page = (name) => readFileSync(new URL(`${name}.html`, import.meta.url));

const serve = async (request, answer) => {
  const url = new URL(request.url, "http://here");
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  const body = Buffer.concat(pieces);
  switch (url.pathname) {
    case "/small": return give(answer, "hello\n", 200, { "Content-Type": "text/plain" });
    case "/head": return give(answer, Object.entries(request.headers).map(([name, value]) => `${name}: ${value}\n`).join(""));
    case "/big": return give(answer, big);
    case "/echo": return give(answer, body);
    case "/digest": return give(answer, createHash("sha256").update(body).digest("hex"));
    case "/gzip": return give(answer, gzipSync("hello\n".repeat(10_000)), 200, { "Content-Encoding": "gzip", "Content-Type": "text/plain" });
    case "/chunked": return stream(answer, "text/plain", numbers(100).map((number) => `line ${number}\n`), 0);
    case "/lines": return stream(answer, "application/json", numbers(5).map((number) => `{"n":${number}}\n`), 600);
    case "/sse": return stream(answer, "text/event-stream; charset=utf-8", numbers(5).map((number) => `data: ${number}\n\n`), 400);
    case "/hold": {
      const began = Date.now();
      answer.on("close", () => { if (!answer.writableEnded) gone.push(Date.now() - began); });
      await pause(Number(url.searchParams.get("ms") ?? 1000));
      return answer.destroyed ? undefined : give(answer, "held");
    }
    case "/gone": return give(answer, JSON.stringify(gone));
    case "/cut":
      answer.writeHead(200, { "Content-Length": 9_000_000 });
      return answer.write("x".repeat(1_000_000), () => request.socket.destroy());
    case "/redirect": return give(answer, "", 302, { Location: `http${certificate ? "s" : ""}://${request.headers.host}/small` });
    case "/cookie": return give(answer, "", 200, { "Set-Cookie": `session=1; Domain=${request.headers.host.split(":")[0]}; Path=/` });
    case "/status": return give(answer, "", Number(url.search.slice(1)));
    case "/login":
      if (request.method === "GET") return give(answer, page("login"), 200, { "Content-Type": "text/html" });
      if (request.headers.origin && new URL(request.headers.origin).host !== request.headers.host) return give(answer, "another site's form", 403);
      if (new URLSearchParams(body.toString()).get("password") !== "right") return give(answer, "wrong", 401);
      return give(answer, "", 303, { "Set-Cookie": ["user=known; HttpOnly; Path=/; SameSite=Lax", "theme=dark"], Location: `http${certificate ? "s" : ""}://${request.headers.host}/home` });
    case "/home":
      if (!/user=known/.test(request.headers.cookie ?? "")) return give(answer, "who are you?", 403);
      return give(answer, page("home"), 200, { "Content-Type": "text/html" });
    default: return give(answer, "no such page\n", 404);
  }
};

const failed = (answer) => (error) => answer.destroy(error);
const handle = (request, answer) => serve(request, answer).catch(failed(answer));
const server = certificate
  ? createSecureServer({ cert: readFileSync(certificate), key: readFileSync(key) }, handle)
  : createServer(handle);
new WebSocketServer({ server, path: "/ws", maxPayload: 1 << 26 }).on("connection", (socket) => {
  let last = Date.now();
  socket.on("message", (data, isBinary) => { last = Date.now(); socket.send(data, { binary: isBinary }); });
  socket.on("ping", () => { last = Date.now(); });
  socket.on("close", (code) => console.log(`websocket closed ${code} after ${Date.now() - last} ms of silence`));
  socket.on("error", (error) => console.log(`websocket: ${error.message}`));
});
server.listen({ port: Number(port), host: "127.0.0.1", backlog: 512 });
