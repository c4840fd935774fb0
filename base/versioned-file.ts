import { readWholeFile, writeFileAtomically } from "./atomic-file.ts";
import type { Disk } from "./disk.ts";
import { CodedError, errorCode, errorMessage } from "./errors.ts";

/** A small JSON file with a format version in its field `version`, replaced as a whole. */
export interface VersionedFile<Content> {
  readonly path: string;
  /**
   * Undefined: there is none. Throws CodedError "EVERSION" for a file that a newer program wrote, and "EDAMAGED" for one
   * that cannot be understood.
   */
  read(): Promise<Content | undefined>;
  /** Durable when it resolves. */
  write(content: Content): Promise<void>;
}

/** `parse` gets what the file holds, a JSON value, and throws when it is not a `Content`. Does no I/O by itself. */
export function versionedFile<Content extends object>(options: {
  readonly disk: Disk;
  readonly path: string;
  /** What is written, and the newest that is read. */
  readonly version: number;
  readonly parse: (value: unknown) => Content;
}): VersionedFile<Content> {
  const { disk, path, version, parse } = options;
  return {
    path,
    read: async () => {
      const text = await readText(disk, path);
      return text === undefined ? undefined : decode(text, { path, version, parse });
    },
    write: (content) => writeFileAtomically(disk, path, Buffer.from(JSON.stringify({ version, ...content }))),
  };
}

async function readText(disk: Disk, path: string): Promise<string | undefined> {
  try {
    return (await readWholeFile(disk, path)).toString("utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

function decode<Content>(
  text: string,
  options: { readonly path: string; readonly version: number; readonly parse: (value: unknown) => Content },
): Content {
  const { path, version, parse } = options;
  let found: unknown;
  try {
    const value: unknown = JSON.parse(text);
    found = typeof value === "object" && value !== null && "version" in value ? value.version : undefined;
    if (found === version) return parse(value);
  } catch (error) {
    throw new CodedError("EDAMAGED", `Cannot use ${path}: ${errorMessage(error)}`, { cause: error });
  }
  const isNewer = typeof found === "number" && found > version;
  throw new CodedError(
    isNewer ? "EVERSION" : "EDAMAGED",
    `Cannot use ${path}: format version ${String(found)}, expected ${version}${isNewer ? " or less" : ""}`,
  );
}
