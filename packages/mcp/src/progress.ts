import type { RequestHandlerExtra } from "@modelcontextprotocol/sdk/shared/protocol.js";
import type { ServerNotification, ServerRequest } from "@modelcontextprotocol/sdk/types.js";

export type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;

const MAX_MESSAGE_CHARACTERS = 1000;

/**
 * Tells a client that asked for it how a call gets on. The count goes up with each message; where it ends is not known.
 * Messages that a client can't be told are lost, the call goes on.
 */
export function progressOf({ _meta, sendNotification }: Extra): (message: string) => void {
  const progressToken = _meta?.progressToken;
  if (progressToken === undefined) return () => {};
  let progress = 0;
  return (text) => {
    const message = text.slice(-MAX_MESSAGE_CHARACTERS);
    const params = { progressToken, progress: ++progress, message };
    sendNotification({ method: "notifications/progress", params }).catch(() => {});
  };
}
