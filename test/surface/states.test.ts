import { beforeAll, describe, expect, it } from "vitest";
import { Direction } from "../../lib/index.js";
import { type Specimen, type Subject, subjects } from "./subjects.js";

/** Members that only the library itself calls. */
const internal = ["constructor", "lossWithVersion", "like"];

function publicMembers(object: object): (string | symbol)[] {
  const names: (string | symbol)[] = [];
  for (let at = Object.getPrototypeOf(object); at !== Object.prototype; at = Object.getPrototypeOf(at))
    names.push(...Reflect.ownKeys(at));
  return [...new Set(names)].filter((name) => !internal.includes(name as string)).sort(byName);
}
const byName = (a: string | symbol, b: string | symbol) => String(a).localeCompare(String(b));

/** A value that can be compared; what is made is disposed of. */
async function summary(value: unknown): Promise<unknown> {
  if (value instanceof Direction) {
    using direction = value;
    return { norm: await direction.norm(), byteLength: direction.byteLength };
  }
  if (typeof value === "object" && value !== null && "gradient" in value)
    return { ...value, batch: undefined, gradient: await summary(value.gradient) };
  return value;
}

type Outcome = { gives: unknown } | { fails: string };
/** What a call comes to: nothing but a value, or an error with a code. */
async function outcome(call: () => unknown): Promise<Outcome> {
  try {
    return { gives: await summary(await call()) };
  } catch (error) {
    expect(error).toBeInstanceOf(Error);
    const { code, message } = error as Error & { code: string };
    expect(code, message).toMatch(/^[A-Z][A-Z_]+$/);
    return { fails: code };
  }
}

async function withSpecimen(subject: Subject, use: (specimen: Specimen) => Promise<void>): Promise<void> {
  const specimen = await subject.make();
  try {
    await use(specimen);
  } finally {
    for (const other of specimen.others) other[Symbol.dispose]();
  }
}
const call = (specimen: Specimen, name: string | symbol) => specimen.members[name] as () => unknown;
const dispose = ({ object }: Specimen) => (object as { dispose(): void }).dispose();

/** What comes of the jobs that keep a specimen busy. */
const finished = (jobs: Promise<unknown>[]) => Promise.all(jobs.map((job) => outcome(() => job)));

describe.each(subjects)("$name", (subject) => {
  let names: (string | symbol)[];
  let alone: Outcome[];
  beforeAll(() =>
    withSpecimen(subject, async (specimen) => {
      names = Reflect.ownKeys(specimen.members).sort(byName);
      alone = await finished(specimen.occupy());
      for (const job of alone) expect(job).toHaveProperty("gives");
    }),
  );

  if (!subject.name.includes(" "))
    it("has no public member that is not tried here", async () => {
      await withSpecimen(subject, async ({ object }) => expect(names).toEqual(publicMembers(object)));
    });

  it("works when it is fresh, and does the same when it is busy", async () => {
    for (const name of names) {
      let fresh: Outcome | undefined;
      await withSpecimen(subject, async (specimen) => {
        await finished(specimen.occupy());
        fresh = await outcome(call(specimen, name));
        expect(fresh, String(name)).toHaveProperty("gives");
      });
      await withSpecimen(subject, async (specimen) => {
        const jobs = finished(specimen.occupy());
        expect(await outcome(call(specimen, name)), String(name)).toEqual(fresh);
        expect(await jobs, `what ran while ${String(name)} was called`).toEqual(alone);
      });
    }
  });

  // A meter holds no memory.
  if (subject.name === "SharpnessMeter") return;
  const expectDisposed = async (specimen: Specimen) => {
    for (const name of names) {
      const said = await outcome(call(specimen, name));
      if (subject.outlasting.includes(name)) expect(said, String(name)).toHaveProperty("gives");
      else expect(said, String(name)).toEqual({ fails: "ERR_DISPOSED" });
    }
  };

  it("says ERR_DISPOSED when it was disposed of", async () => {
    await withSpecimen(subject, async (specimen) => {
      dispose(specimen);
      await expectDisposed(specimen);
    });
  });

  it("may be disposed of when it is busy: what runs ends well, what comes is told", async () => {
    await withSpecimen(subject, async (specimen) => {
      const jobs = finished(specimen.occupy());
      dispose(specimen);
      await expectDisposed(specimen);
      expect(await jobs).toEqual(alone);
    });
  });
});
