import { CodedError } from "../../base/errors.ts";

/** gRPC status codes that the store answers with (grpc/grpc `statuscodes.md`). */
export const GRPC_CODE = {
  ok: 0,
  canceled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

export type GrpcCode = (typeof GRPC_CODE)[keyof typeof GRPC_CODE];

/** The one table from a store error to the exact status code and text that etcd answers; clients match on the text. */
export const STORE_ERRORS = {
  EmptyKey: [GRPC_CODE.invalidArgument, "etcdserver: key is not provided"],
  KeyNotFound: [GRPC_CODE.invalidArgument, "etcdserver: key not found"],
  ValueProvided: [GRPC_CODE.invalidArgument, "etcdserver: value is provided"],
  LeaseProvided: [GRPC_CODE.invalidArgument, "etcdserver: lease is provided"],
  TooManyOps: [GRPC_CODE.invalidArgument, "etcdserver: too many operations in txn request"],
  DuplicateKey: [GRPC_CODE.invalidArgument, "etcdserver: duplicate key given in txn request"],
  InvalidSortOption: [GRPC_CODE.invalidArgument, "etcdserver: invalid sort option"],
  RequestTooLarge: [GRPC_CODE.invalidArgument, "etcdserver: request is too large"],
  Compacted: [GRPC_CODE.outOfRange, "etcdserver: mvcc: required revision has been compacted"],
  FutureRev: [GRPC_CODE.outOfRange, "etcdserver: mvcc: required revision is a future revision"],
  NoSpace: [GRPC_CODE.resourceExhausted, "etcdserver: mvcc: database space exceeded"],
  TooManyRequests: [GRPC_CODE.resourceExhausted, "etcdserver: too many requests"],
  LeaseNotFound: [GRPC_CODE.notFound, "etcdserver: requested lease not found"],
  LeaseExist: [GRPC_CODE.failedPrecondition, "etcdserver: lease already exists"],
  LeaseTTLTooLarge: [GRPC_CODE.outOfRange, "etcdserver: too large lease TTL"],
  WatchCanceled: [GRPC_CODE.canceled, "etcdserver: watch canceled"],
  NoLeader: [GRPC_CODE.unavailable, "etcdserver: no leader"],
  NotLeader: [GRPC_CODE.failedPrecondition, "etcdserver: not leader"],
  LeaderChanged: [GRPC_CODE.unavailable, "etcdserver: leader changed"],
  Stopped: [GRPC_CODE.unavailable, "etcdserver: server stopped"],
  Timeout: [GRPC_CODE.unavailable, "etcdserver: request timed out"],
  TimeoutLeaderFail: [
    GRPC_CODE.unavailable,
    "etcdserver: request timed out, possibly due to previous leader failure",
  ],
  TimeoutConnectionLost: [
    GRPC_CODE.unavailable,
    "etcdserver: request timed out, possibly due to connection lost",
  ],
  // etcd lets reads wait for its lock meanwhile, however long; a client tries an unavailable member again.
  InstallingSnapshot: [GRPC_CODE.unavailable, "logstore: installing a snapshot"],
  Corrupt: [GRPC_CODE.dataLoss, "etcdserver: corrupt cluster"],
  MemberExist: [GRPC_CODE.failedPrecondition, "etcdserver: member ID already exist"],
  PeerURLExist: [GRPC_CODE.failedPrecondition, "etcdserver: Peer URLs already exists"],
  // The code is what etcd's server really sends, which forgets the one that its table has.
  MemberNotEnoughStarted: [
    GRPC_CODE.unknown,
    "etcdserver: re-configuration failed due to not enough started members",
  ],
  MemberBadURLs: [GRPC_CODE.invalidArgument, "etcdserver: given member URLs are invalid"],
  MemberNotFound: [GRPC_CODE.notFound, "etcdserver: member not found"],
  MemberNotLearner: [GRPC_CODE.failedPrecondition, "etcdserver: can only promote a learner member"],
  LearnerNotReady: [
    GRPC_CODE.failedPrecondition,
    "etcdserver: can only promote a learner member which is in sync with leader",
  ],
  TooManyLearners: [GRPC_CODE.failedPrecondition, "etcdserver: too many learner members in cluster"],
  Unhealthy: [GRPC_CODE.unavailable, "etcdserver: unhealthy cluster"],
  NotSupportedForLearner: [GRPC_CODE.failedPrecondition, "etcdserver: rpc not supported for learner"],
  BadLeaderTransferee: [GRPC_CODE.failedPrecondition, "etcdserver: bad leader transferee"],
  WrongDowngradeVersionFormat: [
    GRPC_CODE.invalidArgument,
    "etcdserver: wrong downgrade target version format",
  ],
  InvalidDowngradeTargetVersion: [GRPC_CODE.invalidArgument, "etcdserver: invalid downgrade target version"],
  TimeoutLeaderTransfer: [GRPC_CODE.unknown, "etcdserver: request timed out, leader transfer took too long"],
} as const satisfies Record<string, readonly [GrpcCode, string]>;

export type StoreErrorCode = keyof typeof STORE_ERRORS;

export function isStoreErrorCode(code: string): code is StoreErrorCode {
  return Object.hasOwn(STORE_ERRORS, code);
}

/** A request that the store refuses, with etcd's status code and words. */
export class StoreError extends CodedError<StoreErrorCode> {
  override readonly name = "StoreError";
  readonly grpcCode: GrpcCode;

  constructor(code: StoreErrorCode) {
    const [grpcCode, text] = STORE_ERRORS[code];
    super(code, text);
    this.grpcCode = grpcCode;
  }
}
