export { useLifecycle } from "./actions.js";
export { default as RemoveDialog } from "./remove-dialog.js";
