import { closeSync, existsSync, openSync, rmSync, statSync, writeFileSync } from "node:fs";
import { Writable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { type Dispatcher, EnvHttpProxyAgent, interceptors, stream } from "undici";
import { libtorchError } from "../libtorch.js";
import { digestOf } from "./files.js";

export interface DownloadOptions {
  environment?: NodeJS.ProcessEnv;
  /** Told how far it is. `total` is what the server says. */
  onProgress?: (received: number, total: number | undefined) => void;
  /** Connections that may break off before it gives up; each goes on where the last one ended. */
  attempts?: number;
  /** Milliseconds before the second attempt; twice as many before each further one. */
  patience?: number;
  /** Milliseconds without a byte after which a connection counts as broken. */
  timeout?: number;
}

/** An answer after which asking again is of no use. */
class Refusal extends Error {}
/** An answer with bytes that do not go on where the file ends. */
class Elsewhere extends Error {}

/**
 * Downloads a file whose SHA-256 is known. What has arrived stays in the file when a connection breaks off or the process
 * ends, and the next call goes on after it. Proxies are those of HTTP_PROXY, HTTPS_PROXY and NO_PROXY.
 *
 * @throws CriticalSharpnessError `ERR_LIBTORCH_NOT_FOUND` if it cannot be had; or, with the file removed, if it is another.
 */
export async function downloadTo(
  file: string,
  url: string,
  sha256: string,
  options: DownloadOptions = {},
): Promise<void> {
  const { attempts = 5, patience = 1000, environment = process.env, timeout = 30_000 } = options;
  const agent = new EnvHttpProxyAgent({
    httpProxy: environment.http_proxy || environment.HTTP_PROXY || "",
    httpsProxy: environment.https_proxy || environment.HTTPS_PROXY || "",
    noProxy: environment.no_proxy || environment.NO_PROXY || "",
    headersTimeout: timeout,
    bodyTimeout: timeout,
    connect: { timeout },
  });
  const dispatcher = agent.compose(interceptors.redirect({ maxRedirections: 5 }));
  try {
    let resumed = sizeOf(file) > 0;
    for (let attempt = 1; ; attempt++) {
      const failure = await receive(file, url, dispatcher, options);
      if (failure === undefined) {
        const digest = await digestOf(file);
        if (digest === sha256) return;
        const size = sizeOf(file);
        rmSync(file);
        // The beginning may have been of something else: once more, all of it.
        if (!resumed || attempt >= attempts) throw differs(url, sha256, digest, size);
        resumed = false;
      } else {
        resumed = sizeOf(file) > 0;
        if (failure instanceof Refusal || attempt >= attempts) throw unavailable(url, failure, file);
        await pause(patience * 2 ** (attempt - 1));
      }
    }
  } finally {
    await agent.close();
  }
}

const sizeOf = (file: string) => (existsSync(file) ? statSync(file).size : 0);

/**
 * One connection. Appends to the file; what went wrong, if anything did. Each piece is written as it arrives: what waits in a
 * stream's buffer is lost when the connection breaks off, and on a busy machine that may be all there was.
 */
async function receive(
  file: string,
  url: string,
  dispatcher: Dispatcher,
  { onProgress }: DownloadOptions,
): Promise<Error | undefined> {
  const start = sizeOf(file);
  let other: { failure: Error | undefined } | undefined; // an answer without bytes of the file
  let out: number | undefined;
  const headers = start > 0 ? { range: `bytes=${start}-` } : {};
  try {
    await stream(url, { method: "GET", dispatcher, headers }, (answer) => {
      other = withoutBytes(answer, start);
      if (other) return new Writable({ write: (_piece, _encoding, done) => done(new Error("not wanted")) });
      let received = answer.statusCode === 206 ? start : 0;
      const length = Number(answer.headers["content-length"]);
      const total = Number.isFinite(length) ? received + length : undefined;
      const descriptor = openSync(file, received > 0 ? "a" : "w");
      out = descriptor;
      return writesAtOnce((piece) => {
        writeFileSync(descriptor, piece);
        received += piece.length;
        onProgress?.(received, total);
      });
    });
  } catch (error) {
    const { message, cause } = error as Error;
    other ??= { failure: new Error(cause instanceof Error ? cause.message : message, { cause: error }) };
  } finally {
    if (out !== undefined) closeSync(out);
  }
  if (other?.failure instanceof Elsewhere) rmSync(file, { force: true });
  return other?.failure;
}

/** What an answer says that has no bytes from `start` on; undefined if it has them, or all from the beginning. */
function withoutBytes(
  { statusCode, headers }: Dispatcher.StreamFactoryData,
  start: number,
): { failure: Error | undefined } | undefined {
  if (statusCode === 200) return undefined;
  if (statusCode === 206)
    return `${headers["content-range"]}`.startsWith(`bytes ${start}-`)
      ? undefined
      : { failure: new Elsewhere(`bytes from another place than ${start}`) };
  // What is there has the whole length or more: its digest decides.
  if (statusCode === 416 && start > 0) return { failure: undefined };
  const said = `HTTP status ${statusCode}`;
  return { failure: statusCode < 500 && statusCode !== 429 ? new Refusal(said) : new Error(said) };
}

/** A stream that holds nothing back. */
function writesAtOnce(take: (piece: Buffer) => void): Writable {
  return new Writable({
    write(piece: Buffer, _encoding, done) {
      try {
        take(piece);
        done();
      } catch (error) {
        done(error as Error);
      }
    },
  });
}

function unavailable(url: string, failure: Error, file: string): Error {
  const size = sizeOf(file);
  const again = size > 0 ? ` after ${size} bytes, which are kept: run the command again to go on` : "";
  const proxy = "Behind a proxy set HTTPS_PROXY";
  return libtorchError(
    `Expected to download ${url} but received: ${failure.message}${again}. ${proxy}`,
    failure,
  );
}

function differs(url: string, sha256: string, digest: string, size: number): Error {
  return libtorchError(
    `Expected SHA-256 ${sha256} for ${url} but received ${digest} (${size} bytes), which were removed. The server or a proxy sends another file: try another network, or --url with a mirror`,
  );
}
