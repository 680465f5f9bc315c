// The npm package as a peer of the tests. It answers the command language of
// tests/interop/rust/oracle.rs through the package's own engine, whose indexes are UTF-16 units:
// all but units, forkat, actor, loadfile, saveafter, missing, bundle, unbundle, cursorbytes,
// observe, patches, replace, updatespans, create and initroot; `empty` needs no commit before it,
// and `fork` takes its actor. `diff` is not that of the oracle: the package's own patches, as JSON.
// And through the proxies that users edit, on documents that no command from above has changed:
//
//   set DOC SECONDS KEY JSON                       one change that assigns a root key
//   text DOC SECONDS KEY INDEX DELETE TEXT         one change that splices a text
//   change DOC SECONDS OPERATIONS                  one change of a JSON array of operations on
//       paths: ["splice",path,index,delete,text], ["mark",path,start,end,expand,name,value],
//       ["unmark",path,start,end,expand,name], ["splitBlock",path,index,block],
//       ["joinBlock",path,index], ["updateBlock",path,index,block], ["updateText",path,text],
//       ["updateSpans",path,spans], ["increment",path,key,by], ["assign",path,key,value],
//       ["delete",path,key], ["insert",path,index,value]
//   changeat DOC SECONDS HEADS OPERATIONS          the same as of HEADS
//   view DOC HEADS                                 -> JSON as of HEADS
import * as A from "@automerge/automerge";
import {createInterface} from "node:readline";

const docs = new Map();
const states = new Map();
const hex = (bytes) => (bytes.length === 0 ? "-" : Buffer.from(bytes).toString("hex"));
const hexText = (text) => hex(Buffer.from(text, "utf8"));
const unhex = (text) => new Uint8Array(text === "-" ? 0 : Buffer.from(text, "hex"));
const unhexText = (text) => Buffer.from(unhex(text)).toString("utf8");
const shown = (_key, value) => {
  if (A.isCounter(value)) return value.value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (A.isImmutableString(value)) return value.toString();
  return value;
};
const hashes = (word) => (word === "-" ? [] : word.split(","));
const heads = (word) => (word === undefined || word === "now" ? undefined : hashes(word));
const handle = (doc) => A.getBackend(docs.get(doc));

const prop = (word) => (word[0] === "k" ? unhexText(word.slice(2)) : Number(word.slice(2)));

// [value, datatype] as the engine takes them. Whole numbers beyond 2^53 go as BigInt.
function scalar(word) {
  const colon = word.indexOf(":");
  const kind = colon < 0 ? word : word.slice(0, colon);
  const text = word.slice(colon + 1);
  const whole = () => (Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text));
  switch (kind) {
    case "null": return [null, "null"];
    case "true": return [true, "boolean"];
    case "false": return [false, "boolean"];
    case "f64": return [Buffer.from(text, "hex").readDoubleBE(), "f64"];
    case "str": return [unhexText(text), "str"];
    case "bytes": return [unhex(text), "bytes"];
    default: return [whole(), kind];
  }
}

function bits(value) {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return bytes.toString("hex");
}

function scalarWord([kind, value]) {
  switch (kind) {
    case "null": return "null";
    case "boolean": return String(value);
    case "f64": return `f64:${bits(value)}`;
    case "str": return `str:${hexText(value)}`;
    case "bytes": return `bytes:${hex(value)}`;
    case "timestamp": return `timestamp:${value instanceof Date ? value.getTime() : value}`;
    default: return `${kind}:${value}`;
  }
}

