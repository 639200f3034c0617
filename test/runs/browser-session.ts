import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { WebSocket } from "undici";

const browser = [process.env.CRITICAL_SHARPNESS_CHROMIUM, "/usr/bin/chromium"].find(
  (file) => file !== undefined && existsSync(file),
);
export const hasBrowser = browser !== undefined;

/** A page in Chromium that stays open, by the DevTools protocol: https://chromedevtools.github.io/devtools-protocol */
export class BrowserSession implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #profile: string;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (answer: { result?: unknown; error?: { message: string } }) => void>();
  #session = "";
  #sent = 0;

  private constructor(process: ChildProcess, profile: string, socket: WebSocket) {
    this.#process = process;
    this.#profile = profile;
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      const answer = JSON.parse(String(data));
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
  }

  static async open(url: string): Promise<BrowserSession> {
    const profile = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-"));
    const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"];
    const child = spawn(browser as string, [...flags, `--user-data-dir=${profile}`, "about:blank"]);
    const address = await new Promise<string>((resolve, reject) => {
      let told = "";
      child.stderr.on("data", (text) => {
        told += text;
        const found = /DevTools listening on (ws:\S+)/.exec(told)?.[1];
        if (found) resolve(found);
      });
      child.on("exit", () => reject(new Error(told)));
    });
    const socket = new WebSocket(address);
    await new Promise((resolve) => socket.addEventListener("open", resolve));
    const session = new BrowserSession(child, profile, socket);
    const { targetId } = await session.send<{ targetId: string }>("Target.createTarget", { url });
    const attached = { targetId, flatten: true };
    session.#session = (
      await session.send<{ sessionId: string }>("Target.attachToTarget", attached)
    ).sessionId;
    return session;
  }

  send<Result>(method: string, params: object): Promise<Result> {
    const id = ++this.#sent;
    const sessionId = this.#session === "" ? undefined : this.#session;
    this.#socket.send(JSON.stringify({ id, method, params, sessionId }));
    return new Promise((resolve, reject) =>
      this.#waiting.set(id, ({ result, error }) =>
        error ? reject(new Error(error.message)) : resolve(result as Result),
      ),
    );
  }

  /** The value of an expression in the page. */
  async evaluate<Value>(expression: string): Promise<Value> {
    const asked = { expression, returnByValue: true };
    return (await this.send<{ result: { value: Value } }>("Runtime.evaluate", asked)).result.value;
  }

  /** Waits until an expression in the page is true. */
  async until(expression: string, seconds = 30): Promise<void> {
    const end = performance.now() + 1000 * seconds;
    while (!(await this.evaluate<boolean>(expression))) {
      if (performance.now() > end)
        throw new Error(`${expression} in ${await this.evaluate("document.body.innerText")}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    const ended = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await ended;
    // Its helpers may write a moment longer.
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}
