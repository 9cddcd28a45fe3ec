// Puts 1Password's JavaScript client behind standard input and output: a call per line in, its outcome per line out.
"use strict";

const { createHash } = require("node:crypto");
const readline = require("node:readline");
const { Stream } = require("node:stream");
const { text } = require("node:stream/consumers");
const { HTTPClient } = require("@1password/connect/dist/lib/client");
const { RequestAdapter } = require("@1password/connect/dist/lib/requests");
const { ItemBuilder, OnePasswordConnect, OPConnect } = require("@1password/connect");

// Calls that need more than arguments of JSON; all others go to the client as they come.
const special = {
  // Public ones: TypeScript's `private` leaves no mark in the program.
  methods: async () => [OPConnect, ItemBuilder]
    .flatMap((type) => Object.getOwnPropertyNames(type.prototype))
    .filter((name) => !["constructor", "getOrCreateSection"].includes(name)),

  // The steps of an ItemBuilder, as [method, ...arguments].
  build: async (client, steps) => build(steps),

  createItem: async (client, vault, steps) => client.createItem(vault, build(steps)),

  // Read, change, write back: dates and classes of the item never leave this process.
  updateItem: async (client, vault, id, changes, values) => {
    const item = await client.getItemById(vault, id);
    Object.assign(item, changes);
    for (const field of item.fields) {
      if (field.label in values) field.value = values[field.label];
    }
    return client.updateItem(vault, item);
  },

  getFileContentStream: async (client, ...args) => {
    const hash = createHash("sha256");
    let size = 0;
    for await (const chunk of await client.getFileContentStream(...args)) {
      hash.update(chunk);
      size += chunk.length;
    }
    return { size, sha256: hash.digest("hex") };
  },

  // The client has no method for PATCH; its adapter, which every method uses, knows the verb.
  patch: async (client, path, operations, { serverURL, token }) => {
    const adapter = new RequestAdapter(new HTTPClient({}), { serverURL, token });
    return (await adapter.sendRequest("patch", path, { data: operations })).data;
  },
};

function build(steps) {
  const builder = new ItemBuilder();
  for (const [method, ...args] of steps) builder[method](...args);
  return builder.build();
}

async function failure(error) {
  // A refused stream rejects with the body, still unread.
  if (error instanceof Stream) return { status: 0, stream: await text(error) };
  if (error instanceof Error) return { status: 0, message: error.message };
  if (typeof error?.status === "number") return { status: error.status, message: error.message };
  return { status: 0, rejected: error };
}

async function run({ method, args, options }) {
  try {
    const client = OnePasswordConnect(options);
    const value = Object.hasOwn(special, method)
      ? await special[method](client, ...args)
      : await client[method](...args);
    return { value: value ?? null };
  } catch (error) {
    return { error: await failure(error) };
  }
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await run(JSON.parse(line)))}\n`);
  }
})();
