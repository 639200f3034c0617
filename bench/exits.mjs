// Process starts that measure and end in different ways.
import { end, endings } from "./shared/exits.mjs";

/**
 * @param starts how many processes are started now, two at a time
 * @param before { starts, wrong } of earlier calls, which are added to
 */
export async function exitRows(starts, before = { starts: 0, wrong: [] }) {
  const names = Object.keys(endings);
  const wrong = [...before.wrong];
  let next = 0;
  const work = async () => {
    while (next < starts) {
      const problem = await end(names[next++ % names.length]);
      if (problem) wrong.push(problem);
    }
  };
  await Promise.all([work(), work()]);
  const all = before.starts + starts;
  return [
    {
      what: "process starts that measure and end in different ways",
      bar: "1,000, no crash, right exit codes",
      measured: `${all} starts, ${wrong.length} wrong`,
      met: wrong.length === 0 && all >= 1000,
      detail: `in turn: ${names.join(", ")}, the last four in the middle of a job; exit code or signal, standard output and standard error compared`,
      counts: { starts: all, wrong },
    },
  ];
}
