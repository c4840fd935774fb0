interface Waiting<Answer> {
  readonly topic: string;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** A question that is asked about topics: those that come up in one turn, or while one is being answered, go together. */
export class TopicQuestions<Answer> {
  readonly #ask: (topics: readonly string[]) => Promise<(topic: string) => Answer>;
  #waiting: Waiting<Answer>[] = [];
  #isAsking = false;

  /** `ask` gets each topic once; what it resolves with gives the answer for a topic, or throws. */
  constructor(ask: (topics: readonly string[]) => Promise<(topic: string) => Answer>) {
    this.#ask = ask;
  }

  /** Rejects with what asking, or the answer for the topic, throws. */
  about(topic: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ topic, resolve, reject });
      if (this.#isAsking) return;
      this.#isAsking = true;
      setImmediate(() => void this.#askWaiting());
    });
  }

  /** Ends every wait that no request stands for yet. */
  fail(reason: unknown): void {
    for (const { reject } of this.#waiting.splice(0)) reject(reason);
  }

  async #askWaiting(): Promise<void> {
    while (this.#waiting.length > 0) {
      const waiting = this.#waiting.splice(0);
      try {
        const answerFor = await this.#ask([...new Set(waiting.map(({ topic }) => topic))]);
        for (const { topic, resolve, reject } of waiting) {
          try {
            resolve(answerFor(topic));
          } catch (error) {
            reject(error);
          }
        }
      } catch (error) {
        for (const { reject } of waiting) reject(error);
      }
    }
    this.#isAsking = false;
  }
}
