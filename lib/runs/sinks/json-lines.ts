import type { Sink } from "./sink.js";

/** Every event as a line of JSON; what is not finite is null. */
export function jsonLines<Event>(output: Pick<NodeJS.WritableStream, "write">): Sink<Event> {
  return {
    receive(event) {
      output.write(`${JSON.stringify(event)}\n`);
    },
  };
}
