import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import * as z from "zod";
import { CriticalSharpnessError } from "../errors.js";
import { flags, names, type OptionsOf, readOptions } from "../options/index.js";
import { runFiles } from "../runs/index.js";
import { reportContent } from "./reports.js";

const watchShape = {
  /** Of 127.0.0.1. Default: any that is free. */
  port: z
    .int()
    .min(0)
    .max(65_535)
    .default(0)
    .describe("Of 127.0.0.1. Default: any that is free.")
    .register(flags, { flag: "--port <n>", help: "of 127.0.0.1 (default: 6017)" }),
};

export const watchOptions = z.strictObject(watchShape);

export type WatchOptions = OptionsOf<typeof watchShape>;

/** A page that shows runs as they grow. */
export interface Watch extends AsyncDisposable {
  /** Where it is, on this machine alone. */
  url: string;
}

/** Milliseconds between looks at a run's files. */
const interval = 500;
/** Drawing takes at most this part of the time; loading and reading come on top, and all together stay below a twentieth. */
const share = 0.03;

/**
 * Serves a page with the reports of runs, of any kind, renewed as records come: also of runs that are over, or not begun. The page finds
 * the server again when either was started again.
 *
 * @throws CriticalSharpnessError `ERR_PORT` where the port is taken; TypeError, RangeError.
 */
export async function watchRuns(directories: readonly string[], options: WatchOptions = {}): Promise<Watch> {
  const { port } = readOptions(watchOptions, options);
  const checked = readOptions(names, directories ?? null, "directories");
  const runs = checked.map((directory) => new WatchedRun(directory));
  const readers = new Set<ServerResponse>();
  const server = createServer((request, response) => answer(request, response, { runs, readers }));
  const listening = once(server, "listening");
  server.listen(port, "127.0.0.1");
  await listening.catch((error: NodeJS.ErrnoException) => {
    throw new CriticalSharpnessError(
      "ERR_PORT",
      `Expected a port that is free for the page but received ${port}: ${error.message}. Choose another (--port)`,
      { cause: error },
    );
  });
  const stop = new AbortController();
  const watching = watchFiles(runs, stop.signal, (index) => {
    for (const reader of readers) send(reader, index, runs[index] as WatchedRun);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async [Symbol.asyncDispose]() {
      stop.abort();
      server.close();
      server.closeAllConnections();
      await watching;
    },
  };
}

/** A run and what its report showed last. */
class WatchedRun {
  readonly directory: string;
  html = "";
  #seen = "";
  /** When it may be drawn again, by the clock of `performance`. */
  #next = 0;

  constructor(directory: string) {
    this.directory = directory;
  }

  /** Draws it again if its files have changed, and drawing it has not taken too much of the time; whether it did. */
  async renew(): Promise<boolean> {
    const started = performance.now();
    if (started < this.#next) return false;
    const seen = await this.#changed();
    if (seen === this.#seen) return false;
    this.html = await draw(this.directory);
    this.#seen = seen;
    const took = performance.now() - started;
    this.#next = started + took / share;
    return true;
  }

  async #changed(): Promise<string> {
    const files = [runFiles.configuration, runFiles.metrics].map((name) =>
      stat(path.join(this.directory, name)).then(
        ({ size, mtimeMs, ino }) => `${size} ${mtimeMs} ${ino}`,
        () => "none",
      ),
    );
    return (await Promise.all(files)).join();
  }
}

/** A report as HTML; what there is to say where there is none yet. */
async function draw(directory: string): Promise<string> {
  // Loaded when it is needed: what draws is large.
  const { escapeMarkup, reportBody } = await import("../report/index.js");
  try {
    return reportBody(await reportContent(directory));
  } catch (error) {
    const { message } = error as Error;
    return `<header><h1>${escapeMarkup(path.basename(directory))}</h1><p>Nothing to show yet. ${escapeMarkup(message)}</p></header>`;
  }
}

async function watchFiles(
  runs: readonly WatchedRun[],
  signal: AbortSignal,
  changed: (index: number) => void,
): Promise<void> {
  while (!signal.aborted) {
    for (const [index, run] of runs.entries()) if (await run.renew()) changed(index);
    await delay(interval, undefined, { signal }).catch(() => {});
  }
}

interface Served {
  runs: readonly WatchedRun[];
  readers: Set<ServerResponse>;
}

function answer(request: IncomingMessage, response: ServerResponse, served: Served): void {
  response.setHeader("x-content-type-options", "nosniff");
  // Another site's name that leads here would let its scripts read what is served.
  if (!isOwnName(request.headers.host)) refuse(response, 403, "This page answers to 127.0.0.1 alone.");
  else if (request.method !== "GET") refuse(response, 405, "This page can only be read.");
  else if (request.url === "/events") serveEvents(response, served);
  else if (request.url !== "/") refuse(response, 404, "There is one page, at /.");
  else servePage(response, served.runs).catch((error: Error) => refuse(response, 500, error.message));
}

function serveEvents(response: ServerResponse, { runs, readers }: Served): void {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  response.write("retry: 1000\n\n");
  readers.add(response);
  response.on("close", () => readers.delete(response));
  for (const [index, run] of runs.entries()) if (run.html !== "") send(response, index, run);
}

function isOwnName(host: string | undefined): boolean {
  return /^(127\.0\.0\.1|localhost)(:\d+)?$/.test(host ?? "");
}

function refuse(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain" }).end(`${text}\n`);
}

/** Server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html */
function send(response: ServerResponse, index: number, { html }: WatchedRun): void {
  response.write(`event: run\ndata: ${JSON.stringify({ index, html })}\n\n`);
}

async function servePage(response: ServerResponse, runs: readonly WatchedRun[]): Promise<void> {
  const { document, escapeMarkup } = await import("../report/index.js");
  const nonce = randomBytes(16).toString("base64");
  const sections = runs.map(
    ({ directory }) =>
      `<section class="run"><p class="directory">${escapeMarkup(directory)}</p><div></div></section>`,
  );
  const head = `<style>${style}</style>\n<script nonce="${nonce}">${script}</script>\n`;
  const body = `<p id="state" role="status"></p>\n<div class="runs">\n${sections.join("\n")}\n</div>`;
  response.writeHead(200, {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "content-security-policy": `default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-${nonce}'; connect-src 'self'; frame-ancestors 'none'`,
  });
  response.end(document("Runs", body, head));
}

const style = `
main:has(.run + .run) { max-width: none }
.runs { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 34rem), 1fr)); gap: 2rem }
.run { min-width: 0 }
.directory, #state { font-size: 0.85rem; opacity: 0.75 }
`;

const script = `
addEventListener("DOMContentLoaded", () => {
  const places = document.querySelectorAll(".run > div");
  const state = document.getElementById("state");
  const events = new EventSource("/events");
  events.onopen = () => (state.textContent = "");
  events.onerror = () => (state.textContent = "The command that serves this page has stopped. Waiting for it.");
  events.addEventListener("run", ({ data }) => {
    const { index, html } = JSON.parse(data);
    const place = places[index];
    if (!place) return location.reload();
    const open = [...place.querySelectorAll("details")].map((one) => one.open);
    place.innerHTML = html;
    [...place.querySelectorAll("details")].forEach((one, i) => (one.open = open[i] ?? false));
  });
});
`;
