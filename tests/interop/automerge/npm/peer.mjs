// The npm package as a peer of the tests: a subset of the command language of
// tests/interop/rust/oracle.rs (new, load, save, heads, json, state, gen, recv), and
//
//   set DOC SECONDS KEY-HEX JSON-HEX     one change that assigns a root key
//   text DOC SECONDS KEY-HEX INDEX DELETE TEXT-HEX     one change that splices a text (UTF-16 index)
import * as A from "@automerge/automerge";
import {createInterface} from "node:readline";

const docs = new Map();
const states = new Map();
const hex = (bytes) => (bytes.length === 0 ? "-" : Buffer.from(bytes).toString("hex"));
const unhex = (text) => (text === "-" ? new Uint8Array() : new Uint8Array(Buffer.from(text, "hex")));
const unhexText = (text) => Buffer.from(unhex(text)).toString("utf8");
const shown = (_key, value) => {
  if (A.isCounter(value)) return value.value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  return value;
};

const commands = {
  new: (doc, actor) => void docs.set(doc, A.init({actor})),
  load: (doc, actor, bytes) => void docs.set(doc, A.load(unhex(bytes), {actor})),
  save: (doc) => hex(A.save(docs.get(doc))),
  heads: (doc) => A.getHeads(docs.get(doc)).sort().join(" "),
  json: (doc) => JSON.stringify(docs.get(doc), shown),
  set: (doc, time, key, json) => {
    const value = JSON.parse(unhexText(json));
    docs.set(doc, A.change(docs.get(doc), {time: Number(time)}, (root) => {
      root[unhexText(key)] = value;
    }));
  },
  text: (doc, time, key, index, remove, insert) => {
    docs.set(doc, A.change(docs.get(doc), {time: Number(time)}, (root) => {
      A.splice(root, [unhexText(key)], Number(index), Number(remove), unhexText(insert));
    }));
  },
  state: (slot) => void states.set(slot, A.initSyncState()),
  gen: (doc, slot) => {
    const [state, message] = A.generateSyncMessage(docs.get(doc), states.get(slot));
    states.set(slot, state);
    return message === null ? "-" : hex(message);
  },
  recv: (doc, slot, message) => {
    const [next, state] = A.receiveSyncMessage(docs.get(doc), states.get(slot), unhex(message));
    docs.set(doc, next);
    states.set(slot, state);
  },
};

for await (const line of createInterface({input: process.stdin})) {
  const [name, ...words] = line.split(" ");
  let reply;
  try {
    const result = commands[name](...words);
    reply = result === undefined || result === "" ? "ok" : `ok ${result}`;
  } catch (error) {
    reply = `err ${String(error).replaceAll("\n", " ")}`;
  }
  process.stdout.write(reply + "\n");
}
