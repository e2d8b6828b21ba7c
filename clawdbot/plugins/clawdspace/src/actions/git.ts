import { describeResult } from "@clawdspace/mcp/for-models";
import { defined, need } from "../parameters.js";
import { type Actions, said, told } from "./call.js";

type Name = ("git_status" | "git_clone" | "git_pull" | "git_commit" | "git_checkout") | "git_push";

/** What of git needs a token that the space must not keep, and what an agent needs with it. */
export const GIT_ACTIONS: Actions<Name> = {
  git_status: async ({ given, space, stopping }) =>
    told(await space().git.status(need(given, "repoPath"), stopping)),
  git_clone: async ({ given, space, stopping }) => {
    const { branch, token } = given;
    const dest = given.repoPath?.replace(/^\/+/, "");
    const request = { url: need(given, "repoUrl"), ...defined({ branch, token, dest }) };
    return told({ repository: await space().git.clone(request, stopping) });
  },
  git_pull: async ({ given, space, stopping }) => {
    const { remote, branch, token, rebase } = given;
    const request = { repoPath: need(given, "repoPath") };
    const options = defined({ remote, branch, token, rebase });
    return told(await space().git.pull({ ...request, ...options }, stopping));
  },
  git_commit: async ({ given, space, stopping }) => {
    const request = { repoPath: need(given, "repoPath"), message: need(given, "message") };
    return told(await space().git.commit(request, stopping));
  },
  git_checkout: async ({ given, space, stopping }) => {
    const { create = false } = given;
    const request = { repoPath: need(given, "repoPath"), ref: need(given, "branch"), create };
    return told(await space().git.checkout(request, stopping));
  },
  git_push: async ({ given, space, stopping, config }) => {
    const { remote, branch } = given;
    const request = { repoPath: need(given, "repoPath"), token: need(given, "token") };
    const result = await space().git.push({ ...request, ...defined({ remote, branch }) }, stopping);
    return said(describeResult(result, config.maxExecOutputChars), result);
  },
};
