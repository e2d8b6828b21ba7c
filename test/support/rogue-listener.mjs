// Listens where a daemon would, notes all that it is sent, and answers as politely as it can.
import { appendFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";

const [address, file] = process.argv.slice(2);

writeFileSync(file, "");
const body = JSON.stringify({ status: "ok", node: "rogue", message: "who are you?" });
createServer((socket) => {
  socket.on("error", () => {});
  socket.on("data", (data) => {
    appendFileSync(file, data);
    socket.write(
      `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
  });
}).listen(7777, address, () => console.log("ready"));
