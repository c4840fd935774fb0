/** How the files of the run are written to. */
export interface Rates {
  /** One line, once. */
  readonly idle: number;
  readonly lineEachMinute: number;
  readonly lineEachSecond: number;
  /** `BUSY_BYTES_PER_SECOND` each. */
  readonly busy: number;
}

export const BUSY_BYTES_PER_SECOND = 1024 * 1024;
const BUSY_FILES = 3;

/** Most are idle or nearly so, some are at work, a few are busy: a tenth at a line a second, 3 at 1 MiB/s. */
export function ratesOf(files: number): Rates {
  const busy = Math.min(BUSY_FILES, files);
  const lineEachSecond = Math.floor((files - busy) / 10);
  const lineEachMinute = Math.floor((files - busy) / 2);
  return { idle: files - busy - lineEachSecond - lineEachMinute, lineEachMinute, lineEachSecond, busy };
}

export type Rate = keyof Rates;

/** The rate of each file by its number: the busy ones first. */
export function rateOf(file: number, rates: Rates): Rate {
  if (file < rates.busy) return "busy";
  if (file < rates.busy + rates.lineEachSecond) return "lineEachSecond";
  return file < rates.busy + rates.lineEachSecond + rates.lineEachMinute ? "lineEachMinute" : "idle";
}

const FILES_PER_FOLDER = 500;

/** Where a file is, below the folder of all of them. */
export function fileName(file: number): string {
  return `${folderName(Math.floor(file / FILES_PER_FOLDER))}/${file}.log`;
}

/** Folders that hold so many files; each is an entry with a topic of its own. */
export function folderNames(files: number): string[] {
  return Array.from({ length: Math.ceil(files / FILES_PER_FOLDER) }, (_, folder) => folderName(folder));
}

function folderName(folder: number): string {
  return `d${folder}`;
}

export const LINE_BYTES = 150;

/** `file sequence written-at`, and padding: what a reader needs in order to tell loss, repeats, order and delay. */
export function line(file: number, sequence: number, writtenAtMs: number): string {
  return `${`${file} ${sequence} ${writtenAtMs} `.padEnd(LINE_BYTES - 1, ".")}\n`;
}
