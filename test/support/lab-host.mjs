// A host of the network lab: serves what its arguments say, in the network namespace it is started in.
import { createSocket } from "node:dgram";
import { createServer as createHttp } from "node:http";
import { connect, createServer } from "node:net";

const [name, ...services] = process.argv.slice(2);

const KINDS = {
  tcp: (port) => createHttp((_, answer) => answer.end(`${name}\n`)).listen(port, "::"),
  tls: (port) => createServer((socket) => socket.destroy()).listen(port, "::"),
  udp(port) {
    const socket = createSocket("udp4");
    socket.on("message", (data, from) => socket.send(data, from.port, from.address));
    return socket.bind(port);
  },
  // A socket in the file system that leads to a port of this namespace.
  forward: (port) =>
    createServer((client) => {
      const server = connect(port, "127.0.0.1");
      client.pipe(server).pipe(client);
      client.on("error", () => server.destroy());
      server.on("error", () => client.destroy());
    }).listen(name),
};

for (const service of services) {
  const [kind, port] = service.split(":");
  if (kind === "dns") continue;
  await new Promise((ready) => KINDS[kind](Number(port)).once("listening", ready));
}
console.log("ready");
