import { once } from "node:events";
import { createWriteStream, existsSync, rmSync, statSync } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as pause } from "node:timers/promises";
import { type Dispatcher, EnvHttpProxyAgent, interceptors, request } from "undici";
import { libtorchError } from "../libtorch-tree.js";
import { digestOf } from "./digest.js";

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

/** One connection. Appends to the file; what went wrong, if anything did. */
async function receive(
  file: string,
  url: string,
  dispatcher: Dispatcher,
  { onProgress }: DownloadOptions,
): Promise<Error | undefined> {
  const start = sizeOf(file);
  try {
    const headers = start > 0 ? { range: `bytes=${start}-` } : {};
    const answer = await request(url, { dispatcher, headers });
    const { statusCode, body } = answer;
    if (statusCode !== 200 && statusCode !== 206) {
      await body.dump();
      // What is there has the whole length or more: its digest decides.
      if (statusCode === 416 && start > 0) return undefined;
      const said = `HTTP status ${statusCode}`;
      return statusCode < 500 && statusCode !== 429 ? new Refusal(said) : new Error(said);
    }
    const from = statusCode === 206 ? start : 0;
    if (statusCode === 206 && !`${answer.headers["content-range"]}`.startsWith(`bytes ${start}-`)) {
      await body.dump();
      rmSync(file, { force: true });
      return new Error(`bytes from another place than ${start}`);
    }
    const length = Number(answer.headers["content-length"]);
    const total = Number.isFinite(length) ? from + length : undefined;
    let received = from;
    const counted = Readable.from(
      (async function* () {
        for await (const chunk of body) {
          received += chunk.length;
          onProgress?.(received, total);
          yield chunk;
        }
      })(),
    );
    const sink = createWriteStream(file, { flags: from > 0 ? "a" : "w" });
    try {
      await pipeline(counted, sink);
    } finally {
      // A write may be under way when the connection breaks off: the next one must not begin before it is done.
      if (!sink.closed) await once(sink, "close");
    }
    return undefined;
  } catch (error) {
    const { message, cause } = error as Error;
    return new Error(cause instanceof Error ? cause.message : message, { cause: error });
  }
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
