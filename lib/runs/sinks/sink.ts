import type { Kind } from "../kind.js";

/** Where the events of a run go while it is under way, its records among them. What it throws ends the run. */
export interface Sink<Event = { type: string }> {
  /** Before the first event: the run, and what it had recorded before it went on. */
  begin?(run: { kind: Kind; directory: string; past: () => AsyncIterable<Event> }): void | Promise<void>;
  receive(event: Event): void | Promise<void>;
  /** After the last event, however the run ended. */
  [Symbol.asyncDispose]?(): void | Promise<void>;
}

/** Every event as a line of JSON; what is not finite is null. */
export function jsonLines<Event>(output: Pick<NodeJS.WritableStream, "write">): Sink<Event> {
  return {
    receive(event) {
      output.write(`${JSON.stringify(event)}\n`);
    },
  };
}
