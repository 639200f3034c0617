import { createHash } from "node:crypto";
import http from "node:http";
import type net from "node:net";
import type { AddressInfo } from "node:net";
import { afterEach } from "vitest";

export const content = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, i) => (i * i) >> 3));
export const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
const servers: net.Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

export type Answer = (request: http.IncomingMessage, response: http.ServerResponse, start: number) => void;

/** A server whose answers come in turn, the last one for ever after; what it was asked for. */
export async function serve(...answers: Answer[]) {
  const asked: string[] = [];
  const server = http.createServer((request, response) => {
    const { range } = request.headers;
    asked.push(`${request.url} ${range ?? "all"}`);
    const start = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
    (answers.length > 1 ? (answers.shift() as Answer) : (answers[0] as Answer))(request, response, start);
  });
  await listen(server);
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/file`, asked };
}
export async function listen(server: net.Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

/** As a good server answers. */
export const whole =
  (bytes: Buffer = content): Answer =>
  (_, response, start) => {
    const headers = { "content-length": bytes.length - start };
    if (start === 0) response.writeHead(200, headers);
    else
      response.writeHead(206, {
        ...headers,
        "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}`,
      });
    response.end(bytes.subarray(start));
  };
/** Promises all, sends `count` bytes and breaks the connection off. */
export const broken =
  (count: number): Answer =>
  (_, response, start) => {
    response.writeHead(start ? 206 : 200, {
      "content-length": content.length - start,
      ...(start ? { "content-range": `bytes ${start}-${content.length - 1}/${content.length}` } : {}),
    });
    // An end, not a reset: what was sent arrives, however busy the machine is.
    response.write(content.subarray(start, start + count), () => response.socket?.end());
  };
export const status =
  (code: number): Answer =>
  (_, response) =>
    response.writeHead(code).end("no");
