export { GuestConnection } from "./connection.js";
