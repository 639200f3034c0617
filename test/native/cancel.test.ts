import { describe, expect, it } from "vitest";
import { AbortError } from "../../lib/errors.js";
import { withSignal } from "../../lib/torch/handles.js";
import { native } from "../../lib/torch/load.js";
import type { NativeCancelToken } from "../../lib/torch/surface/handle.js";
import { initialized, smallBatch } from "./support.js";

const failing = (code: string) => async (): Promise<number> => {
  throw Object.assign(new Error(code), { code });
};

describe("withSignal", () => {
  it("runs without a token when there is no signal", async () => {
    expect(await withSignal(undefined, async (cancel) => cancel ?? "none")).toBe("none");
  });

  it("spares a job its turn for a signal that is aborted already", async () => {
    const reason = new Error("why");
    const model = await initialized();
    const promise = withSignal(AbortSignal.abort(reason), (cancel) =>
      model.loss(smallBatch(), null, { microBatch: 1, cancel }),
    );
    await expect(promise).rejects.toMatchObject({ name: "AbortError", code: "ABORT_ERR", cause: reason });
    await expect(promise).rejects.toBeInstanceOf(AbortError);
  });

  it("turns an abort into a cancelled job and that into an AbortError", async () => {
    const model = await initialized();
    const batch = smallBatch();
    const controller = new AbortController();
    const promise = withSignal(controller.signal, (cancel) => {
      // Many jobs, so that some have not started when the signal comes.
      const jobs = Array.from({ length: 200 }, () => model.loss(batch, null, { microBatch: 1, cancel }));
      return Promise.all(jobs);
    });
    controller.abort("enough");
    await expect(promise).rejects.toMatchObject({ name: "AbortError", code: "ABORT_ERR", cause: "enough" });
    model.dispose();
    batch.dispose();
  });

  it("keeps a result that was there before the abort", async () => {
    const controller = new AbortController();
    const promise = withSignal(controller.signal, async () => {
      controller.abort();
      return 3;
    });
    expect(await promise).toBe(3);
  });

  it("passes on other errors, and a cancellation that was no abort", async () => {
    const { signal } = new AbortController();
    await expect(withSignal(signal, failing("ERR_NO_WEIGHTS"))).rejects.toMatchObject({
      code: "ERR_NO_WEIGHTS",
    });
    await expect(withSignal(signal, failing("CANCELLED"))).rejects.toMatchObject({ code: "CANCELLED" });
  });

  it("leaves no listener on the signal", async () => {
    const listeners = new Set<unknown>();
    const signal = {
      aborted: false,
      addEventListener: (_: string, f: unknown) => listeners.add(f),
      removeEventListener: (_: string, f: unknown) => listeners.delete(f),
    } as unknown as AbortSignal;
    await withSignal(signal, async () => expect(listeners.size).toBe(1));
    await withSignal(signal, failing("ERR_NATIVE")).catch(() => undefined);
    expect(listeners.size).toBe(0);
  });

  it("has tokens that cancel any number of times, and are checked", async () => {
    const token: NativeCancelToken = native().createCancelToken();
    token.cancel();
    token.cancel();
    const model = await initialized();
    const batch = smallBatch();
    await expect(model.loss(batch, null, { microBatch: 0, cancel: token })).rejects.toMatchObject({
      code: "CANCELLED",
    });
    for (const cancel of [null, {}, model, true])
      await expect(
        model.loss(batch, null, { microBatch: 0, cancel: cancel as unknown as NativeCancelToken }),
      ).rejects.toMatchObject({ code: "ERR_INVALID_ARG_TYPE" });
    model.dispose();
    batch.dispose();
  });
});
