import type { DescService } from '@bufbuild/protobuf';
import { Failure } from '@meridian/failure';
import type { ServiceHandlers } from '@meridian/rpc';

/** Handlers of a scripted door for methods that a test has no use for. */
export function absentMethods<S extends DescService>(service: S): ServiceHandlers<S> {
  const absent = () => {
    throw new Failure('FAILED_PRECONDITION', 'not part of this test');
  };
  return Object.fromEntries(
    service.methods.map(({ localName }) => [localName, absent]),
  ) as unknown as ServiceHandlers<S>;
}
