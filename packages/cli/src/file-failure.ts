import { Failure } from '@meridian/failure';

/** What people can do something about; anything else is told in the system's words. */
const PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder',
  ENOTDIR: 'a part of the path is not a folder',
  EISDIR: 'it is a folder',
  EEXIST: 'it is there already, and is no folder',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
};

/** A file that cannot be read or written, by name, with why. */
export function fileFailure(doing: 'read' | 'write', path: string, cause: unknown): Failure {
  const code = cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
  const problem = PROBLEMS[code] ?? (cause instanceof Error ? cause.message : String(cause));
  return new Failure(code === 'ENOENT' ? 'NOT_FOUND' : 'FAILED_PRECONDITION', `cannot ${doing} ${path}: ${problem}`, {
    reason: 'FILE',
    cause,
  });
}
