import { existsSync, readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { type DownloadOptions, downloadTo } from "../../lib/torch/download/resumable.js";
import { type Answer, broken, content, listen, serve, sha256, status, whole } from "./servers.js";
import { failure, folder } from "./support.js";

const patient: DownloadOptions = { patience: 1, environment: {}, timeout: 2000 };
async function get(url: string, options: DownloadOptions = {}, begun?: Buffer) {
  const file = path.join(folder(), "file");
  if (begun) writeFileSync(file, begun);
  const call = downloadTo(file, url, sha256(content), { ...patient, ...options });
  return {
    file,
    said: await call.then(
      () => undefined,
      async (error) => failure(() => Promise.reject(error)),
    ),
  };
}

describe("a download", () => {
  it("from a server that does what it should, told how far it is", async () => {
    const { url } = await serve(whole());
    const seen: [number, number | undefined][] = [];
    const { file, said } = await get(url, { onProgress: (...now) => seen.push(now) });
    expect(said).toBeUndefined();
    expect(readFileSync(file).equals(content)).toBe(true);
    expect(seen.at(-1)).toEqual([content.length, content.length]);
  });

  it("goes on where a connection broke off, as often as it takes", async () => {
    const { url, asked } = await serve(broken(100_000), broken(70_000), whole());
    const { file, said } = await get(url);
    expect(said).toBeUndefined();
    expect(readFileSync(file).equals(content)).toBe(true);
    expect(asked[0]).toBe("/file all");
    const starts = asked.map((line) => Number(/bytes=(\d+)-/.exec(line)?.[1] ?? 0));
    expect(starts).toHaveLength(3);
    expect(starts[2]).toBeGreaterThan(starts[1] as number);
    expect(starts[1]).toBeGreaterThan(0);
  });

  it("keeps what arrived together with the end of the connection", async () => {
    // In one piece: a busy client finds the answer, its bytes and the end at once.
    const raw = net.createServer((socket) => {
      socket.once("data", () =>
        socket.end(`HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n${"a".repeat(1000)}`),
      );
      socket.on("error", () => {});
    });
    const url = `http://127.0.0.1:${await listen(raw)}/file`;
    const { file, said } = await get(url, { attempts: 1 });
    expect(said?.message).toContain(" after 1000 bytes, which are kept: run the command again to go on");
    expect(readFileSync(file, "utf8")).toBe("a".repeat(1000));
  });

  it("goes on where an earlier process ended", async () => {
    const { url, asked } = await serve(whole());
    const { file, said } = await get(url, {}, content.subarray(0, 250_000));
    expect(said).toBeUndefined();
    expect(asked).toEqual(["/file bytes=250000-"]);
    expect(readFileSync(file).equals(content)).toBe(true);
  });

  it("is whole already: the server has no more", async () => {
    const { url } = await serve(status(416));
    expect((await get(url, {}, content)).said).toBeUndefined();
  });

  it("starts again where the server knows no ranges, and where what was there is of another file", async () => {
    const noRanges: Answer = (_, response) => response.end(content);
    const plain = await serve(noRanges);
    expect((await get(plain.url, {}, content.subarray(0, 1000))).said).toBeUndefined();
    const { url, asked } = await serve(whole());
    expect((await get(url, {}, Buffer.alloc(1000))).said).toBeUndefined();
    expect(asked).toEqual(["/file bytes=1000-", "/file all"]);
  });

  it("starts again where the server sends another range than was asked for", async () => {
    const wrong: Answer = (_, response) =>
      response.writeHead(206, { "content-range": "bytes 5-9/10" }).end("abcde");
    const { url } = await serve(wrong, whole());
    expect((await get(url, {}, content.subarray(0, 1000))).said).toBeUndefined();
  });

  it("gives up on a server that always breaks off, keeps what came and says how to go on", async () => {
    const { url, asked } = await serve(broken(1000));
    const { file, said } = await get(url, { attempts: 3 });
    expect(asked).toHaveLength(3);
    expect(said?.code).toBe("ERR_LIBTORCH_NOT_FOUND");
    expect(said?.message).toMatch(
      /^Expected to download http:.*\/file but received: .* after \d+ bytes, which are kept: run the command again to go on\. Behind a proxy set HTTPS_PROXY$/,
    );
    expect(readFileSync(file).equals(content.subarray(0, 3000))).toBe(true);
  });

  it("a server that promises more than it sends, and closes", async () => {
    const more: Answer = (_, response) => {
      response.writeHead(200, { "content-length": content.length + 500 });
      response.write(content, () => response.socket?.end());
    };
    // Everything had come: the second request finds that there is no more.
    const { url } = await serve(more, status(416));
    expect((await get(url)).said).toBeUndefined();
  });

  it("a server that promises less than it sends", async () => {
    const raw = net.createServer((socket) => {
      socket.once("data", () => {
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n");
        socket.end(content);
      });
      socket.on("error", () => {});
    });
    const port = await listen(raw);
    const { said } = await get(`http://127.0.0.1:${port}/file`, { attempts: 2 });
    const short = sha256(content.subarray(0, 1000));
    expect(said?.message).toContain(`Expected SHA-256 ${sha256(content)} for `);
    expect(said?.message).toContain(` but received ${short} (1000 bytes), which were removed.`);
  });

  it("other bytes: both digests, and the file is gone", async () => {
    const other = Buffer.from("<html>Log in to this network</html>");
    const { url, asked } = await serve(whole(other));
    const { file, said } = await get(url);
    expect(said?.message).toBe(
      `Expected SHA-256 ${sha256(content)} for ${url} but received ${sha256(other)} (35 bytes), which were removed. The server or a proxy sends another file: try another network, or --url with a mirror`,
    );
    expect(existsSync(file)).toBe(false);
    expect(asked).toHaveLength(1);
  });

  it("a server that says nothing for long counts as broken", async () => {
    const { url, asked } = await serve((_, response) => {
      response.writeHead(200, { "content-length": content.length });
      response.write("a");
    }, whole());
    expect((await get(url, { timeout: 300 })).said).toBeUndefined();
    expect(asked.length).toBeGreaterThan(1);
  });

  it.each([404, 403])("HTTP status %i: once, and says so", async (code) => {
    const { url, asked } = await serve(status(code));
    expect((await get(url)).said?.message).toContain(`but received: HTTP status ${code}. Behind a proxy`);
    expect(asked).toHaveLength(1);
  });

  it("HTTP status 503: again", async () => {
    const { url, asked } = await serve(status(503), whole());
    expect((await get(url)).said).toBeUndefined();
    expect(asked).toHaveLength(2);
  });

  it("follows a redirect", async () => {
    const { url } = await serve(whole());
    const { url: from } = await serve((_, response) => response.writeHead(302, { location: url }).end());
    expect((await get(from)).said).toBeUndefined();
  });

  it("by way of a proxy, unless NO_PROXY has the host", async () => {
    const { url } = await serve(whole());
    const through: string[] = [];
    const proxy = http.createServer();
    proxy.on("connect", (request, client: net.Socket) => {
      through.push(request.url as string);
      const [host, port] = (request.url as string).split(":");
      const server = net.connect(Number(port), host, () => {
        client.write("HTTP/1.1 200 Connection Established\r\n\r\n");
        server.pipe(client).pipe(server);
      });
      server.on("error", () => {});
      client.on("error", () => {});
    });
    const HTTP_PROXY = `http://127.0.0.1:${await listen(proxy)}`;
    expect((await get(url, { environment: { HTTP_PROXY } })).said).toBeUndefined();
    expect(through).toEqual([new URL(url).host]);
    expect((await get(url, { environment: { HTTP_PROXY, NO_PROXY: "127.0.0.1" } })).said).toBeUndefined();
    expect(through).toHaveLength(1);
  });
});
