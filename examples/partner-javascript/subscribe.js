// Prints a partner's public events, one a line, and acknowledges each.
//
//   node subscribe.js NATS_URL STACK PARTNER SEED_FILE
import { readFileSync } from "node:fs";
import { jetstream } from "@nats-io/jetstream";
import { connect, nkeyAuthenticator } from "@nats-io/transport-node";

const [servers, stack, partner, file] = process.argv.slice(2);
const seed = new TextEncoder().encode(readFileSync(file, "utf8").trim());
const connection = await connect({
  servers,
  authenticator: nkeyAuthenticator(seed),
  inboxPrefix: `_INBOX_${partner}`,
  maxReconnectAttempts: -1,
});
// The partner's account reaches nothing but its own consumer, under the stack's prefix.
const js = jetstream(connection, { apiPrefix: `js.${stack}.API` });
const consumer = await js.consumers.get(`PUB_${stack.toUpperCase()}`, `partner-${partner}`);
for await (const message of await consumer.consume({ max_messages: 100 })) {
  console.log(message.headers.get("ce-type"), message.string());
  message.ack();
}
