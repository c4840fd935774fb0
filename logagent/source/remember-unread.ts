import { hashBefore } from "./file-hash.ts";
import type { SourceContext } from "./source-context.ts";
import type { TailedFile } from "./tailed-file.ts";

/** Of a file that has to wait: what is there now is told from what may replace it unread. Throws what `read` throws. */
export function rememberUnread(file: TailedFile, { deps }: SourceContext): void {
  const { record } = file.next?.content ?? file;
  if (file.size <= (record.furthest?.to ?? 0)) return;
  deps.checkpoints.reached(record, file.size, hashBefore(file.fd, file.size));
}
