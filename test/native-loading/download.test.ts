import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import net, { type AddressInfo } from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { lock, placeOf } from "../../lib/torch/download/files.js";
import { fetchLibtorch } from "../../lib/torch/download/index.js";

import { type DownloadOptions, downloadTo } from "../../lib/torch/download/resumable.js";

import { platformOf } from "../../lib/torch/libtorch.js";
import { cacheDirectory, cacheRoot } from "../../lib/torch/locate-libtorch.js";
import { bare, failure, folder } from "./support.js";
import { wheelLike } from "./zip.js";

const content = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, i) => (i * i) >> 3));
const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
const servers: net.Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

type Answer = (request: http.IncomingMessage, response: http.ServerResponse, start: number) => void;

/** A server whose answers come in turn, the last one for ever after; what it was asked for. */
async function serve(...answers: Answer[]) {
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
async function listen(server: net.Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

/** As a good server answers. */
const whole =
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
const broken =
  (count: number): Answer =>
  (_, response, start) => {
    response.writeHead(start ? 206 : 200, {
      "content-length": content.length - start,
      ...(start ? { "content-range": `bytes ${start}-${content.length - 1}/${content.length}` } : {}),
    });
    // An end, not a reset: what was sent arrives, however busy the machine is.
    response.write(content.subarray(start, start + count), () => response.socket?.end());
  };
const status =
  (code: number): Answer =>
  (_, response) =>
    response.writeHead(code).end("no");

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

describe("fetching libtorch", () => {
  const { wheel } = platformOf() ?? {};
  const quiet = { log: () => {}, patience: 1, attempts: 2 };

  it("an archive whose digest is given: unpacked into the cache at once, the archive gone", async () => {
    const archive = wheelLike({
      "libtorch/lib/libtorch_cpu.so": "torch",
      "libtorch/lib/libc10.so": "c10",
      "libtorch/lib/libtorch_cuda.so": "cuda",
      "libtorch/include/ATen/core/Tensor.h": "header",
      "libtorch/build-version": "2.13.0+cu130\n",
      "libtorch/share/cmake/Torch/TorchConfig.cmake": "",
    });
    const { url, asked } = await serve(whole(archive));
    const environment = bare();
    const fetch = () =>
      fetchLibtorch({ ...quiet, environment, variant: "cu130", url, sha256: sha256(archive) });
    const tree = await fetch();
    const root = cacheDirectory(environment, "cu130");
    expect(tree).toMatchObject({ root, version: "2.13.0", cuda: true });
    expect(readdirSync(root).sort()).toEqual(["build-version", "include", "lib"]);
    expect(readdirSync(cacheRoot(environment))).toEqual([path.basename(root)]);
    await fetch();
    expect(asked).toHaveLength(1);
  });

  it("an archive that is damaged or none: nothing is left in its place", async () => {
    const environment = bare();
    for (const archive of [
      Buffer.from("no archive at all"),
      wheelLike({ "torch/lib/a": "a" }).subarray(30),
    ]) {
      const { url } = await serve(whole(archive));
      const { message } = await failure(() =>
        fetchLibtorch({ ...quiet, environment, variant: "cu130", url, sha256: sha256(archive) }),
      );
      expect(message).toMatch(/^Expected to unpack .*\.part into ".*" but received: .*800 MB of space$/);
      expect(existsSync(cacheDirectory(environment, "cu130"))).toBe(false);
    }
  });

  it("names that lead out of the folder are refused", async () => {
    const environment = bare();
    const archive = wheelLike({ "torch/lib/../../../outside": "a" });
    const { url } = await serve(whole(archive));
    const fetch = () =>
      fetchLibtorch({ ...quiet, environment, variant: "cu130", url, sha256: sha256(archive) });
    expect((await failure(fetch)).message).toContain("invalid relative path");
  });

  it.runIf(wheel)("another file than PyTorch's wheel is refused; no digest, no download", async () => {
    const { url, asked } = await serve(whole());
    const environment = bare();
    const other = await failure(() => fetchLibtorch({ ...quiet, environment, url }));
    expect(other.message).toContain(`Expected SHA-256 ${wheel?.sha256} for ${url} but received`);
    const unknown = await failure(() => fetchLibtorch({ ...quiet, environment, variant: "cu130", url }));
    expect(unknown.message).toContain("this release knows none for cu130. Give it with --sha256");
    const changed = await failure(() =>
      fetchLibtorch({ ...quiet, environment, url, sha256: "0".repeat(64) }),
    );
    expect(changed.message).toContain("Expected no --sha256 for cpu");
    expect(asked).toHaveLength(1);
  });

  it("one process at a time; what an ended process locked is free", async () => {
    const environment = bare();
    const root = cacheRoot(environment);
    const file = path.join(root, `${path.basename(cacheDirectory(environment))}.lock`);
    mkdirSync(root);
    {
      using _ = lock(file);
      const { code, message } = await failure(() =>
        fetchLibtorch({ ...quiet, environment, url: "http://x/" }),
      );
      expect(code).toBe("ERR_LOCKED");
      expect(message).toContain(`process ${process.pid} does so too`);
    }
    expect(existsSync(file)).toBe(false);
    const child = spawn(process.execPath, ["-e", ""]);
    await new Promise((resolve) => child.on("exit", resolve));
    writeFileSync(file, `${child.pid}`);
    using _ = lock(file);
    expect(readFileSync(file, "utf8")).toBe(`${process.pid}`);
  });

  it("takes of a wheel what a libtorch is", () => {
    expect(placeOf("torch/lib/libc10.so")).toBe("lib/libc10.so");
    expect(placeOf("torch/version.py")).toBe("version.py");
    expect(placeOf("torch-2.13.0+cpu.dist-info/licenses/LICENSE")).toBe("licenses/LICENSE");
    for (const name of ["torch/nn/functional.py", "torch/lib/", "functorch/lib/a.so", "libtorch/share/a"])
      expect(placeOf(name)).toBeUndefined();
  });

  it("is a command: one message and exit code 1", async () => {
    const { url } = await serve(status(404));
    const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
    const environment = bare({ NO_PROXY: "127.0.0.1" });
    const child = spawn(process.execPath, [main, "fetch-libtorch", "--url", url, "--json"], {
      env: environment,
    });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (text) => (stdout += text));
    child.stderr.on("data", (text) => (stderr += text));
    expect(await new Promise((resolve) => child.on("close", resolve))).toBe(1);
    expect(stdout).toBe("");
    expect(stderr).toBe(
      `Fetching ${url}\nerror: Expected to download ${url} but received: HTTP status 404. Behind a proxy set HTTPS_PROXY\n`,
    );
    expect(readdirSync(cacheRoot(environment))).toEqual([]);
  });
});
