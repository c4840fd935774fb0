import { CodedError } from "../../base/errors.ts";

/**
 * What can go wrong between two members. EPEERMESSAGE: bytes that are no message. EPEERFRAME: bytes that are no frame.
 * EPEERVERSION: a format version that this program does not know. EPEERREFUSED: the other side does not talk with us.
 * EPEERTIMEOUT: it is silent for too long. EPEERCLOSED: the connection is gone. EPEERURL: a peer URL that cannot be
 * dialled. EPEERSNAPSHOT: a snapshot was not taken. EPEERTOOLARGE: a question or an answer that the other side would not
 * take.
 */
export type PeerErrorCode =
  | "EPEERMESSAGE"
  | "EPEERFRAME"
  | "EPEERVERSION"
  | "EPEERREFUSED"
  | "EPEERTIMEOUT"
  | "EPEERCLOSED"
  | "EPEERURL"
  | "EPEERSNAPSHOT"
  | "EPEERTOOLARGE";

export class PeerError extends CodedError<PeerErrorCode> {
  override readonly name = "PeerError";
}