// A value of a mark or block as the package hands it out: its type is guessed.
function plainWord(value) {
  if (value === null) return "null";
  if (typeof value === "boolean") return String(value);
  if (typeof value === "number") {
    return Number.isInteger(value) ? `int:${value}` : `f64:${bits(value)}`;
  }
  if (typeof value === "string") return `str:${hexText(value)}`;
  if (A.isImmutableString(value)) return `str:${hexText(value.toString())}`;
  if (value instanceof Uint8Array) return `bytes:${hex(value)}`;
  if (value instanceof Date) return `timestamp:${value.getTime()}`;
  if (Array.isArray(value)) return `<${value.map(plainWord).join(",")}>`;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, item]) => `${hexText(key)}=${plainWord(item)}`).join(",")}}`;
}

function valuesWord(doc, obj, at, when) {
  const one = (value) => {
    const id = value[value.length - 1];
    const kind = value[0];
    if (["map", "list", "text", "table"].includes(kind)) return objectWord(doc, id, kind, when);
    return `${scalarWord(value)}@${id}`;
  };
  return `[${doc.getAll(obj, at, when).map(one).join(",")}]`;
}

function objectWord(doc, id, kind, when) {
  if (kind === "text") return `text:${hexText(doc.text(id, when))}@${id}`;
  if (kind === "list") {
    const indexes = Array.from({length: doc.length(id, when)}, (_, index) => index);
    return `list@${id}<${indexes.map((index) => valuesWord(doc, id, index, when)).join("")}>`;
  }
  const keys = [...new Set(doc.keys(id, when))];
  const entries = keys.map((key) => `${hexText(key)}=${valuesWord(doc, id, key, when)}`);
  return `${kind}@${id}{${entries.join("")}}`;
}

const empties = {map: {}, list: [], text: ""};
const range = (start, end, expand) => ({start: Number(start), end: Number(end), expand});
const markWord = ({name, value, start, end}) =>
  `${start}:${end}:${hexText(name)}=${plainWord(value)}`;
const spanWord = ({type, value, marks}) =>
  type === "text" ? `text:${hexText(value)}${plainWord(marks ?? {})}` : `block:${plainWord(value)}`;

const operations = {
  splice: A.splice,
  mark: (root, path, start, end, expand, name, value) =>
    A.mark(root, path, {start, end, expand}, name, value),
  unmark: (root, path, start, end, expand, name) =>
    A.unmark(root, path, {start, end, expand}, name),
  splitBlock: A.splitBlock,
  joinBlock: A.joinBlock,
  updateBlock: A.updateBlock,
  updateText: A.updateText,
  updateSpans: A.updateSpans,
  increment: (root, path, key, by) => void at(root, path)[key].increment(by),
  assign: (root, path, key, value) => void (at(root, path)[key] = value),
  delete: (root, path, key) => void delete at(root, path)[key],
  insert: (root, path, index, value) => at(root, path).insertAt(index, value),
};
const at = (root, path) => path.reduce((value, step) => value[step], root);
const apply = (word) => (root) => {
  for (const [name, ...words] of JSON.parse(unhexText(word))) operations[name](root, ...words);
};

const commands = {
  new: (doc, actor) => void docs.set(doc, A.init({actor})),
  load: (doc, actor, bytes) => void docs.set(doc, A.load(unhex(bytes), {actor})),
  loadinc: (doc, bytes) => void handle(doc).loadIncremental(unhex(bytes)),
  fork: (doc, from, actor) => void docs.set(doc, A.clone(docs.get(from), {actor})),
  merge: (doc, from) => void handle(doc).merge(handle(from)),

  put: (doc, obj, key, value) => handle(doc).put(obj, prop(key), ...scalar(value)),
  make: (doc, obj, key, type) => handle(doc).putObject(obj, prop(key), empties[type]),
  insert: (doc, obj, index, value) => handle(doc).insert(obj, Number(index), ...scalar(value)),
  insmake: (doc, obj, index, type) => handle(doc).insertObject(obj, Number(index), empties[type]),
  splice: (doc, obj, index, remove, text) =>
    handle(doc).splice(obj, Number(index), Number(remove), unhexText(text)),
  // The package's own splice guesses the types of values.
  splicelist: (doc, obj, index, remove, ...values) => {
    const erase = Math.abs(Number(remove));
    const at = Number(index) - (remove < 0 ? erase : 0);
    values.forEach((value, i) => handle(doc).insert(obj, at + i, ...scalar(value)));
    for (let n = 0; n < erase; ++n) handle(doc).delete(obj, at + values.length);
  },
  delete: (doc, obj, key) => handle(doc).delete(obj, prop(key)),
  incr: (doc, obj, key, by) => handle(doc).increment(obj, prop(key), Number(by)),
  mark: (doc, obj, start, end, name, value, expand) =>
    handle(doc).mark(obj, range(start, end, expand), unhexText(name), ...scalar(value)),
  unmark: (doc, obj, start, end, name, expand) =>
    handle(doc).unmark(obj, range(start, end, expand), unhexText(name)),
  join: (doc, obj, index) => handle(doc).joinBlock(obj, Number(index)),
  updatetext: (doc, obj, text) => handle(doc).updateText(obj, unhexText(text)),
  commit: (doc, time, message) =>
    handle(doc).commit(message === undefined ? undefined : unhexText(message), Number(time)) ?? "-",
  empty: (doc, time) => handle(doc).emptyChange(undefined, Number(time)),
  rollback: (doc) => String(handle(doc).rollback()),
  isolate: (doc, when) => handle(doc).isolate(hashes(when)),
  integrate: (doc) => handle(doc).integrate(),

  save: (doc, how) => hex(how === "raw" ? handle(doc).saveNoCompress() : A.save(docs.get(doc))),
  saveinc: (doc) => hex(A.saveIncremental(docs.get(doc))),
  changes: (doc, have) => handle(doc).getChanges(have ? hashes(have) : []).map(hex).join(" "),
  heads: (doc) => A.getHeads(docs.get(doc)).sort().join(" "),
  json: (doc) => JSON.stringify(handle(doc).materialize("_root"), shown),
  dump: (doc, when) => objectWord(handle(doc), "_root", "map", heads(when)),
  get: (doc, obj, key, when) => valuesWord(handle(doc), obj, prop(key), heads(when)),
  length: (doc, obj, when) => String(handle(doc).length(obj, heads(when))),
  marks: (doc, obj, when) => handle(doc).marks(obj, heads(when)).map(markWord).join(" "),
  marksat: (doc, obj, index, when) =>
    plainWord(handle(doc).marksAt(obj, Number(index), heads(when))),
  spans: (doc, obj, when) => handle(doc).spans(obj, heads(when)).map(spanWord).join(" "),
  cursor: (doc, obj, position, move, when) => {
    const where = {s: "start", e: "end"}[position] ?? Number(position);
    return handle(doc).getCursor(obj, where, heads(when), move);
  },
  seek: (doc, obj, cursor, when) =>
    String(handle(doc).getCursorPosition(obj, cursor, heads(when))),
  diff: (doc, before, after) =>
    JSON.stringify(handle(doc).diff(hashes(before), hashes(after)), shown),
  view: (doc, when) => JSON.stringify(A.view(docs.get(doc), hashes(when)), shown),

  set: (doc, time, key, json) => {
    const value = JSON.parse(unhexText(json));
    docs.set(doc, A.change(docs.get(doc), {time: Number(time)}, (root) => {
      root[unhexText(key)] = value;
    }));
  },
  // The one of the oracle reads, that of the proxies splices.
  text: (doc, ...words) => {
    if (words.length < 3) return hexText(handle(doc).text(words[0], heads(words[1])));
    const [time, key, index, remove, insert] = words;
    docs.set(doc, A.change(docs.get(doc), {time: Number(time)}, (root) => {
      A.splice(root, [unhexText(key)], Number(index), Number(remove), unhexText(insert));
    }));
  },
  change: (doc, time, word) =>
    void docs.set(doc, A.change(docs.get(doc), {time: Number(time)}, apply(word))),
  changeat: (doc, time, when, word) => {
    const done = A.changeAt(docs.get(doc), hashes(when), {time: Number(time)}, apply(word));
    docs.set(doc, done.newDoc);
    return done.newHeads === null ? "-" : done.newHeads.join(",");
  },

  state: (slot) => void states.set(slot, A.initSyncState()),
  statesave: (slot) => hex(A.encodeSyncState(states.get(slot))),
  stateload: (slot, bytes) => void states.set(slot, A.decodeSyncState(unhex(bytes))),
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
