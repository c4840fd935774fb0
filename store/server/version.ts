/**
 * The etcd release whose interface, defaults and error texts this store answers with: what Status and `--version` tell,
 * because clients and scripts compare it. The version of logstore itself is the package's.
 */
export const ETCD_API_VERSION = "3.7.3";

/** What etcd calls the storage and the cluster version: its release without the patch. */
export const ETCD_MINOR_VERSION = "3.7.0";
