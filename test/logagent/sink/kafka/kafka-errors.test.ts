import assert from "node:assert/strict";
import { suite, test } from "node:test";
import {
  AuthenticationError,
  NetworkError,
  ProtocolError,
  TimeoutError,
  UnexpectedCorrelationIdError,
  UserError,
} from "@platformatic/kafka";
import { connectionError } from "../../../../logagent/sink/kafka/kafka-errors.ts";

suite("connectionError()", () => {
  const errno = (code: string) => Object.assign(new Error(code), { code });
  const remedyOf = (code: string, message = code) =>
    connectionError("Cannot connect", Object.assign(new Error(message), { code })).remedy;

  test("waits for a person where a certificate is refused, and for the broker where it is away", () => {
    for (const code of [
      "CERT_HAS_EXPIRED",
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
      "ERR_TLS_CERT_ALTNAME_INVALID",
    ]) {
      assert.equal(remedyOf(code), "slow", code);
    }
    for (const code of ["ECONNREFUSED", "ECONNRESET", "ETIMEDOUT"])
      assert.equal(remedyOf(code), "soon", code);
  });

  test("names what the error is about in the end, also through what the library wraps it in", () => {
    const root = Object.assign(new Error("certificate has expired"), { code: "CERT_HAS_EXPIRED" });
    const wrapped = new AggregateError([new Error("Connection failed", { cause: root })]);
    const error = connectionError("Cannot connect to Kafka broker k:9092", wrapped);
    assert.equal(error.message, "Cannot connect to Kafka broker k:9092: certificate has expired");
    assert.deepEqual([error.code, error.remedy], ["CERT_HAS_EXPIRED", "slow"]);
  });

  test("has an errno or the name of a Kafka error as its code, never one of the library", () => {
    const errors: readonly (readonly [Error, string])[] = [
      [new TimeoutError("Request timed out", { canRetry: true }), "ETIMEDOUT"],
      [new TimeoutError("Connection to k:9092 timed out.", { canRetry: true }), "ETIMEDOUT"],
      [new NetworkError("Connection closed"), "NETWORK_EXCEPTION"],
      [new NetworkError("Connection to k:9092 failed.", { cause: errno("ECONNREFUSED") }), "ECONNREFUSED"],
      [new UserError("Broker requires TLS."), "EPROTO"],
      [new UnexpectedCorrelationIdError("Received unexpected response with correlation_id=7"), "EPROTO"],
      [new ProtocolError("THROTTLING_QUOTA_EXCEEDED"), "THROTTLING_QUOTA_EXCEEDED"],
      [new AuthenticationError("Cannot find a suitable mechanism."), "SASL_AUTHENTICATION_FAILED"],
    ];
    for (const [error, code] of errors) assert.equal(connectionError("Cannot connect", error).code, code);
  });
});
