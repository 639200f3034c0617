import { describe, expect, test } from "vitest";
import { firstHost, interfaceOf, placeOf } from "../../lib/ranks/environment.js";

const torchrun = {
  RANK: "3",
  WORLD_SIZE: "4",
  LOCAL_RANK: "1",
  LOCAL_WORLD_SIZE: "2",
  MASTER_ADDR: "gpu-1",
  MASTER_PORT: "29400",
  TORCHELASTIC_USE_AGENT_STORE: "True",
  TORCHELASTIC_RUN_ID: "a",
  TORCHELASTIC_RESTART_COUNT: "2",
};
const slurm = {
  SLURM_PROCID: "5",
  SLURM_STEP_NUM_TASKS: "8",
  SLURM_LOCALID: "1",
  SLURM_STEP_TASKS_PER_NODE: "4(x2)",
  SLURM_STEP_NODELIST: "gpu[03-05,9],login",
  SLURM_JOB_ID: "41007",
  SLURM_STEP_ID: "0",
};

describe("placeOf", () => {
  test("nobody says anything, or one process alone: none", () => {
    expect(placeOf({})).toBeUndefined();
    expect(placeOf({ RANK: "0", WORLD_SIZE: "1", MASTER_ADDR: "x", MASTER_PORT: "1" })).toBeUndefined();
    // A batch script knows of its job's tasks, and is none.
    expect(placeOf({ SLURM_PROCID: "0", SLURM_NTASKS: "8" })).toBeUndefined();
  });

  test("torchrun: its agent has the store", () => {
    expect(placeOf(torchrun)).toEqual({
      rank: 3,
      size: 4,
      localRank: 1,
      localSize: 2,
      host: "gpu-1",
      port: 29400,
      hasStore: true,
      listeningSocket: -1,
      run: "critical-sharpness/a/2",
    });
  });

  test("SLURM: the first host of the step, a port of the job's", () => {
    expect(placeOf(slurm)).toMatchObject({
      rank: 5,
      size: 8,
      localRank: 1,
      localSize: 4,
      host: "gpu03",
      port: 16_007,
      hasStore: false,
    });
    expect(placeOf({ ...slurm, MASTER_ADDR: "login", MASTER_PORT: "5000" })).toMatchObject({
      host: "login",
      port: 5000,
    });
  });

  test("Open MPI, which says no address", () => {
    const mpi = { OMPI_COMM_WORLD_RANK: "0", OMPI_COMM_WORLD_SIZE: "2", OMPI_COMM_WORLD_LOCAL_SIZE: "2" };
    expect(() => placeOf(mpi)).toThrow(
      "Expected rank 0's host for the environment's MASTER_ADDR but received none",
    );
    expect(placeOf({ ...mpi, MASTER_ADDR: "h", MASTER_PORT: "7" })).toMatchObject({
      rank: 0,
      size: 2,
      localSize: 2,
    });
  });

  test.each([
    [{ RANK: "0" }, "Expected RANK and WORLD_SIZE in the environment but received RANK alone"],
    [{ ...torchrun, RANK: "-1" }, 'at least 0 for the environment\'s RANK but received "-1"'],
    [{ ...torchrun, RANK: "4" }, "Expected RANK below WORLD_SIZE in the environment but received 4 of 4"],
    [{ ...torchrun, WORLD_SIZE: "many" }, 'at least 1 for the environment\'s WORLD_SIZE but received "many"'],
    [
      { ...torchrun, MASTER_PORT: undefined },
      'at least 0 for the environment\'s MASTER_PORT but received ""',
    ],
  ])("says what is wrong with %o", (environment, message) => {
    expect(() => placeOf(environment)).toThrow(message);
  });
});

test.each([
  ["gpu[03-05,9],login", "gpu03"],
  ["gpu[7,9]", "gpu7"],
  ["node12,node13", "node12"],
  ["alone", "alone"],
  ["", ""],
])("the first host of %j is %j", (list, host) => expect(firstHost(list)).toBe(host));

test("ranks of one host meet on its loopback, others on what Gloo is told or the host's default", () => {
  const place = { ...(placeOf(torchrun) as NonNullable<ReturnType<typeof placeOf>>) };
  expect(interfaceOf({ ...place, localSize: 4 }, {})).toMatch(/^lo/);
  expect(interfaceOf(place, {})).toBe("");
  expect(interfaceOf(place, { GLOO_SOCKET_IFNAME: "ib0,ib1" })).toBe("ib0");
});
