// Prints every finished job once or more, never less: the durable consumer goes on where it was, whatever was killed.
// usage: node finished-jobs.mjs REGION tls://host:port consumer.seed TLS_DIRECTORY [NAME]
// With `make run`: a region's `nats` in .state/run/running.json, and in .state/certificates the file
// REGION/nkeys/consumer.seed and the folder client
import { readFileSync } from 'node:fs';
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, nkeyAuthenticator } from '@nats-io/transport-node';

const [region, servers, seed, tls, name = 'example'] = process.argv.slice(2);
const connection = await connect({
  servers,
  authenticator: nkeyAuthenticator(readFileSync(seed)),
  tls: { caFile: `${tls}/ca.pem`, certFile: `${tls}/cert.pem`, keyFile: `${tls}/key.pem` },
  inboxPrefix: '_INBOX_consumer',
  maxReconnectAttempts: -1,
  ignoreClusterUpdates: true,
});
const manager = await jetstreamManager(connection, { checkAPI: false });
const filter = `meridian.${region}.event.*.job.finished`;
await manager.consumers.add('EVENTS', { durable_name: name, filter_subject: filter, ack_policy: AckPolicy.Explicit });
const consumer = await jetstream(connection).consumers.get('EVENTS', name);
for await (const message of await consumer.consume()) {
  console.log(message.headers.get('Nats-Msg-Id'), message.headers.get('ce-time'), message.subject);
  message.ack();
}
