import type { Backend } from "../backend/port.ts";
import { AlarmMember, AlarmType } from "../proto/gen/rpc.ts";

/** The alarms that are raised, by member, in the backend's bucket "alarm" (etcd api/v3alarm). */
export class AlarmStore {
  readonly #backend: Backend;
  #alarms: readonly AlarmMember[];

  constructor(backend: Backend) {
    this.#backend = backend;
    const pairs = backend.range("alarm", new Uint8Array(0), undefined, 0);
    this.#alarms = Array.from(pairs, ({ key }) => AlarmMember.decode(key));
  }

  /** Those of a type; type NONE asks for all. */
  list(type: AlarmType): readonly AlarmMember[] {
    return type === AlarmType.NONE ? this.#alarms : this.#alarms.filter(({ alarm }) => alarm === type);
  }

  has(type: AlarmType): boolean {
    return this.#alarms.some(({ alarm }) => alarm === type);
  }

  /** Idempotent. */
  activate(member: AlarmMember): AlarmMember {
    const raised = this.#find(member);
    if (raised !== undefined) return raised;
    this.#alarms = [...this.#alarms, member].sort((a, b) => (a.memberID < b.memberID ? -1 : 1));
    this.#backend.put("alarm", AlarmMember.encode(member).finish(), Buffer.alloc(0));
    return member;
  }

  /** The alarm that was raised; undefined when none was. */
  deactivate(member: AlarmMember): AlarmMember | undefined {
    const raised = this.#find(member);
    if (raised === undefined) return undefined;
    this.#alarms = this.#alarms.filter((alarm) => alarm !== raised);
    this.#backend.delete("alarm", AlarmMember.encode(raised).finish());
    return raised;
  }

  #find({ memberID, alarm }: AlarmMember): AlarmMember | undefined {
    return this.#alarms.find((raised) => raised.memberID === memberID && raised.alarm === alarm);
  }
}
