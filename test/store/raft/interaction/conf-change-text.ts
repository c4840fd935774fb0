import {
  type ConfChange,
  type ConfChangeTransition,
  decodeConfChange,
  type SingleChange,
} from "../../../../store/raft/conf-change.ts";

/** The reference has two kinds of entries for a change; ours has one, and the scripts' older kind is marked in its context. */
export type ConfChangeVersion = "v1" | "v2";

const LETTERS = { v: "addVoter", l: "addLearner", r: "remove", u: "update" } as const;
const TRANSITIONS = { auto: "auto", implicit: "jointImplicit", explicit: "jointExplicit" } as const;
const V1_MARK = 1;

/** Reads "v1 l2 r3 u4": add voter 1, add learner 2, remove 3, update 4. No words: leave the joint configuration. */
export function parseConfChange(
  text: string,
  how: { readonly version: ConfChangeVersion; readonly transition: ConfChangeTransition },
): ConfChange {
  const changes = text.split(" ").flatMap((word): SingleChange[] => {
    if (word === "") return [];
    const kind = own(LETTERS, word.slice(0, 1), "change");
    return [{ kind, id: BigInt(word.slice(1)) }];
  });
  const context = how.version === "v1" ? Uint8Array.of(V1_MARK) : new Uint8Array(0);
  return { transition: how.transition, changes, context };
}

export function parseTransition(name: string): ConfChangeTransition {
  return own(TRANSITIONS, name, "transition");
}

/** The inverse of {@link parseConfChange}, of an entry's data. */
export function describeConfChange(data: Uint8Array): {
  readonly version: ConfChangeVersion;
  readonly text: string;
} {
  const { changes, context } = decodeConfChange(data);
  const words = changes.map(({ kind, id }) => {
    const letter = Object.entries(LETTERS).find(([, name]) => name === kind)?.[0];
    return `${letter}${id}`;
  });
  return { version: context[0] === V1_MARK ? "v1" : "v2", text: words.join(" ") };
}

function own<Names extends object>(names: Names, name: string, what: string): Names[keyof Names] {
  if (!Object.hasOwn(names, name)) throw new Error(`Cannot read the script: unknown ${what} "${name}"`);
  return names[name as keyof Names];
}
