import { Metadata } from "@grpc/grpc-js";
import type { Connection } from "./connection.ts";
import { failureOf } from "./failure.ts";
import { METHODS } from "./method.ts";

/** A user of the store and the password. */
export interface Credentials {
  readonly user: string;
  readonly password: string;
}

const NO_TOKEN = "";
const NOT_ENABLED = "etcdserver: authentication is not enabled";

/** The token that the store gives for a name and a password (rpc.proto Authenticate), fetched when first needed. */
export class AuthToken {
  readonly #credentials: Credentials;
  #token: string | undefined;
  /** A fresh token that is refused is no reason to fetch another one. */
  #fresh = false;

  constructor(credentials: Credentials) {
    this.#credentials = credentials;
  }

  /** The token; undefined where the store asks for none. Rejects with a gRPC ServiceError. */
  async get(options: {
    readonly connection: Connection;
    readonly timeoutMs: number;
    readonly signal: AbortSignal;
  }): Promise<string | undefined> {
    this.#fresh = this.#token === undefined;
    this.#token ??= await this.#fetch(options);
    return this.#token === NO_TOKEN ? undefined : this.#token;
  }

  /** The store refused the token. Returns whether fetching another one may help. */
  forget(): boolean {
    if (this.#token === undefined || this.#fresh) return false;
    this.#token = undefined;
    return true;
  }

  async #fetch(options: {
    readonly connection: Connection;
    readonly timeoutMs: number;
    readonly signal: AbortSignal;
  }): Promise<string> {
    const { user, password } = this.#credentials;
    const call = { ...options, metadata: new Metadata() };
    try {
      return (await options.connection.unary(METHODS.authenticate, { name: user, password }, call)).token;
    } catch (error) {
      // A store that nobody has to sign in to serves everybody, as etcd's client sees it.
      if (failureOf(error).detail === NOT_ENABLED) return NO_TOKEN;
      throw error;
    }
  }
}
