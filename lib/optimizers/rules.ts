// Every update rule that there is. Each is a class with a `rule`; the registry and the package's public names go by this list.
export { AdamW, type AdamWOptions } from "./adamw.js";
export { Lion, type LionOptions } from "./lion.js";
export { Muon, type MuonAdamWOptions, type MuonOptions } from "./muon.js";
export { Sgd, type SgdOptions } from "./sgd.js";
