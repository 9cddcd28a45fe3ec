// Reads private keys and key stores with the OpenSSL inside Node. It takes one question per line, as JSON, and answers each with a line.
const { createPrivateKey } = require("node:crypto");
const { createInterface } = require("node:readline");
const tls = require("node:tls");

// The certificates that a server of this key store presents, as a client sees them, and whether it can prove that it has their key.
function present(pfx, passphrase) {
  return new Promise((resolve, reject) => {
    const server = tls.createServer({ pfx, passphrase }, (socket) => socket.end());
    const fail = (error) => (server.close(), reject(error));
    server.on("tlsClientError", fail).on("error", fail).listen(0, "127.0.0.1", () => {
      const client = tls.connect({ port: server.address().port, host: "127.0.0.1", rejectUnauthorized: false }, () => {
        const leaf = client.getPeerCertificate(false).raw;
        client.destroy();
        server.close(() => resolve([leaf.toString("base64")]));
      });
      client.on("error", fail);
    });
  });
}

const readers = {
  pkcs8: ({ file }) => {
    const key = createPrivateKey(file);
    return { key: key.export({ format: "der", type: "pkcs8" }).toString("base64"), certificates: [] };
  },
  pkcs12: async ({ file, password }) => ({ key: "", certificates: await present(file, password) }),
};

createInterface({ input: process.stdin }).on("line", async (line) => {
  const asked = JSON.parse(line);
  let answer;
  try {
    answer = { value: await readers[asked.reader]({ ...asked, file: Buffer.from(asked.file, "base64") }) };
  } catch (error) {
    answer = { error: { status: 0, message: String(error) } };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
});
