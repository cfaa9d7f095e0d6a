// A client from the proto files, a certificate and an address alone: prints what is in the photograph, and where.
// usage: node recognize.mjs host:port TLS_DIRECTORY photo.jpg
// With `make run`: a region's `scheduler` in .state/run/running.json, and the folder .state/certificates/client
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const [address, tls, photograph] = process.argv.slice(2);
const protos = fileURLToPath(new URL('../../proto', import.meta.url));
const definition = loadSync('meridian/recognition/v1/recognition.proto', { includeDirs: [protos], keepCase: true });
const { RecognitionService } = grpc.loadPackageDefinition(definition).meridian.recognition.v1;
try {
  if (photograph === undefined) throw new Error('usage: node recognize.mjs host:port TLS_DIRECTORY photo.jpg');
  const read = (file) => readFileSync(`${tls}/${file}`);
  const credentials = grpc.credentials.createSsl(read('ca.pem'), read('key.pem'), read('cert.pem'));
  // All certificates of an installation are for this name, wherever the service runs.
  const client = new RecognitionService(address, credentials, { 'grpc.ssl_target_name_override': 'meridian' });
  const recognize = promisify(client.Recognize.bind(client));
  const { result } = await recognize({ picture: readFileSync(photograph) }, { deadline: Date.now() + 30_000 });
  if (result.error) throw new Error(result.error.message);
  for (const { label, score, box } of result.recognition.objects)
    console.log(label, score.toFixed(2), JSON.stringify(box));
  client.close();
} catch (error) {
  console.error(error.details ? `${address}: ${error.details}` : error.message);
  process.exitCode = 1;
}
