import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { eventually } from "@penstock/testing";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openProxy, type Proxy } from "../src/proxy.ts";

let heard: string;
let proxy: Proxy;
let client: Socket;
let answered: string;
let ended: string;

beforeEach(async () => {
  heard = answered = ended = "";
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      heard += String(chunk);
      socket.write(`heard ${String(chunk)}`);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  proxy = await openProxy((server.address() as AddressInfo).port);
  client = await dial();
  await says(client, "hello");
  await eventually(() => answered === "heard hello" || Promise.reject(new Error(`answered ${answered}`)));
  return () => {
    proxy.close();
    server.close();
  };
});
afterEach(() => void client.destroy());

async function dial(): Promise<Socket> {
  const socket = connect(proxy.port, "127.0.0.1");
  socket.on("data", (chunk) => (answered += String(chunk)));
  socket.on("error", (error: NodeJS.ErrnoException) => (ended = error.code ?? ""));
  await once(socket, "connect");
  return socket;
}

const says = (socket: Socket, text: string): Promise<void> => new Promise((done) => socket.write(text, () => done()));

test("an answer that is lost was heard, and its connection is reset once others pass again", async () => {
  proxy.setMode("answers lost");
  await says(client, " commit");
  await eventually(() => expect(heard).toBe("hello commit"));
  proxy.setMode("pass");
  await eventually(() => expect(ended).toBe("ECONNRESET"));
  expect(answered).toBe("heard hello");
  await says(await dial(), " again");
  await eventually(() => expect(answered).toBe("heard helloheard  again"));
});

test("a black hole takes connections and bytes, and nobody hears of them", async () => {
  proxy.setMode("black hole");
  await says(client, " lost");
  const other = await dial();
  await says(other, " lost, too");
  proxy.setMode("pass");
  await eventually(() => expect(ended).toBe("ECONNRESET"));
  expect([heard, answered]).toEqual(["hello", "heard hello"]);
});

test("slow connections keep the order of their bytes, also when they are quick again", async () => {
  proxy.setMode("slow");
  await says(client, " one");
  proxy.setMode("pass");
  await says(client, " two");
  await eventually(() => expect(heard).toBe("hello one two"));
});

test("a reset ends connections at both ends", async () => {
  proxy.reset();
  await eventually(() => expect(ended).toBe("ECONNRESET"));
});

test("the client of a half-open connection is told nothing", async () => {
  proxy.halfOpen();
  await says(client, " anybody?");
  await says(await dial(), " here");
  await eventually(() => expect(heard).toBe("hello here"));
  expect(ended).toBe("");
});
