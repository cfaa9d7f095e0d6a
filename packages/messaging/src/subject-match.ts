/** Whether a subject matches a pattern of NATS: `*` is any one token, `>` at the end any one or more. */
export function subjectMatches(pattern: string, subject: string): boolean {
  const wanted = pattern.split('.');
  const given = subject.split('.');
  for (const [i, token] of wanted.entries()) {
    if (token === '>') return given.length > i;
    if (token !== '*' && token !== given[i]) return false;
    if (i >= given.length) return false;
  }
  return wanted.length === given.length;
}
