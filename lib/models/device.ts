import { expected } from "../errors.js";

/** Where a model computes: the processor, or a CUDA device by its number; "cuda" is "cuda:0". */
export type Device = "cpu" | "cuda" | `cuda:${number}`;

/** What a device's name may be. Whether there is such a device is found out when a model is made. */
export function isDevice(name: unknown): name is Device {
  return typeof name === "string" && /^(cpu|cuda(:(0|[1-9]\d?))?)$/.test(name);
}

export const deviceNames = '"cpu", "cuda" or "cuda:<number>"';

export function checkDevice(value: unknown, subject: string): Device {
  if (!isDevice(value))
    throw expected(deviceNames, subject, value, typeof value === "string" ? "range" : "type");
  return value;
}
