/**
 * No task is answered by a model that its claim does not name. Judged from outside: by claims as the brokers carried
 * them, and by labels that one version of a model has and no other, which only the process that ran the model can know.
 */
export interface ModelVersion {
  readonly name: string;
  readonly digest: string;
  /** No other version has any of them. */
  readonly labels: ReadonlySet<string>;
}

/** What a client was told. */
export interface Answer {
  /** Region whose door was asked. */
  readonly door: string;
  readonly taskId: string;
  readonly model: string;
  readonly modelDigest: string;
  /** Of every object that was found; none says nothing of who looked. */
  readonly labels: readonly string[];
}

/** What a broker carried. */
export interface ClaimSeen {
  readonly taskId: string;
  readonly model: string;
  readonly modelDigest: string;
}

/** @returns what is wrong, one line each; empty when every answer is of the model that each of its claims names */
export function wrongAnswers(
  answers: readonly Answer[],
  claims: readonly ClaimSeen[],
  versions: readonly ModelVersion[],
): string[] {
  const claimsOf = Map.groupBy(claims, ({ taskId }) => taskId);
  const versionOf = new Map(versions.map((version) => [version.digest, version]));
  return answers.flatMap((answer) => {
    const { taskId, door, model, modelDigest, labels } = answer;
    const problem = (what: string) => `task ${taskId} at ${door}, answered by ${model} ${modelDigest}: ${what}`;
    const placed = claimsOf.get(taskId) ?? [];
    const other = placed.find((claim) => claim.modelDigest !== modelDigest || claim.model !== model);
    const version = versionOf.get(modelDigest);
    const foreign = labels.find((label) => version?.labels.has(label) !== true);
    return [
      ...(placed.length === 0 ? [problem('no claim was seen')] : []),
      ...(other === undefined ? [] : [problem(`a claim names ${other.model} ${other.modelDigest}`)]),
      ...(version === undefined ? [problem('nobody has made this version')] : []),
      ...(labels.length === 0 ? [problem('nothing was found, so nobody knows by what')] : []),
      ...(foreign === undefined ? [] : [problem(`${foreign} is no label of that version`)]),
    ];
  });
}

/** The models that answered, each once for each time that it followed another one. */
export function turnsOf(answers: readonly Answer[]): string[] {
  return answers.map(({ model }) => model).filter((model, i, all) => model !== all[i - 1]);
}
