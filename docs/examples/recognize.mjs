// A client from the proto files, a certificate and an address alone.
// usage: node recognize.mjs host:port TLS_DIRECTORY photo.jpg
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const [address, tls, photograph] = process.argv.slice(2);
const protos = fileURLToPath(new URL('../../proto', import.meta.url));
const definition = loadSync('meridian/recognition/v1/recognition.proto', { includeDirs: [protos], keepCase: true });
const { RecognitionService } = grpc.loadPackageDefinition(definition).meridian.recognition.v1;
const read = (file) => readFileSync(`${tls}/${file}`);
const credentials = grpc.credentials.createSsl(read('ca.pem'), read('key.pem'), read('cert.pem'));
const client = new RecognitionService(address, credentials);
client.Recognize({ picture: readFileSync(photograph) }, { deadline: Date.now() + 30_000 }, (error, response) => {
  if (error) throw error;
  for (const { label, score, box } of response.result.recognition.objects) console.log(label, score.toFixed(2), box);
  client.close();
});
