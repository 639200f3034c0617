export { isRank } from "./environment.js";
export {
  Group,
  groupSchema,
  type JoinOptions,
  joinGroup,
  nativeGroup,
  type Transfers,
  tryTransfers,
} from "./group.js";
export { launchRanks } from "./launch.js";
