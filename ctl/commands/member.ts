import type { Command } from "commander";
import { parsePeerUrls } from "../../conf/peer-urls.ts";
import type { StoreClient } from "../../store/client/client.ts";
import type { MemberListResult } from "../../store/client/results.ts";
import type { MemberChanged } from "../format/format.ts";
import { parseUint64 } from "../go-text.ts";
import type { Session } from "../session.ts";
import { CommandFailed, UsageError } from "../usage-error.ts";
import { isSerializable } from "./get.ts";

/** `member list | add | remove | update | promote` */
export function addMember(program: Command, session: Session): void {
  const member = program.command("member").description("Membership related commands");
  addList(member, session);
  addAdd(member, session);
  addUpdate(member, session);
  addChange(member, session, {
    name: "remove",
    description: "Removes a member from the cluster",
    words: "removed from",
    change: (client, id) => client.cluster.remove(id, session),
  });
  addChange(member, session, {
    name: "promote",
    description: "Promotes a non-voting member in the cluster",
    words: "promoted in",
    change: (client, id) => client.cluster.promote(id, session),
  });
}

function addList(member: Command, session: Session): void {
  const list = member
    .command("list")
    .description("Lists all members in the cluster")
    .option("--consistency <l|s>", "Linearizable(l) or Serializable(s)", "l");
  list.action(async () => {
    const { consistency } = list.opts<{ readonly consistency: string }>();
    const linearizable = !isSerializable(consistency);
    const write = session.writer("memberList");
    const client = await session.client();
    write(await client.memberList({ linearizable, signal: session.signal }));
  });
}

function addAdd(member: Command, session: Session): void {
  const add = member
    .command("add")
    .description("Adds a member into the cluster")
    .argument("[memberName...]")
    .option("--peer-urls <urls>", "comma separated peer URLs for the new member.", "")
    .option("--learner", "indicates if the new member is raft learner", false);
  add.action(async (names: readonly string[]) => {
    const { peerUrls, learner } = add.opts<{ readonly peerUrls: string; readonly learner: boolean }>();
    const [name, ...more] = names;
    if (name === undefined) throw new UsageError("member name not provided");
    if (more.length > 0) throw new UsageError(`too many arguments${urlHints(names)}`);
    if (peerUrls === "") throw new UsageError("member peer urls not provided");
    const write = session.writer("memberAdd");
    const client = await session.client();
    const options = { isLearner: learner, signal: session.signal };
    write(await client.cluster.add(urlsOf(peerUrls), options), { name, peerUrls });
  });
}

/** In the words of etcd's client, which checks them before it asks. */
function urlsOf(text: string): readonly string[] {
  const urls = text.split(",");
  const parsed = parsePeerUrls(urls);
  if ("problem" in parsed) throw new CommandFailed(parsed.problem);
  return urls;
}

/** Who forgets `--peer-urls` is told so. */
function urlHints(words: readonly string[]): string {
  const urls = words.filter((word) => word.toLowerCase().startsWith("http"));
  return urls.map((url) => `, did you mean --peer-urls=${url}`).join("");
}

function addUpdate(member: Command, session: Session): void {
  const update = member
    .command("update")
    .description("Updates a member in the cluster")
    .argument("[memberID...]")
    .option("--peer-urls <urls>", "comma separated peer URLs for the updated member.", "");
  update.action(async (ids: readonly string[]) => {
    const { peerUrls } = update.opts<{ readonly peerUrls: string }>();
    const id = memberIdOf(ids);
    if (peerUrls === "") throw new UsageError("member peer urls not provided");
    const write = session.writer("memberChanged");
    const client = await session.client();
    write("updated in", id, await client.cluster.update(id, urlsOf(peerUrls), session));
  });
}

function addChange(
  member: Command,
  session: Session,
  options: {
    readonly name: string;
    readonly description: string;
    readonly words: MemberChanged;
    readonly change: (client: StoreClient, id: bigint) => Promise<MemberListResult>;
  },
): void {
  const command = member.command(options.name).description(options.description).argument("[memberID...]");
  command.action(async (ids: readonly string[]) => {
    const id = memberIdOf(ids);
    const write = session.writer("memberChanged");
    write(options.words, id, await options.change(await session.client(), id));
  });
}

function memberIdOf(texts: readonly string[]): bigint {
  const [text] = texts;
  if (text === undefined || texts.length > 1) throw new UsageError("member ID is not provided");
  try {
    return parseUint64(text);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`bad member ID arg (${error.message}), expecting ID in Hex`);
  }
}
