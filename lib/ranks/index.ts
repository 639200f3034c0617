export { isRank } from "./environment.js";
export { checkGroupDevice, Group, groupSchema, type JoinOptions, joinGroup, nativeGroup } from "./group.js";
export { launchRanks } from "./launch.js";
