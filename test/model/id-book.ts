import { hold } from "../support/violation.ts";
import type { Content } from "./content.ts";
import type { Inode } from "./inode.ts";

interface Sent {
  readonly from: number;
  readonly bytes: Buffer;
}

interface IdFacts {
  readonly inode: Inode;
  /** That was in the file when the id was minted; it may have been replaced before anything of it was seen. */
  readonly mintedFor: Content;
  sent: Sent[];
  /** That hold all that was sent; undefined: nothing was sent. */
  contents: readonly Content[] | undefined;
}

/** Which content each id stands for, by what was sent under it. */
export class IdBook {
  readonly #ids = new Map<string, IdFacts>();
  readonly #ended = new Set<string>();

  minted(id: string, content: Content): void {
    this.#ids.set(id, { inode: content.inode, mintedFor: content, sent: [], contents: undefined });
  }

  /** Enters a delivery, and says which contents hold it. */
  sent(
    id: string,
    from: number,
    bytes: Buffer,
    { contents, isClockSteady }: { readonly contents: readonly Content[]; readonly isClockSteady: boolean },
  ): readonly Content[] {
    const facts = this.#ids.get(id);
    hold("an id was minted", facts !== undefined, () => id);
    const holders = contents.filter((content) => content.holds(bytes, from));
    hold("what is sent was in a file", holders.length > 0, () => `${id}:${from} ${said(bytes)}`);
    facts.sent.push({ from, bytes });
    const both = (facts.contents ?? holders).filter((content) => holders.includes(content));
    // What a crash made the agent forget does not count, and what a file kept when it was shortened is of both contents: the later one may hold what was sent before.
    facts.contents =
      both.length > 0
        ? both
        : holders.filter((content) => facts.sent.every((one) => content.holds(one.bytes, one.from)));
    hold("an id has one content", facts.contents.length > 0, () => `${id}:${from} ${said(bytes)}`);
    const [content] = facts.contents;
    // By a clock that went back what was compressed long ago is younger than who was seen after it.
    // And what was shipped of a file, and not acknowledged, may come again from its packed copy, which is also read as what it is.
    const mayComeAgain = content?.packedAt !== undefined && (!isClockSteady || content.isCopy);
    if (content !== undefined && facts.contents.length === 1 && !mayComeAgain)
      this.#requireSoleId(id, content);
    return holders;
  }

  /** From its checkpoints the agent cannot go on with this id: its file is shorter than they say. */
  end(id: string): void {
    this.#ended.add(id);
  }

  /** No other ids than these are known to the agent that begins. */
  endOthers(known: readonly string[]): void {
    for (const id of this.#ids.keys()) if (!known.includes(id)) this.#ended.add(id);
  }

  /** The agent does not know that anything was sent beyond `to`: what it saw last was not yet on disk when it died. */
  forget(id: string, to: number): void {
    const facts = this.#ids.get(id);
    if (facts === undefined) return;
    facts.sent = facts.sent.filter(({ from, bytes }) => from + bytes.byteLength <= to);
  }

  /** Has one of these ids been minted for its file since it was there? */
  isMintedFor(content: Content, ids: Iterable<string>): boolean {
    for (const id of ids) {
      const facts = this.#ids.get(id);
      if (facts?.inode === content.inode && facts.mintedFor.number <= content.number) return true;
    }
    return false;
  }

  /** The id under which this content was sent, if that is clear. */
  idOf(content: Content): string | undefined {
    for (const [id, { contents }] of this.#ids) {
      if (contents?.length === 1 && contents[0] === content && !this.#ended.has(id)) return id;
    }
    return undefined;
  }

  /** May this id be the one of the content? */
  mayBe(id: string, content: Content): boolean {
    const facts = this.#ids.get(id);
    if (facts === undefined) return false;
    const own = this.idOf(content);
    if (own !== undefined) return own === id;
    return (facts.contents?.includes(content) ?? false) || isSameFile(facts.inode, content.inode);
  }

  /** Was the id minted for the file of this content, and nothing ever sent under it? The agent may not know them for one. */
  isUnsent(id: string, content: Content): boolean {
    const facts = this.#ids.get(id);
    return facts !== undefined && facts.contents === undefined && isSameFile(facts.inode, content.inode);
  }

  /** Those that the id may stand for: they hold what was sent, or are in the file for which it was minted since then. */
  contentsOf(id: string, contents: readonly Content[]): readonly Content[] {
    const facts = this.#ids.get(id);
    if (facts === undefined) return [];
    const { inode, mintedFor } = facts;
    return contents.filter(
      (content) =>
        facts.contents?.includes(content) || (content.inode === inode && content.number >= mintedFor.number),
    );
  }

  /** Those of which this is the id, as far as one can know. */
  ownersOf(id: string, contents: readonly Content[]): readonly Content[] {
    return this.#ids.get(id)?.contents ?? this.contentsOf(id, contents);
  }

  #requireSoleId(id: string, content: Content): void {
    for (const [other, { contents }] of this.#ids) {
      const isOther =
        other !== id && !this.#ended.has(other) && contents?.length === 1 && contents[0] === content;
      hold("a content has one id", !isOther, () => `${id} and ${other} are both ${content}`);
    }
  }
}

/** As the agent sees it: an inode that was used again within a tick of the clock is the file that it was. */
function isSameFile(a: Inode, b: Inode): boolean {
  return a.ino === b.ino && a.birthNs === b.birthNs;
}

function said(bytes: Buffer): string {
  return JSON.stringify(bytes.subarray(0, 80).toString());
}
