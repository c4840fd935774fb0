import { CodedError } from "../../base/errors.ts";
import { type Lookup, sameUrls } from "./same-urls.ts";

/** Peer URLs by name, as `--initial-cluster` gives them. */
export type FirstMembers = ReadonlyMap<string, readonly string[]>;

interface Named {
  readonly name: string;
  readonly advertisePeerUrls: readonly string[];
  readonly initialCluster: FirstMembers;
}

/** The checks of `--initial-cluster` throw CodedError EBOOTSTRAP with etcd's words (server/config/config.go). */
export function checkLocalName({ name, initialCluster }: Named): void {
  if (initialCluster.has(name)) return;
  throw refusal(`couldn't find local name "${name}" in the initial cluster configuration`);
}

/** This member's URLs in --initial-cluster are those that it tells others. */
export async function checkAdvertised(
  { name, advertisePeerUrls, initialCluster }: Named,
  options: { readonly lookup: Lookup; readonly signal: AbortSignal },
): Promise<void> {
  const listed = initialCluster.get(name) ?? [];
  const advertised = [...advertisePeerUrls].sort();
  const result = await sameUrls(advertised, [...listed].sort(), options);
  if (result.same) return;
  const named = (urls: readonly string[]) => urls.map((url) => `${name}=${url}`).join(",");
  const notAdvertised = listed.filter((url) => !advertised.includes(url));
  if (notAdvertised.length > 0) {
    throw refusal(
      `--initial-cluster has ${named(notAdvertised)} but missing from ` +
        `--initial-advertise-peer-urls=${advertised.join(",")} (${result.reason})`,
    );
  }
  const notListed = advertised.filter((url) => !listed.includes(url));
  throw refusal(
    `--initial-advertise-peer-urls has ${notListed.join(",")} but missing from --initial-cluster=${named(advertised)}`,
  );
}

/** No URL is of two members, or twice of one. */
export function checkDuplicateUrls(initialCluster: FirstMembers): void {
  const urls = [...initialCluster.values()].flat();
  if (new Set(urls).size === urls.length) return;
  const pairs = [...initialCluster].flatMap(([name, of]) => of.map((url) => `${name}=${url}`));
  throw refusal(`initial cluster ${pairs.sort().join(",")} has duplicate url`);
}

function refusal(message: string): CodedError {
  return new CodedError("EBOOTSTRAP", message);
}
