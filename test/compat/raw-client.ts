import { Client, credentials, Metadata } from "@grpc/grpc-js";

interface RequestType<Request> {
  encode(message: Request): { finish(): Buffer };
  fromPartial(fields: object): Request;
}

interface ResponseType<Response> {
  decode(bytes: Uint8Array): Response;
}

/** Calls of the store's API over a plain connection: no retries and no failover, so that a test sees what was answered. */
export class RawClient implements Disposable {
  readonly #client: Client;

  constructor(endpoint: string) {
    this.#client = new Client(endpoint.replace(/^http:\/\//, ""), credentials.createInsecure(), {
      "grpc.max_receive_message_length": -1,
      "grpc.enable_retries": 0,
    });
  }

  /** `method` is "KV/Put". Rejects with grpc-js's ServiceError, at the latest after `timeoutMs`. */
  call<Request, Response>(
    method: string,
    types: readonly [RequestType<Request>, ResponseType<Response>],
    request: object,
    timeoutMs = 10_000,
  ): Promise<Response> {
    const [requestType, responseType] = types;
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        `/etcdserverpb.${method}`,
        (message: Request) => requestType.encode(message).finish(),
        (bytes: Buffer) => responseType.decode(bytes),
        requestType.fromPartial(request),
        new Metadata(),
        { deadline: Date.now() + timeoutMs },
        (error, response) => (error === null && response !== undefined ? resolve(response) : reject(error)),
      );
    });
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}
