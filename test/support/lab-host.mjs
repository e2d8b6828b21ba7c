// A host of the network lab: serves what its arguments say, in the network namespace it is started in.
import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { createServer as createHttp } from "node:http";
import { createServer as createHttps } from "node:https";
import { connect, createServer } from "node:net";
import dns from "dns-packet";

const [name, ...services] = process.argv.slice(2);

const ZONE = {
  "allowed.test": "203.0.113.10",
  "sub.wild.test": "203.0.113.10",
  "other.test": "203.0.113.20",
  "inside.test": "192.168.77.3",
};

const hello = (request, answer) => answer.end(`${name} ${request.headers.host} ${request.url}\n`);

const KINDS = {
  tcp: (port) => createHttp(hello).listen(port, "::"),
  tls: (port) => {
    const folder = process.env.LAB_FOLDER;
    const key = readFileSync(`${folder}/key.pem`);
    const cert = readFileSync(`${folder}/cert.pem`);
    return createHttps({ key, cert }, hello).listen(port, "::");
  },
  udp(port) {
    const socket = createSocket("udp4");
    socket.on("message", (data, from) => socket.send(data, from.port, from.address));
    return socket.bind(port);
  },
  dns(port) {
    const socket = createSocket("udp4");
    socket.on("message", (data, from) => {
      const { id, questions = [] } = dns.decode(data);
      const [question] = questions;
      const address = question?.type === "A" ? ZONE[question.name.toLowerCase()] : undefined;
      const known = question && question.name.toLowerCase() in ZONE;
      const answer = dns.encode({
        id,
        type: "response",
        flags: dns.RECURSION_AVAILABLE | dns.RECURSION_DESIRED | (known ? 0 : 3),
        questions,
        answers: address ? [{ type: "A", name: question.name, ttl: 1, data: address }] : [],
      });
      socket.send(answer, from.port, from.address);
    });
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
  await new Promise((ready) => KINDS[kind](Number(port)).once("listening", ready));
}
console.log("ready");
