import { type DescFile, type DescService, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import type { Server } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';

/**
 * Offers grpc.reflection.v1 and v1alpha for the services, from the descriptors that the generated code carries.
 * The package wants proto-loader's shape: one entry with the files is all it reads.
 */
export function addReflection(server: Server, services: readonly DescService[]): void {
  const files = new Map<string, Buffer>();
  for (const service of services) collect(service.file, files);
  const format = 'Protocol Buffer 3 DescriptorProto' as const;
  const entry = { format, type: {}, fileDescriptorProtos: [...files.values()] };
  new ReflectionService({ meridian: entry }, { services: services.map((service) => service.typeName) }).addToServer(
    server,
  );
}

function collect(file: DescFile, files: Map<string, Buffer>): void {
  if (files.has(file.proto.name)) return;
  files.set(file.proto.name, Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto)));
  for (const dependency of file.dependencies) collect(dependency, files);
}
