export { isRank } from "./environment.js";
export { Group, groupSchema, type JoinOptions, joinGroup, nativeGroup } from "./group.js";
export { launchRanks } from "./launch.js";
