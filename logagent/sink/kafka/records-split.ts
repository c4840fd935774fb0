import { invariant } from "../../../base/invariant.ts";
import { varintBytes, writeVarint } from "./varint.ts";

/**
 * Cuts encoded records in two, the first part with `count` of them. Offset deltas of the second part start at 0 again, so its
 * records are written anew; the first part is a view of `records`.
 */
export function splitRecords(records: Buffer, count: number): readonly [Buffer, Buffer] {
  let at = 0;
  for (let i = 0; i < count; i++) at = recordEnd(records, at);
  const left = records.subarray(0, at);
  // A delta counted from 0 is never longer than the one it replaces.
  const right = Buffer.allocUnsafe(records.length - at);
  let length = 0;
  for (let offsetDelta = 0; at < records.length; offsetDelta++) {
    const end = recordEnd(records, at);
    length = copyRecord(records.subarray(at, end), offsetDelta, { target: right, at: length });
    at = end;
  }
  return [left, right.subarray(0, length)];
}

function copyRecord(
  record: Buffer,
  offsetDelta: number,
  place: { readonly target: Buffer; readonly at: number },
): number {
  const attributes = skipVarint(record, 0);
  const oldDelta = skipVarint(record, attributes + 1);
  const rest = skipVarint(record, oldDelta);
  const bodyBytes = oldDelta - attributes + varintBytes(offsetDelta) + record.length - rest;
  let at = writeVarint(place.target, place.at, bodyBytes);
  at += record.copy(place.target, at, attributes, oldDelta);
  at = writeVarint(place.target, at, offsetDelta);
  return at + record.copy(place.target, at, rest);
}

function recordEnd(records: Buffer, at: number): number {
  const body = skipVarint(records, at);
  let length = 0;
  for (let i = at, shift = 0; i < body; i++, shift += 7) length |= (records[i]! & 0x7f) << shift;
  const end = body + (length >>> 1);
  invariant(end <= records.length, `record at ${at} ends within the batch`);
  return end;
}

function skipVarint(bytes: Buffer, from: number): number {
  let at = from;
  while (bytes[at]! > 0x7f) at += 1;
  return at + 1;
}
