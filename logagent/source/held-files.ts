import type { BigIntStats } from "node:fs";
import type { ContentLedger } from "./content-ledger.ts";
import type { Lanes } from "./lanes.ts";
import type { LooksDue } from "./looks-due.ts";
import type { TailedFile } from "./tailed-file.ts";

/** What the source and its scanner both work on. */
export interface HeldFiles {
  /** By identity. */
  readonly files: Map<string, TailedFile>;
  readonly lanes: Lanes;
  readonly looks: LooksDue<TailedFile>;
  /** Everything that ships or has shipped and is not settled. */
  readonly contents: () => Iterable<ContentLedger>;
  /** Who claims them. */
  readonly holder: object;
}

/** A file that matches, under every path it was found at. */
export interface Present {
  readonly paths: string[];
  readonly stats: BigIntStats;
}
