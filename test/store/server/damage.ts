import path from "node:path";
import { LmdbBackend } from "../../../store/backend/lmdb-backend.ts";
import { KeyValue } from "../../../store/proto/gen/kv.ts";

/** Changes the value of a key in a stopped member's file, as a bit that flipped would; gives what it was. */
export async function damage(
  { dataFolder }: { readonly dataFolder: string },
  key: string,
  value = "damaged",
): Promise<string | undefined> {
  const backend = await LmdbBackend.open(path.join(dataFolder, "member", "db"));
  let before: string | undefined;
  for (const record of [...backend.range("key", Buffer.alloc(0), undefined, 0)]) {
    const kv = KeyValue.decode(record.value);
    if (Buffer.from(kv.key).toString() !== key) continue;
    before = Buffer.from(kv.value).toString();
    backend.put("key", record.key, KeyValue.encode({ ...kv, value: Buffer.from(value) }).finish());
  }
  await backend.commit();
  await backend.close();
  return before;
}
