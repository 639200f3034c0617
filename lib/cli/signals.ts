/** A signal that Ctrl-C (SIGINT) or SIGTERM aborts; disposing of it takes the handlers away. */
export interface Interruption extends Disposable {
  readonly signal: AbortSignal;
}

/** The first interruption aborts the signal and says `notice`; a second one ends the process at once. */
export function interruption(
  notice: string,
  display: { note(line: string): void; stop(): void },
): Interruption {
  const controller = new AbortController();
  const onSignal = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) {
      display.stop();
      process.exit(1);
    }
    display.note(notice);
    controller.abort(new Error(name));
  };
  const names = ["SIGINT", "SIGTERM"] as const;
  for (const name of names) process.on(name, onSignal);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      for (const name of names) process.off(name, onSignal);
    },
  };
}
