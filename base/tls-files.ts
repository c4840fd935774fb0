import { readFile } from "node:fs/promises";

/** Contents of PEM files, as Node's TLS takes them. */
export interface TlsFiles {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

/** A file that cannot be read. */
export interface TlsFileProblem {
  readonly name: keyof TlsFiles;
  readonly path: string;
  readonly cause: unknown;
}

/** Reads the files that the options name. Rejects with what `problem` makes of one that cannot be read. */
export async function readTlsFiles(
  paths: { readonly [name in keyof TlsFiles]?: string | undefined },
  problem: (problem: TlsFileProblem) => Error,
): Promise<TlsFiles> {
  const read = async (name: keyof TlsFiles) => {
    const path = paths[name];
    if (path === undefined) return {};
    try {
      return { [name]: await readFile(path) };
    } catch (cause) {
      throw problem({ name, path, cause });
    }
  };
  return { ...(await read("ca")), ...(await read("cert")), ...(await read("key")) };
}
