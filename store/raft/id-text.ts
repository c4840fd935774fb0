/** A member's, a cluster's or a lease's id as etcd writes it: hexadecimal without leading zeros. */
export function idText(id: bigint): string {
  return id.toString(16);
}
