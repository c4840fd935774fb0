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

/** A copy of the first record's value. */
export function firstValue(records: Buffer): Buffer {
  const attributes = skipVarint(records, 0);
  const offsetDelta = skipVarint(records, attributes + 1);
  const keyLength = skipVarint(records, offsetDelta);
  const key = skipVarint(records, keyLength);
  // A length of -1 reads as 0.
  const valueLength = key + lengthAt(records, keyLength, key);
  const value = skipVarint(records, valueLength);
  return Buffer.from(records.subarray(value, value + lengthAt(records, valueLength, value)));
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
  const end = body + lengthAt(records, at, body);
  invariant(end <= records.length, `record at ${at} ends within the batch`);
  return end;
}

/** The value, not negative, of the zigzag varint that stands at [from, to). */
function lengthAt(bytes: Buffer, from: number, to: number): number {
  let zigzag = 0;
  for (let i = from, shift = 0; i < to; i++, shift += 7) zigzag |= (bytes[i]! & 0x7f) << shift;
  return zigzag >>> 1;
}

function skipVarint(bytes: Buffer, from: number): number {
  let at = from;
  while (bytes[at]! > 0x7f) at += 1;
  return at + 1;
}
