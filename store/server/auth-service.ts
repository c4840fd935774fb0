import { GRPC_CODE } from "../proto/errors.ts";
import { AuthStatusResponse } from "../proto/gen/rpc.ts";
import type { Replica } from "../replica/replica.ts";
import type { ResponseHeaders } from "./response-header.ts";
import { CallError, type Handler, type ServiceTable } from "./service.ts";

/** What etcd answers where auth was never enabled (rpctypes ErrGRPCAuthNotEnabled). */
const NOT_ENABLED = "etcdserver: authentication is not enabled";

/** The revision of an auth store that nothing was ever written to (etcd counts from 1). */
const FIRST_AUTH_REVISION = 1;

const UNSUPPORTED = [
  "AuthEnable",
  "UserAdd",
  "UserGet",
  "UserList",
  "UserDelete",
  "UserChangePassword",
  "UserGrantRole",
  "UserRevokeRole",
  "RoleAdd",
  "RoleGet",
  "RoleList",
  "RoleDelete",
  "RoleGrantPermission",
  "RoleRevokePermission",
];

/** The service Auth (etcd rpc.proto) of a store where auth is off and cannot be turned on: it says so. */
export function authService(options: {
  readonly replica: Replica;
  readonly headers: ResponseHeaders;
}): ServiceTable {
  const { replica, headers } = options;
  const status: Handler = {
    kind: "unary",
    call: async () => {
      const body = AuthStatusResponse.encode({
        header: undefined,
        enabled: false,
        authRevision: FIRST_AUTH_REVISION,
      }).finish();
      return headers.before(replica.state.revision, body);
    },
  };
  return new Map<string, Handler>([
    ["/etcdserverpb.Auth/AuthStatus", status],
    ["/etcdserverpb.Auth/Authenticate", refusal(GRPC_CODE.failedPrecondition, NOT_ENABLED)],
    // Disabling what is disabled succeeds in etcd, and changes nothing.
    [
      "/etcdserverpb.Auth/AuthDisable",
      { kind: "unary", call: async () => headers.before(replica.state.revision) },
    ],
    ...UNSUPPORTED.map((name): [string, Handler] => [
      `/etcdserverpb.Auth/${name}`,
      refusal(
        GRPC_CODE.unimplemented,
        `logstore: ${name} is not supported: this release has no users and roles`,
      ),
    ]),
  ]);
}

function refusal(code: (typeof GRPC_CODE)[keyof typeof GRPC_CODE], message: string): Handler {
  return { kind: "unary", call: () => Promise.reject(new CallError(code, message)) };
}
